// What was sent, acknowledged and delivered, by sequence number: the evidence behind "lost" and
// "delivered twice". The load thread writes due and acknowledged, the sink thread received; anyone
// may read at any time.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace w1 {

/// CLOCK_MONOTONIC, nanoseconds.
std::int64_t now_ns();

/// Sequence numbers first <= n < end.
struct Range {
  std::uint32_t first = 0;
  std::uint32_t end = 0;
};

struct Tally {
  std::uint32_t acknowledged = 0;
  std::uint32_t delivered = 0;  ///< orders that arrived at least once
  std::uint32_t lost = 0;       ///< answered with 2xx and not arrived
  std::uint32_t repeats = 0;    ///< arrivals beyond the first
  std::int64_t first_due_ns = 0;
  std::int64_t last_received_ns = 0;
  std::vector<float> end_to_end_ms;  ///< sorted; from the scheduled send to the first arrival
};

class Ledger {
 public:
  /// A run of this program stops sending when they are used up.
  static constexpr std::uint32_t kOrdersMax = 3'000'000;

  Ledger() : entries_(kOrdersMax) {}

  void sent(std::uint32_t sequence, std::int64_t due_ns) { entries_[sequence].due_ns = due_ns; }
  void acknowledged(std::uint32_t sequence) { entries_[sequence].acknowledged = true; }
  void received(std::uint32_t sequence, std::int64_t at_ns);

  /// How many of the range were acknowledged and have not arrived; stops counting at `at_most`.
  std::uint32_t missing(Range range, std::uint32_t at_most = kOrdersMax) const;
  Tally tally(Range range) const;
  /// Of those orders only for which it is true.
  Tally tally(Range range, const std::function<bool(std::uint32_t)>& counts) const;

 private:
  struct Entry {
    std::atomic<std::int64_t> due_ns{0};
    std::atomic<std::int64_t> received_ns{0};
    std::atomic<std::uint16_t> arrivals{0};
    std::atomic<bool> acknowledged{false};
  };
  std::vector<Entry> entries_;
};

/// The value below which `percent` of the sorted values lie; nullopt when there are none.
std::optional<double> percentile(const std::vector<float>& sorted, double percent);

}  // namespace w1
