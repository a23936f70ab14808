// A lane carries one route's events of one shard's partitions to its target: in the order of each
// record, many records at once, retried, parked or dead, never lost (semantics 5). Everything runs
// on the shard's thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "config/model.hpp"
#include "deliver/parked_index.hpp"
#include "deliver/target.hpp"
#include "log/follower.hpp"
#include "millrace/event_log.hpp"
#include "millrace/state_store.hpp"
#include "millrace/trail.hpp"
#include "net/callback.hpp"
#include "net/reader_pool.hpp"
#include "route/progress.hpp"
#include "route/render.hpp"

namespace millrace::deliver {

struct LaneContext {
  Shard& shard;
  EventLog& log;
  StateStore& state;
  ReaderPool& readers;
  Clock& clock;
  Trail& trail;
  TailDispatcher& dispatcher;
  std::string log_uuid;
  std::string installation_uuid;
  std::size_t shard_count = 1;
  /// Told when an identity was bound and committed: rows of any lane may wait for it.
  std::function<void(const std::string& xref_key)> reference_bound;
  /// Told when a dead letter was committed with its outbox row.
  std::function<void()> announced;
};

struct LaneStatus {
  bool paused = false;
  std::string pause_reason;
  std::uint64_t delivered = 0;
  std::uint64_t skipped = 0;
  std::uint64_t repeated_unknown = 0;
  std::uint64_t retries = 0;
  std::size_t waiting = 0;  ///< taken up and not settled
  std::size_t parked = 0;
  std::size_t dead = 0;
  std::size_t undecided = 0;  ///< rows that wait for a person
  std::uint64_t lag = 0;      ///< records of the journal between here and its end

  std::optional<WallTime> oldest_at;  ///< append time of the oldest undelivered in memory
  std::string oldest_record;
};

/// What an operator decided about a parked row.
struct Decision {
  enum class Kind : std::uint8_t { resubmit, discard, applied, not_applied, skip, retry_now };
  Kind kind = Kind::resubmit;
  std::string external_id;  ///< for `applied`
  std::string reason;
  bool again = false;    ///< resubmit with a new idempotency key although it may have been applied
  bool history = false;  ///< resubmit although a later revision was delivered
};

class Lane : public std::enable_shared_from_this<Lane> {
 public:
  /// `progress` has one entry for each of the shard's partitions.
  Lane(LaneContext context, config::ConfigPtr config, const std::string& route,
       std::shared_ptr<Target> target, std::map<Partition, route::Progress> progress);

  /// Loads parked rows, then starts to follow the log.
  Awaitable<Result<void>> start();
  /// Takes up nothing more; what is in flight may end.
  void stop();
  /// Events taken up from now on are judged by the new texts; the target may have changed too.
  void replace(config::ConfigPtr config, std::shared_ptr<Target> target);
  void pause(std::string reason);
  void resume();
  void reference_bound(const std::string& key);
  void release_waiting();
  Awaitable<Result<Json>> decide(std::string key, Decision decision);

  const std::string& id() const { return id_; }
  LaneStatus status() const;
  /// Whether everything that was answered is recorded.
  bool recorded() const { return !commit_under_way_ && finished_.empty(); }
  /// Commits what is settled now, without waiting for company.
  void flush();

 private:
  struct Item;
  using ItemPtr = std::shared_ptr<Item>;

  const config::Route& route() const { return *route_; }
  void pump();
  void take(const FollowedRecord& followed);
  void take_decoded(ItemPtr item);
  void enqueue(ItemPtr item);
  void start_ready();
  void attempt(const ItemPtr& item);
  Awaitable<void> fetch_reference(std::shared_ptr<Lane> self, ItemPtr item, std::string key);
  void submit(const ItemPtr& item);
  void on_result(const ItemPtr& item, DeliveryResult result);
  void on_delivered(const ItemPtr& item, const Outcome& outcome);
  void on_again(const ItemPtr& item, const DeliveryResult& result);
  void on_unknown(const ItemPtr& item, const DeliveryResult& result);
  void on_render_error(const ItemPtr& item, const Error& error);
  bool retries_unknown(const Item& item) const;
  milliseconds backoff(int attempts, std::optional<milliseconds> retry_after);
  void retry_later(const ItemPtr& item, milliseconds delay);
  Awaitable<void> retry_timer(std::shared_ptr<Lane> self);

  // lane_parked.cpp
  Awaitable<Result<void>> load_parked();
  ParkedRow row_of(const Item& item) const;
  void write_row(const ItemPtr& item, ParkedState state, std::string reason, std::string cause,
                 milliseconds delay, std::string waits_for);
  void row_committed(const ItemPtr& item);
  void park(const ItemPtr& item, ParkedState state, std::string reason, std::string cause,
            milliseconds delay = milliseconds{0}, std::string waits_for = {});
  void announce_dead(const ParkedRow& row);
  void retry_parked();
  Awaitable<void> retry_row(std::shared_ptr<Lane> self, std::uint64_t record, std::string key);
  Awaitable<void> parked_timer(std::shared_ptr<Lane> self);
  Result<Batch> decided(ParkedRow& row, const Decision& decision);
  ItemPtr item_of(const ParkedRow& row);

  // lane_commit.cpp
  void settle(Partition partition, Offset offset);
  void finish(const ItemPtr& item);
  std::size_t unrecorded_max() const;
  void commit_soon(bool urgent);
  void commit_now();
  void committed(const Result<void>& result);
  Awaitable<void> commit_again(std::shared_ptr<Lane> self);

  LaneContext context_;
  config::ConfigPtr config_;
  const config::Route* route_;
  const std::string id_;
  std::shared_ptr<Target> target_;
  std::map<Partition, route::Progress> progress_;
  std::unique_ptr<Follower> follower_;
  std::optional<FollowedRecord> held_back_;  ///< popped, but beyond its partition's window

  /// Items of one record in order; the first is being delivered or waits for its commit.
  std::unordered_map<std::uint64_t, std::deque<ItemPtr>> records_;
  std::deque<ItemPtr> ready_;  ///< first of their record, waiting for a free place
  std::set<std::pair<BootTime, ItemPtr>> retries_;
  std::size_t items_ = 0;
  int outstanding_ = 0;         ///< submitted to the target
  int parked_outstanding_ = 0;  ///< of these, retries of parked rows
  ParkedIndex parked_;

  std::set<Partition> dirty_;
  Batch writes_;
  std::vector<ItemPtr> finished_;  ///< to be unlocked by the next commit
  std::vector<ItemPtr> committing_;
  std::vector<std::string> bound_;
  std::vector<std::string> bound_committing_;
  bool announce_ = false;
  std::optional<Batch> batch_;  ///< kept until it is durable
  bool commit_under_way_ = false;
  bool nudged_ = false;
  bool commit_stuck_ = false;  ///< no space; nothing new starts

  bool stopping_ = false;
  bool paused_ = false;
  std::string pause_reason_;
  bool retry_timer_running_ = false;
  bool parked_timer_running_ = false;
  LaneStatus counts_;
};

}  // namespace millrace::deliver
