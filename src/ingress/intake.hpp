// The one way from a request into the log. Promise: a caller learns within `wait_max` whether its
// message is durable, was refused, or is late; a stalled disk is answered 503 at once rather than
// after a wait. What was late may still become durable: senders repeat, so this is at least once.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "ingress/counters.hpp"
#include "ingress/dedupe_index.hpp"
#include "millrace/event_log.hpp"
#include "millrace/http.hpp"
#include "net/reader_pool.hpp"
#include "net/shard.hpp"

namespace millrace::ingress {

/// Signatures and receipts go by the wall clock, the ages of ids by the one that never jumps.
struct Clocks {
  Clock& wall;
  Clock& expiry;
};

/// A fresh id of a DedupeIndex. Unless it is settled it becomes free again when destroyed: the
/// request was cancelled, or its append did not happen.
class PendingId {
 public:
  PendingId(DedupeIndex& index, RecordId key, Clock& clock)
      : index_(&index), key_(key), clock_(&clock) {}
  PendingId(PendingId&& other) noexcept
      : index_(std::exchange(other.index_, nullptr)), key_(other.key_), clock_(other.clock_) {}
  PendingId& operator=(PendingId&&) = delete;
  ~PendingId() { settle(false); }
  RecordId key() const { return key_; }
  void settle(bool durable) {
    DedupeIndex* index = std::exchange(index_, nullptr);
    if (index != nullptr) index->settle(key_, durable, clock_->wall_now());
  }
  /// A side file knows it.
  void settle_known() {
    DedupeIndex* index = std::exchange(index_, nullptr);
    if (index != nullptr) index->settle_known(key_);
  }

 private:
  DedupeIndex* index_;
  RecordId key_;
  Clock* clock_;
};

/// What is known of one id; of a fresh one, the hold on it.
struct Claim {
  Seen seen = Seen::fresh;
  std::optional<PendingId> pending;
};

class Intake {
 public:
  struct Limits {
    std::uint64_t appends_max = 8192;                   ///< outstanding, over all shards
    std::uint64_t bytes_max = std::uint64_t{64} << 20;  ///< of their payloads
    std::uint64_t look_ups_max = 1024;                  ///< into side files, queued or running
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

  /// Has the log accept a group (EventLog::accept) and waits for its durability on `shard`, from
  /// whose thread it is called. Errors: those of `admit`; Errc::overloaded also after `wait_max`
  /// ("late"); Errc::too_large. `settled` may be empty.
  Awaitable<Result<void>> accept(Journal journal, std::vector<LogEntry> group, Shard& shard,
                                 Settled settled);
  /// The same for what its source keeps until the log itself has it.
  Awaitable<Result<void>> append(Journal journal, std::vector<LogEntry> group, Shard& shard,
                                 Settled settled);

  /// Claims ids that differ from each other: looked for in memory at once, and what is new there in
  /// the log's side files, on a reader thread. Errc::overloaded when that takes longer than
  /// `wait_max`, too many look-ups wait already, or it cannot be answered now; then nothing is
  /// claimed.
  Awaitable<Result<std::vector<Claim>>> claim(DedupeIndex& index, std::vector<RecordId> ids,
                                              Clock& clock, Shard& shard);
  /// Which of the ids are on record, in memory or in side files; claims nothing.
  Awaitable<Result<std::vector<bool>>> look_up(DedupeIndex& index, std::vector<RecordId> ids,
                                               Clock& clock, Shard& shard);

  /// Waits until the append of a duplicate's first sending is decided, `wait_max` at most.
  /// Errc::overloaded when that takes longer or the first sending was not written after all.
  Awaitable<Result<void>> await_settled(DedupeIndex& index, RecordId key, Shard& shard);

  /// The daemon tells the free part of the log's disk about once a second: a shard must not ask.
  void set_disk_free(double fraction) { disk_free_ = fraction; }
  void set_min_free(double fraction) { min_free_ = fraction; }
  /// From now on everything is refused; appends under way complete.
  void stop() { stopping_ = true; }
  /// Ends the look-ups, before the shards they answer to: nothing is asked any more.
  void close() { readers_.reset(); }
  std::uint64_t outstanding() const { return appends_.load(std::memory_order_relaxed); }

 private:
  class Wait;
  using WaitPtr = std::shared_ptr<Wait>;
  template <typename T>
  class Race;
  template <typename Start>
  Awaitable<Result<void>> take(std::vector<LogEntry> group, Shard& shard, Settled settled,
                               Start start);
  Awaitable<Result<std::vector<bool>>> look_into_side_files(Journal journal,
                                                            std::vector<RecordId> ids,
                                                            WallTime since, Shard& shard);
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
  /// Its own: no catch-up read stands before an answer.
  std::unique_ptr<ReaderPool> readers_ = std::make_unique<ReaderPool>(1, "ids");
};

}  // namespace millrace::ingress
