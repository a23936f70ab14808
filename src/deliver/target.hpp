// One connection as a target: its pool, in_flight, pace and breaker, on its home shard. Lanes
// submit from their own shards and get the result back there. A failure of the target as a whole is
// absorbed here: the request waits in the queue, is not charged to its record, and goes out again
// when a probe succeeds.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_set>

#include "config/model.hpp"
#include "deliver/breaker.hpp"
#include "millrace/connector.hpp"
#include "millrace/share.hpp"
#include "net/shard.hpp"

namespace millrace::deliver {

/// An event that is not settled after so many attempts, or so long, is parked while its target
/// answers others (semantics 5).
inline constexpr int kAttemptsBeforeParking = 3;
inline constexpr seconds kTimeBeforeParking{30};
/// For so long the answer to one check speaks for all who doubt.
inline constexpr milliseconds kCheckHoldsFor{1000};

struct DeliveryResult {
  Outcome outcome;
  bool target_answers = false;  ///< others are answered, or the check is: the fault is the record's
  microseconds odometer{0};     ///< of the connection, at the outcome
  bool recalled = false;        ///< goes back to its lane, as after `recall`: there is no outcome
};

struct DeliveryJob {
  Delivery delivery;
  std::uint64_t record = 0;  ///< hash
  BootTime first_attempt{};
  Executor* home = nullptr;     ///< where `done` runs
  const void* owner = nullptr;  ///< whose job it is, for `recall`
  std::uint64_t exclusive = 0;  ///< no two jobs with one number are in flight together; 0: none
  bool parked = false;          ///< of parked ones a quarter of `in_flight` are in flight at most
  std::uint64_t probe = 0;      ///< the breaker's number of it, when it is one
  /// The route's `treat` rules, applied before the breaker judges. Pure; runs on the home shard.
  std::function<void(Outcome&)> classify;
  std::move_only_function<void(DeliveryResult)> done;
};

struct TargetStatus {
  std::string state = "unknown";  ///< up, down, paused, unknown
  std::string reason;
  std::optional<WallTime> since;
  int in_flight = 0;
  std::size_t waiting = 0;
};

class Target : public std::enable_shared_from_this<Target> {
 public:
  Target(Shard& home, const config::Connection& connection, std::unique_ptr<Sink> sink,
         Clock& clock, SharePtr share = std::make_shared<Share>());

  /// Told on the home shard when it begins to wait for a person, and why; nullopt: no longer.
  using Held = std::function<void(const std::optional<std::string>& reason)>;

  /// Before the first job: it waited for a person when it ended.
  void hold(const std::optional<std::string>& reason, Held told);
  /// Thread-safe.
  void submit(DeliveryJob job);
  /// Thread-safe: takes jobs that have not started back out; their `done` is never called.
  void stop();
  /// Thread-safe: gives back what waits here for this owner, now and once it comes off the wire
  /// with a failure of the target; `done` says `recalled`.
  void recall(const void* owner);
  void resume();
  /// Thread-safe: whether it has answered another record than this since then, or answers its
  /// check; `told` runs on `asker`. False: it does not, or nobody knows yet.
  void ask(std::uint64_t record, BootTime since, Executor& asker,
           std::move_only_function<void(bool)> told);
  TargetStatus status() const;
  /// On the home shard.
  Awaitable<Outcome> check();

  Shard& home() { return home_; }
  const std::string& name() const { return name_; }
  int in_flight_max() const { return share_->of(in_flight_max_); }
  int in_flight() const { return in_flight_; }
  bool idempotent() const { return idempotent_; }
  /// Thread-safe: neither down nor waiting for a person.
  bool is_up() const { return up_; }

 private:
  void enqueue(DeliveryJob job);
  void pump();
  bool may_start(const DeliveryJob& job) const;
  std::deque<DeliveryJob>::iterator choose(bool for_probe);
  std::optional<DeliveryJob> next_job();
  void enter(const DeliveryJob& job);
  void leave(const DeliveryJob& job);
  Awaitable<bool> answers_others(std::uint64_t record, BootTime since);
  Awaitable<void> asked(std::shared_ptr<Target> self, std::uint64_t record, BootTime since,
                        Executor* asker, std::move_only_function<void(bool)> told);
  Awaitable<void> work(std::shared_ptr<Target> self, DeliveryJob first);
  void hand_out(DeliveryJob job, DeliveryResult result);
  void wake_at(BootTime at);
  Awaitable<void> wake_later(std::shared_ptr<Target> self, milliseconds delay);
  void publish();
  Call call_of(const DeliveryJob& job, const Outcome& outcome, BootTime started) const;

  Shard& home_;
  const std::string name_;
  const int in_flight_max_;
  const bool idempotent_;
  const double per_second_;
  const std::optional<milliseconds> slow_after_;
  std::unique_ptr<Sink> sink_;
  Clock& clock_;
  const SharePtr share_;
  Breaker breaker_;
  std::deque<DeliveryJob> queue_;
  std::set<const void*> recalled_;  ///< owners that went elsewhere
  std::atomic<int> in_flight_{0};
  std::atomic<bool> up_{true};                   ///< as published
  int parked_in_flight_ = 0;                     ///< of these
  std::unordered_set<std::uint64_t> exclusive_;  ///< of these
  std::uint64_t last_probed_ = 0;
  BootTime next_start_{};               ///< pace
  std::optional<BootTime> checked_at_;  ///< the last check that was answered well
  bool checking_ = false;
  bool wake_pending_ = false;
  bool handing_out_ = false;  ///< a worker is in `done` and will take the next job
  bool stopping_ = false;
  Held held_told_;
  bool held_ = false;                ///< as told
  mutable std::mutex status_mutex_;  ///< guards status_ alone, never held across an await
  TargetStatus status_;
};

}  // namespace millrace::deliver
