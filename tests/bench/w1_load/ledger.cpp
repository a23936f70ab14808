#include "ledger.hpp"

#include <algorithm>
#include <chrono>

namespace w1 {

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void Ledger::received(std::uint32_t sequence, std::int64_t at_ns) {
  Entry& entry = entries_[sequence];
  if (entry.arrivals++ == 0) entry.received_ns = at_ns;
}

std::uint32_t Ledger::missing(Range range, std::uint32_t at_most) const {
  std::uint32_t count = 0;
  for (std::uint32_t sequence = range.first; sequence < range.end; ++sequence) {
    const Entry& entry = entries_[sequence];
    if (entry.acknowledged && entry.arrivals == 0 && ++count == at_most) break;
  }
  return count;
}

Tally Ledger::tally(Range range) const {
  return tally(range, [](std::uint32_t) { return true; });
}

Tally Ledger::tally(Range range, const std::function<bool(std::uint32_t)>& counts) const {
  Tally tally;
  if (range.first == range.end) return tally;
  tally.first_due_ns = entries_[range.first].due_ns;
  tally.end_to_end_ms.reserve(range.end - range.first);
  for (std::uint32_t sequence = range.first; sequence < range.end; ++sequence) {
    if (!counts(sequence)) continue;
    const Entry& entry = entries_[sequence];
    const std::uint32_t arrivals = entry.arrivals;
    if (entry.acknowledged) {
      ++tally.acknowledged;
      if (arrivals == 0) ++tally.lost;
    }
    if (arrivals == 0) continue;
    ++tally.delivered;
    tally.repeats += arrivals - 1;
    const std::int64_t received_ns = entry.received_ns;
    tally.last_received_ns = std::max(tally.last_received_ns, received_ns);
    tally.end_to_end_ms.push_back(static_cast<float>(received_ns - entry.due_ns) / 1e6F);
  }
  std::sort(tally.end_to_end_ms.begin(), tally.end_to_end_ms.end());
  return tally;
}

std::optional<double> percentile(const std::vector<float>& sorted, double percent) {
  if (sorted.empty()) return std::nullopt;
  const auto index = static_cast<std::size_t>(percent / 100 * static_cast<double>(sorted.size()));
  return sorted[std::min(index, sorted.size() - 1)];
}

}  // namespace w1
