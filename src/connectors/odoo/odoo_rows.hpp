// Reads rows of one model by id, so that one bad record never hides the others: a batch that Odoo
// refuses is halved until the guilty ids stand alone.
#pragma once

#include <cstdint>
#include <string>
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

/// Reads `fields` of `ids` (any number; kOdooBatchMax in one call). The error is of the whole call;
/// a model that our login may not read at all is Errc::peer_auth, not a set of hidden records.
Awaitable<Result<OdooRows>> fetch_rows(OdooRpc& rpc, std::string model,
                                       std::vector<std::int64_t> ids,
                                       std::vector<std::string> fields);

}  // namespace millrace::connectors
