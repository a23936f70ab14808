// The one way from a request into the log. Promise: a caller learns within `wait_max` whether its
// message is durable, was refused, or is late; a stalled disk is answered 503 at once rather than
// after a wait. What was late may still become durable: senders repeat, so this is at least once.
#pragma once

#include <atomic>
#include <functional>
#include <utility>

#include "ingress/counters.hpp"
#include "ingress/dedupe_index.hpp"
#include "millrace/event_log.hpp"
#include "millrace/http.hpp"
#include "net/shard.hpp"

namespace millrace::ingress {

class Intake {
 public:
  struct Limits {
    std::uint64_t appends_max = 8192;                   ///< outstanding, over all shards
    std::uint64_t bytes_max = std::uint64_t{64} << 20;  ///< of their payloads
    milliseconds wait_max{500};
    double min_free_fraction = 0.05;  ///< of the log's file system
  };
  /// Runs once on the appending shard when the truth is known, late or not.
  using Settled = std::move_only_function<void(bool durable)>;

  /// `log` and `counters` outlive the intake; the intake outlives every completion of the log.
  Intake(EventLog& log, Counters& counters, Limits limits);

  /// Whether a request may go on. Errc::stopping, Errc::disk_full, Errc::overloaded: answer 503.
  /// Cheap: asked before a body is looked at, and again by `append`.
  Result<void> admit();

  /// Appends one entry and waits for its durability on `shard`, from whose thread it is called.
  /// Errors: those of `admit`; Errc::overloaded also after `wait_max` ("late"); Errc::too_large.
  /// `settled` may be empty.
  Awaitable<Result<Offset>> append(Journal journal, LogEntry entry, Shard& shard, Settled settled);

  /// Waits until the append of a duplicate's first sending is decided, `wait_max` at most.
  /// Errc::overloaded when that takes longer or the first sending was not written after all.
  Awaitable<Result<void>> await_settled(DedupeIndex& index, DedupeKey key, Shard& shard);

  /// The daemon tells the free part of the log's disk about once a second: a shard must not ask.
  void set_disk_free(double fraction) { disk_free_ = fraction; }
  void set_min_free(double fraction) { min_free_ = fraction; }
  /// From now on everything is refused; appends under way complete.
  void stop() { stopping_ = true; }
  std::uint64_t outstanding() const { return appends_.load(std::memory_order_relaxed); }

 private:
  class Wait;
  class SettledWait;
  void begin(std::size_t bytes);
  void end(std::size_t bytes, BootTime started);

  EventLog& log_;
  Counters& counters_;
  const Limits limits_;
  std::atomic<bool> stopping_{false};
  std::atomic<double> disk_free_{1.0};
  std::atomic<double> min_free_;
  std::atomic<std::uint64_t> appends_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::int64_t> latency_us_{0};   ///< of late appends, smoothed
  std::atomic<std::int64_t> progress_us_{0};  ///< boot time of the last completion, or first append
};

/// A fresh id of a DedupeIndex as the `Settled` of its append. Destroyed without having been called
/// (the request was cancelled before its append), it gives the id free again.
class PendingId {
 public:
  PendingId(DedupeIndex& index, DedupeKey key, Clock& clock)
      : index_(&index), key_(key), clock_(&clock) {}
  PendingId(PendingId&& other) noexcept
      : index_(std::exchange(other.index_, nullptr)), key_(other.key_), clock_(other.clock_) {}
  PendingId& operator=(PendingId&&) = delete;
  ~PendingId() { (*this)(false); }
  void operator()(bool durable) {
    DedupeIndex* index = std::exchange(index_, nullptr);
    if (index != nullptr) index->settle(key_, durable, clock_->wall_now());
  }

 private:
  DedupeIndex* index_;
  DedupeKey key_;
  Clock* clock_;
};

}  // namespace millrace::ingress
