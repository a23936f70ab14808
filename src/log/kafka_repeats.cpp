#include "log/kafka_repeats.hpp"

#include <algorithm>

#include "millrace/ids.hpp"

namespace millrace::log {

bool KafkaRepeats::is_repeat(const LogStream& stream, Partition partition, Offset offset,
                             std::string_view id) {
  if (id.empty()) return false;
  const std::uint64_t hash = hash64(id);
  const std::lock_guard lock(mutex_);
  Known& known = known_[stream].at(partition);
  const auto found = known.first.find(hash);
  if (found == known.first.end()) {
    known.note(offset, hash);
    return false;
  }
  if (found->second < offset) return true;
  // Who reads further back finds the one that counts.
  found->second = offset;
  return false;
}

void KafkaRepeats::Known::note(Offset offset, std::uint64_t hash) {
  const bool full = by_offset.size() >= kKeptMax;
  if (full && offset < by_offset.front().first) return;
  if (full) {
    first.erase(by_offset.front().second);
    by_offset.pop_front();
  }
  const auto at =
      std::ranges::upper_bound(by_offset, offset, {}, &std::pair<Offset, std::uint64_t>::first);
  by_offset.insert(at, {offset, hash});
  first.emplace(hash, offset);
}

}  // namespace millrace::log
