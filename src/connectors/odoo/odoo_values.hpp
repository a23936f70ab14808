// Makes source records from rows: decodes by type and follows nested plans, one call per related
// model for all parents together.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "connectors/odoo/odoo_plan.hpp"
#include "connectors/odoo/odoo_rows.hpp"

namespace millrace::connectors {

struct OdooValues {
  std::unordered_map<std::int64_t, Json> values;
  /// Records that cannot be made because a record below them cannot be read, and why.
  std::unordered_map<std::int64_t, std::string> failed;
};

/// `rows` hold the plan's fields. A related record that is hidden, or a many2one's that is gone, is
/// an object with its `id` and nulls; an x2many's that is gone is left out.
Awaitable<Result<OdooValues>> build_values(OdooRpc& rpc, OdooPlanPtr plan,
                                           std::unordered_map<std::int64_t, JsonObject> rows);

}  // namespace millrace::connectors
