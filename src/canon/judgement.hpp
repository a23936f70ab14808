// The pure part of projecting: what an entity makes of a source record, and which events a change
// is. No state, no log; the projector and the tests of a configuration share it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/model.hpp"
#include "millrace/json.hpp"
#include "millrace/result.hpp"

namespace millrace::canon {

/// Whether the source's `only` lets the record in; true without one.
Result<bool> is_wanted(const config::Config& config, const config::EntitySource& source,
                       const Json& record, WallTime now);

/// The canonical data, not yet checked against the schema. Errc::missing_reference when a table row
/// or company is missing.
Result<Json> map_record(const config::Config& config, const config::EntitySource& source,
                        const Json& record, WallTime now);

/// The types "<entity>.<event>" whose condition holds, in the entity's order. `before` is null at
/// first sight.
Result<std::vector<std::string>> events_of(const config::Config& config,
                                           const config::Entity& entity, const Json& before,
                                           const Json& data);

}  // namespace millrace::canon
