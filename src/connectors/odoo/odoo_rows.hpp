// Reads rows of one model by id, so that one bad record never hides the others: a batch that Odoo
// refuses is halved until the guilty ids stand alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "connectors/odoo/odoo_rpc.hpp"
#include "millrace/record_reader.hpp"

namespace millrace::connectors {

/// Ids in one `read` call.
inline constexpr std::size_t kOdooBatchMax = 200;

struct OdooRefusal {
  ReadRecord::State state = ReadRecord::State::failed;  ///< hidden or failed
  std::string problem;
};

/// Ids in neither map were not returned: they do not exist.
struct OdooRows {
  std::unordered_map<std::int64_t, JsonObject> found;
  std::unordered_map<std::int64_t, OdooRefusal> refused;
};

/// How often a record is read that changes while what is below it is read.
inline constexpr int kOdooReadingsMax = 3;

/// Reads `fields` of `ids` (any number; kOdooBatchMax in one call). The error is of the whole call;
/// a model that our login may not read at all is Errc::peer_auth, not a set of hidden records, and
/// a field that Odoo does not have Errc::config.
Awaitable<Result<OdooRows>> fetch_rows(OdooRpc& rpc, std::string model,
                                       std::vector<std::int64_t> ids,
                                       std::vector<std::string> fields);

using OdooRowMap = std::unordered_map<std::int64_t, JsonObject>;

/// Which of these rows, all read with `fields`, are gone or others by now. A nested plan is several
/// calls, each a transaction of its own: below such a row there may be new lines under an old
/// header. Whole rows are compared, because RPC shows whole seconds and two writes may share one;
/// the `last` time by write_date alone, for fields that change by themselves.
Awaitable<Result<std::vector<std::int64_t>>> moved_since(OdooRpc& rpc, std::string model,
                                                         std::vector<std::string> fields,
                                                         OdooRowMap rows, bool last);

std::string changed_all_the_time(std::string_view model, std::int64_t id);

}  // namespace millrace::connectors
