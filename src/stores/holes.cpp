#include "stores/holes.hpp"

#include <algorithm>

namespace millrace::stores {

Offset Holes::records(const LogStream& stream, Partition partition, Offset from,
                      Offset until) const {
  const Offset all = until - from;
  const auto in_stream = holes_.find(to_string(stream));
  if (in_stream == holes_.end()) return all;
  const auto found = in_stream->second.find(partition);
  if (found == in_stream->second.end()) return all;
  const auto& holes = found->second;
  const auto between =
      std::ranges::lower_bound(holes, until) - std::ranges::lower_bound(holes, from);
  return all - static_cast<Offset>(between);
}

Json Holes::json() const {
  JsonObject json;
  for (const auto& [stream, partitions] : holes_) {
    JsonArray list;
    for (const auto& [partition, offsets] : partitions) {
      for (const Offset offset : offsets) {
        list.push_back(JsonArray{partition, static_cast<std::int64_t>(offset)});
      }
    }
    json.emplace(stream, std::move(list));
  }
  return Json(std::move(json));
}

Result<Holes> Holes::of(const Json& json) {
  Holes holes;
  if (!json.is_object()) return holes;
  for (const auto& [stream, list] : json.get_object()) {
    if (!list.is_array()) return fail(Errc::corrupt, "holes of a log are no list");
    for (const Json& place : list.get_array()) {
      const JsonArray* pair = place.if_array();
      if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_int64() ||
          !(*pair)[1].is_int64()) {
        return fail(Errc::corrupt, "a hole of a log has no place");
      }
      holes.holes_[stream][static_cast<Partition>((*pair)[0].get_int64())].push_back(
          static_cast<Offset>((*pair)[1].get_int64()));
      ++holes.count_;
    }
  }
  return holes;
}

}  // namespace millrace::stores
