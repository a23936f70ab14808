// What the batches that followers hold may take in memory, over all followers of the process:
// hundreds of routes whose targets are down hold no more than a few. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "millrace/event_log.hpp"

namespace millrace {

inline constexpr std::size_t kFollowedBytesMax = std::size_t{64} << 20;
/// Of one read while the budget is spent: a follower that holds nothing goes on all the same.
inline constexpr std::size_t kLeanReadBytes = std::size_t{64} << 10;

class BatchBudget : public std::enable_shared_from_this<BatchBudget> {
 public:
  explicit BatchBudget(std::size_t bytes_max = kFollowedBytesMax) : bytes_max_(bytes_max) {}

  bool spent() const { return held_ >= bytes_max_; }
  std::size_t held() const { return held_; }
  /// Counts so many bytes for as long as somebody has what it returns.
  std::shared_ptr<const void> hold(std::size_t bytes);
  /// The same batch, counted once for as long as somebody has it.
  RecordBatchPtr count(RecordBatchPtr batch, std::size_t bytes);

 private:
  const std::size_t bytes_max_;
  std::atomic<std::size_t> held_{0};
};

}  // namespace millrace
