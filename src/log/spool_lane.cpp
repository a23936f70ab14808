#include "log/spool_lane.hpp"

#include <algorithm>

#include "millrace/result.hpp"

namespace millrace::log {

void SpoolLane::resume(Offset begin, Offset end, WallTime oldest) {
  begin_ = next_ = begin;
  end_ = end;
  unhanded_ = end - begin;
  oldest_ = oldest;
}

void SpoolLane::written(const Entry& entry, bool handed, Time now) {
  MILLRACE_INVARIANT(entry.offset == end_);
  if (empty()) oldest_ = entry.at;
  ++end_;
  if (!handed) return;
  handed_.emplace(entry.offset, Handed{entry, now});
  handed_bytes_ += entry.bytes;
  skip_handed();
}

void SpoolLane::hand_over(const Entry& entry, Time now) {
  handed_.emplace(entry.offset, Handed{entry, now});
  handed_bytes_ += entry.bytes;
  --unhanded_;
  skip_handed();
}

void SpoolLane::skip_handed() {
  while (handed_.contains(next_)) ++next_;
}

std::size_t SpoolLane::acknowledged(Offset offset) {
  const auto found = handed_.find(offset);
  if (found == handed_.end()) return 0;
  const std::size_t bytes = found->second.entry.bytes;
  found->second.acknowledged = true;
  for (auto first = handed_.begin(); first != handed_.end() && first->first == begin_;) {
    oldest_ = first->second.entry.at;
    if (!first->second.acknowledged) break;
    handed_bytes_ -= first->second.entry.bytes;
    ++begin_;
    first = handed_.erase(first);
  }
  return bytes;
}

void SpoolLane::refused(Offset offset, Time until) {
  const auto found = handed_.find(offset);
  if (found == handed_.end()) return;
  handed_bytes_ -= found->second.entry.bytes;
  handed_.erase(found);
  ++unhanded_;
  next_ = std::min(next_, offset);
  refused_until_ = until;
}

bool SpoolLane::keeps_up(Time now, milliseconds within) const {
  if (unhanded_ > 0) return false;
  return handed_.empty() || (handed_.size() < kHandedMax && handed_bytes_ < kHandedBytesMax &&
                             now - handed_.begin()->second.since < within);
}

bool SpoolLane::has_room(Time now) const {
  return now >= refused_until_ && handed_.size() < kHandedMax && handed_bytes_ < kHandedBytesMax;
}

bool SpoolLane::is_stuck(Time now, milliseconds within) const {
  if (now < refused_until_) return true;
  return !handed_.empty() && now - handed_.begin()->second.since > within;
}

}  // namespace millrace::log
