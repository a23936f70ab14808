#include "millrace/offsets.hpp"

#include <fmt/format.h>

#include <utility>

namespace millrace {

Json offsets_json(const PartitionOffsets& offsets) {
  JsonArray list;
  for (const Offset offset : offsets) list.push_back(static_cast<std::int64_t>(offset));
  return Json(std::move(list));
}

Result<PartitionOffsets> offsets_of(const Json& row, std::string_view key) {
  PartitionOffsets offsets{};
  const Json* list = find(row, key);
  const JsonArray* array = list != nullptr ? list->if_array() : nullptr;
  if (array == nullptr || array->size() != offsets.size()) {
    return fail(Errc::corrupt, fmt::format("a row has no offsets of all partitions as {}", key));
  }
  for (std::size_t p = 0; p < offsets.size(); ++p) {
    if (!(*array)[p].is_int64()) {
      return fail(Errc::corrupt, fmt::format("offset {} of a row's {} is no number", p, key));
    }
    offsets[p] = static_cast<Offset>((*array)[p].get_int64());
  }
  return offsets;
}

}  // namespace millrace
