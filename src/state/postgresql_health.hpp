// Whether the store answers: said by the writer, asked by everybody. Readers that wait for a store
// that went away are called back through the loops they registered.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "millrace/state_store.hpp"
#include "storage/socket_loop.hpp"

namespace millrace {

class PostgresHealth {
 public:
  explicit PostgresHealth(const Clock& clock = system_clock()) : clock_(clock) {}

  /// Loops of readers; they outlive the writer.
  void add_reader(SocketLoop& loop);

  void note_away(const std::string& reason);
  void note_back(const std::string& warning);
  void note_repeat() { repeats_.fetch_add(1, std::memory_order_relaxed); }

  StateCondition condition() const;
  bool is_away() const { return away_.load(std::memory_order_acquire); }
  /// Errc::state_away with since when and why.
  Error error() const;

 private:
  const Clock& clock_;
  mutable std::mutex mutex_;
  StateCondition condition_{.kind = "postgresql", .away_at = {}, .reason = {}, .warning = {}};
  std::vector<SocketLoop*> readers_;
  std::atomic<bool> away_{false};
  std::atomic<std::uint64_t> repeats_{0};
};

}  // namespace millrace
