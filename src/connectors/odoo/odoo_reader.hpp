// The RecordReader of Odoo 18: reads records back by id, lists them for sweeps and checks.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "connectors/odoo/odoo_plan.hpp"
#include "connectors/odoo/odoo_rows.hpp"
#include "connectors/odoo/odoo_rpc.hpp"
#include "millrace/record_reader.hpp"

namespace millrace::connectors {

/// Lives on the client's shard; must outlive its pending calls. Calls may overlap.
class OdooReader final : public RecordReader {
 public:
  explicit OdooReader(std::unique_ptr<OdooRpc> rpc);

  /// Errc::config when the plan does not fit the model. A record that changed during each of
  /// kOdooReadingsMax readings is `failed`: its next doorbell is on the way.
  Awaitable<Result<std::vector<ReadRecord>>> read(ReadRequest request) override;
  /// With `touched_field`: parents in id order, each once, with the write_date and create_date of
  /// its line written last; `after_id` and `limit` count parents.
  Awaitable<Result<std::vector<ListedRecord>>> list(ListRequest request) override;
  /// Logs in and reads when that was: the only clock of the database that RPC shows. Never later
  /// than now, and whole seconds.
  Awaitable<Result<std::string>> server_time() override;
  Awaitable<Result<void>> check_plan(std::string model, FieldPlan plan) override;
  Awaitable<Result<std::string>> check() override;

  static constexpr int kListMax = 5000;

 private:
  using Answers = std::map<std::int64_t, ReadRecord>;
  using Ids = std::vector<std::int64_t>;

  Awaitable<Result<std::vector<ReadRecord>>> read_planned(OdooPlanPtr plan, Ids ids);
  /// Reads `ids` once; those that changed meanwhile are returned to be read again, if it is not the
  /// `last` time.
  Awaitable<Result<Ids>> read_once(OdooPlanPtr plan, Ids ids, Answers& answers, bool last);
  Awaitable<Result<OdooRows>> fetch_confirmed(OdooPlanPtr plan, Ids ids);

  Awaitable<Result<JsonArray>> search(std::string model, Json domain,
                                      std::vector<std::string> fields, std::string order,
                                      int limit);
  Awaitable<Result<std::vector<ListedRecord>>> list_parents(ListRequest request);

  std::unique_ptr<OdooRpc> rpc_;
  OdooFields fields_;
};

}  // namespace millrace::connectors
