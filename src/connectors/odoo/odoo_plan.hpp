// Field plans with the types Odoo reports, and how one value is read by its type.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/odoo/odoo_rpc.hpp"
#include "millrace/record_reader.hpp"

namespace millrace::connectors {

struct OdooField {
  std::string name;
  std::string type;      ///< "char", "many2one", ...
  std::string relation;  ///< the model of a relation
  bool company_dependent = false;
  bool stored = true;
  std::vector<std::string> depends;  ///< paths that a computed or related field reads

  bool is_many2one() const { return type == "many2one"; }
  bool is_many() const { return type == "one2many" || type == "many2many"; }
};

/// A plan that was checked against the model's fields.
struct OdooPlan {
  struct Entry {
    OdooField field;
    std::shared_ptr<const OdooPlan> nested;  ///< nullptr: the field itself
  };
  std::string model;
  std::vector<Entry> entries;
  bool has_nested = false;
  bool has_write_date = false;

  /// The names to ask for, `id` left out: Odoo always answers it. Never empty: no names would mean
  /// all fields to Odoo, and `id` alone is answered without a look at the table.
  std::vector<std::string> names() const;
};
using OdooPlanPtr = std::shared_ptr<const OdooPlan>;

/// A value as canon wants it: an empty value is null (only booleans are ever false), a datetime is
/// RFC 3339 with Z, many2one an id, x2many a list of ids.
Json decode_value(const OdooField& field, const Json& raw);
/// The id in a many2one's value, bare or [id, name]; 0 when it is empty.
std::int64_t many2one_id(const Json& raw);

/// The fields of models, asked once and again when a name is not among them.
class OdooFields {
 public:
  /// `rpc` must outlive it.
  explicit OdooFields(OdooRpc& rpc) : rpc_(rpc) {}

  /// Errc::config for an unknown model or field, a nested plan on a plain field, a field whose
  /// value depends on the company, and nesting beyond kDepthMax.
  Awaitable<Result<OdooPlanPtr>> resolve(std::string model, FieldPlan plan, int depth = 0);
  /// What is known is asked again next time.
  void forget() {
    models_.clear();
    per_company_.clear();
  }

  static constexpr int kDepthMax = 8;

 private:
  using Fields = std::map<std::string, OdooField, std::less<>>;
  Awaitable<Result<std::shared_ptr<const Fields>>> fields(std::string model);
  /// The field that has another value in each company and that `field` shows or is made of:
  /// "product.product.standard_price"; empty when there is none.
  Awaitable<Result<std::string>> per_company(std::string model, OdooField field, int depth = 0);
  Awaitable<Result<std::string>> per_company_on(std::string model, std::string path, int depth);

  OdooRpc& rpc_;
  std::map<std::string, std::string> per_company_;  ///< what is known of fields that are computed
  std::map<std::string, std::shared_ptr<const Fields>, std::less<>> models_;
};

}  // namespace millrace::connectors
