// Offsets of all partitions as rows of the state store have them: an array of 64 numbers.
#pragma once

#include <string_view>

#include "millrace/event_log.hpp"
#include "millrace/json.hpp"
#include "millrace/result.hpp"

namespace millrace {

Json offsets_json(const PartitionOffsets& offsets);
/// The member `key` of a row. Errc::corrupt when it has not that form.
Result<PartitionOffsets> offsets_of(const Json& row, std::string_view key);

}  // namespace millrace
