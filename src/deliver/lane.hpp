// A lane carries one route's events of one shard's partitions to its target: in the order of each
// record, many records at once, retried, parked or dead, never lost (semantics 5). Everything runs
// on the shard's thread.
#pragma once

#include <atomic>
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
#include "deliver/replay.hpp"
#include "deliver/target.hpp"
#include "log/follower.hpp"
#include "millrace/event_log.hpp"
#include "millrace/state_store.hpp"
#include "millrace/trail.hpp"
#include "net/callback.hpp"
#include "net/patience.hpp"
#include "net/reader_pool.hpp"
#include "net/tasks.hpp"
#include "route/progress.hpp"
#include "route/render.hpp"

namespace millrace::deliver {

inline constexpr std::size_t kItemsMax = 512;  ///< taken up and not recorded, per lane and shard
/// So many are always taken up, however large they are and whatever the others hold.
inline constexpr std::size_t kItemsAlways = 2;
/// What is taken up may take so much memory, in a lane and in all lanes of a shard.
inline constexpr std::size_t kTakenBytesMax = std::size_t{16} << 20;
/// A lane whose target answers takes so much, whatever the others hold.
inline constexpr std::size_t kTakenBytesAlways = std::size_t{256} << 10;
inline constexpr std::size_t kTakenBytesOfShardMax = std::size_t{32} << 20;

/// Beyond so many retries that wait in memory, a failure is parked: more would leave no room for
/// the events behind them. Each retry that fails again halves it, one that is delivered gives it
/// back.
inline constexpr std::size_t kRetriesMax = kItemsMax / 4;
inline constexpr std::size_t kRetriesAlways = 8;
/// While news flow on the shard, parked retries of a lane start at this distance at least. Each
/// that fails doubles it, one that is delivered gives it back.
inline constexpr milliseconds kParkedApart{5};
inline constexpr milliseconds kParkedApartMax{80};

/// What the lanes of a shard have in common.
struct LanesTogether {
  std::atomic<std::size_t> taken_bytes{0};  ///< what was taken up
  BootTime news_at{};  ///< when one of them last sent what was never tried before
};

struct LaneContext {
  Shard& shard;
  EventLog& log;
  StateStore& state;
  ReaderPool& readers;
  Clock& clock;
  Trail& trail;
  TailDispatcher& dispatcher;
  LogStream stream = Journal::events;  ///< that the route's events lie in, and the dispatcher's
  std::string stream_id;               ///< what its cursors carry
  std::string installation_uuid;
  std::size_t shard_count = 1;
  std::shared_ptr<LanesTogether> together;
  /// Told when an identity was bound and committed: rows of any lane may wait for it.
  std::function<void(const std::string& xref_key)> reference_bound;
  /// Told when a dead letter was committed with its outbox row.
  std::function<void()> announced;
};

struct LaneStatus {
  bool paused = false;
  std::string pause_reason;
  bool crowded = false;  ///< as much is parked as `parked_max` allows: nothing is taken up
  bool unsaved = false;  ///< its progress cannot be saved: nothing is started
  std::uint64_t delivered = 0;
  std::uint64_t skipped = 0;
  std::uint64_t repeated_unknown = 0;  ///< sent again although they may have been applied
  std::uint64_t retries = 0;
  std::size_t waiting = 0;  ///< taken up and not settled
  std::size_t parked = 0;
  std::size_t dead = 0;
  std::size_t undecided = 0;  ///< rows that wait for a person
  std::uint64_t lag = 0;      ///< records of the journal between here and its end

  std::optional<Follower::Failure> unreadable;  ///< the log cannot be read on

  std::optional<WallTime> oldest_at;  ///< append time of the oldest undelivered that was taken up
  microseconds oldest_held{0};        ///< how long this process has had it
  std::string oldest_record;          ///< of one in memory
  std::string oldest_row;             ///< key of one that is parked
  std::optional<ReplayStatus> replay;
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

/// The text of a route, and the configuration that keeps it alive.
struct RouteText {
  config::ConfigPtr config;
  const config::Route* route = nullptr;
};

/// An earlier text: what lies below these offsets is rendered with it.
struct OlderText {
  RouteText text;
  PartitionOffsets below{};
};

/// Of an installation that came out of a backup: what the lost one may have sent.
struct RestoredPast {
  PartitionOffsets events_below{};  ///< events of the backup
  PartitionOffsets inbox_below{};   ///< messages of the backup
  WallTime backup_at;
  WallTime restored_at;
  WallTime caught_up_at;  ///< from then on a change is no longer one from before the restore
};

/// What a lane begins with.
struct LaneStart {
  RouteText text;
  std::shared_ptr<Target> target;
  std::map<Partition, route::Progress> progress;  ///< one for each of the shard's partitions
  std::vector<OlderText> older;                   ///< oldest first
  std::optional<PartitionOffsets> until;          ///< a route that ends: nothing from there on
  std::optional<std::string> paused;              ///< why it does not send anything yet
  ParkedTotal parked_total;                       ///< shared by the route's lanes
  std::optional<RestoredPast> restored;
  std::optional<ReplayStart> replay;  ///< one that was under way
};

class Lane : public std::enable_shared_from_this<Lane> {
 public:
  Lane(LaneContext context, LaneStart start);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  /// Loads parked rows and follows the log; thaw() lets it go, once all lanes of the route have
  /// said what they have parked.
  Awaitable<Result<void>> start();
  /// Takes up nothing more; what is in flight may end.
  void stop();
  /// Takes nothing up until replace(), drain() or thaw(). Says from where another text would hold:
  /// below it anything may have been taken up (kSkipPartition for partitions of other shards).
  PartitionOffsets freeze();
  void thaw();
  /// Below these offsets anything may have been taken up, as freeze() says it.
  PartitionOffsets taken_through();
  /// Feeds the lane with events that were sent before, beside what is new.
  void begin_replay(ReplayStart start);
  /// What is under way may end; nothing more of the replay is taken up, sent or recorded.
  void end_replay();
  /// Starts nothing more until thaw(), and takes back what waits at the target. True when nothing
  /// is on the wire and everything is recorded; ask again until it is.
  bool rest();
  /// After stop(), or at rest: whatever still comes back is not recorded any more.
  void retire();
  /// After freeze(), and the commit of what it said: events taken up from now on are rendered with
  /// this text and everything undelivered goes to this target.
  void replace(RouteText text, std::shared_ptr<Target> target);
  /// Everything undelivered goes there.
  void retarget(std::shared_ptr<Target> target);
  /// Takes up nothing at or beyond these offsets; nullopt: goes on where it ended.
  void drain(std::optional<PartitionOffsets> until);
  /// A lane that drains has delivered all it had, and nobody has to decide anything.
  bool done();
  /// Of the log, that its events lie in.
  const LogStream& stream() const { return context_.stream; }
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
  /// From time to time: another lane of the route may have made room, a text may have had its day.
  void look_around();
  /// Whether the tail must stay where it is: the lane is on it, and has settled more than the store
  /// knows or does not move.
  bool holds_tail(Partition partition) const;
  /// Adds rows to `batch` so that the tail's rows can stand for this lane up to `tail`: once when
  /// it has nothing left there, and its own row again when it has. Says for which partitions.
  /// kSkipPartition: not this time.
  std::vector<Partition> join_tail(const PartitionOffsets& tail, Batch& batch);
  /// The commit of that batch failed.
  void forget_rows(const std::vector<Partition>& partitions);

 private:
  struct Item;
  using ItemPtr = std::shared_ptr<Item>;

  const config::Route& route() const { return *text_.route; }
  void pump();
  bool has_room() const;
  bool has_bytes() const;
  bool has_room_for_replay() const;
  void hold(const Item& item);
  void let_go(const Item& item);
  void add_oldest(LaneStatus& status) const;
  void take(const FollowedRecord& followed);
  void take_decoded(ItemPtr item);
  void enqueue(ItemPtr item);
  bool may_take_up() const {
    return !stopping_ && !paused_ && !frozen_ && !commit_stuck_ && !crowded();
  }
  /// Where an item waits for a free place.
  std::deque<ItemPtr>& ready_of(const ItemPtr& item);
  bool may_start() const;
  /// The item whose turn it is; nullptr: none.
  ItemPtr next_ready();
  void start_ready();
  void attempt(const ItemPtr& item);
  Awaitable<void> fetch_reference(std::shared_ptr<Lane> self, ItemPtr item, std::string key);
  DeliveryJob job_of(const ItemPtr& item);
  void submit(const ItemPtr& item);
  void on_result(const ItemPtr& item, DeliveryResult result);
  void came_back(const ItemPtr& item);
  void judge(const ItemPtr& item, const DeliveryResult& result);
  void on_delivered(const ItemPtr& item, const Outcome& outcome);
  void on_again(const ItemPtr& item, const DeliveryResult& result);
  void on_unknown(const ItemPtr& item, const DeliveryResult& result);
  void on_render_error(const ItemPtr& item, const Error& error);
  void on_unrendered(const ItemPtr& item, const Error& error, const std::string& wanted);
  bool retries_unknown(const Item& item) const;
  Offset beyond(const Item& item) const;
  milliseconds backoff(int attempts, std::optional<milliseconds> retry_after);
  void spend(const ItemPtr& item, microseconds odometer);
  void learn_from_retry(const Item& item, bool delivered);
  void retry_later(const ItemPtr& item, milliseconds delay, std::string reason);
  BootTime asks_at(const Item& item) const;
  void ask_for_those_that_wait(BootTime now);
  void waited_long(const ItemPtr& item, bool target_answers);
  void park_waiting(const ItemPtr& item);
  void park_far_behind(Partition partition, const route::Progress& progress,
                       const std::shared_ptr<Replay>& replay);
  Awaitable<void> retry_timer(std::shared_ptr<Lane> self);

  // lane_exclusive.cpp
  bool has_its_turn(const ItemPtr& item);
  void end_turn(const ItemPtr& item);

  // lane_restored.cpp
  bool made_again(const Item& item) const;
  /// True: a person is asked, and the event is done with.
  bool asked_after_restore(const ItemPtr& item);

  // lane_probe.cpp
  bool is_probed(const Item& item) const;
  bool asks_first(const Item& item) const;
  bool may_have_been_sent(const Item& item);
  void doubt(Item& item) const;
  void count_repetition(Item& item);
  void probe(const ItemPtr& item);
  void on_probed(const ItemPtr& item, DeliveryResult result);
  void probed(const ItemPtr& item, const DeliveryResult& result);
  void judge_probe(const ItemPtr& item, const DeliveryResult& result);
  bool recalled(const ItemPtr& item, const DeliveryResult& result);
  void bind(const Item& item, const std::string& external_id);
  void delivered(const ItemPtr& item, const std::string& detail);

  // lane_texts.cpp
  void follow();
  const RouteText& text_at(Partition partition, Offset offset) const;
  bool beyond_end(const LogRecord& record) const;
  void see_what_passed();
  void forget_older();

  // lane_parked.cpp
  Awaitable<Result<void>> load_parked();
  BootTime due_after_load(const ParkedRow& row) const;
  ParkedRow new_row(const Item& item) const;
  void write_row(const ItemPtr& item, ParkedState state, std::string reason, std::string cause,
                 milliseconds delay, std::string waits_for);
  void row_committed(const ItemPtr& item);
  void park(const ItemPtr& item, ParkedState state, std::string reason, std::string cause,
            milliseconds delay = milliseconds{0}, std::string waits_for = {});
  void announce_dead(const ParkedRow& row, const std::string& event_id);
  Awaitable<Result<void>> load_delivered();
  std::string delivered_key(std::string_view record) const;
  void note_delivered(const Item& item);
  void forget_delivered(const std::string& record);
  void forget_decided();
  bool crowded() const;
  int parked_places() const;
  void retry_parked();
  Awaitable<void> retry_row(std::shared_ptr<Lane> self, std::uint64_t record, std::string key);
  Awaitable<void> parked_timer(std::shared_ptr<Lane> self);
  Result<Batch> decided(ParkedRow& row, const Decision& decision);
  ItemPtr item_of(ParkedRow row);
  bool waits_for_decision(const ItemPtr& item, std::function<void()> go_on);
  void decision_over(const std::string& key);
  Awaitable<Result<Json>> decide_row(std::string key, Decision decision);
  Awaitable<Result<void>> await_recorded(std::string key);

  // lane_replay.cpp
  Awaitable<void> index_replay(std::shared_ptr<Lane> self, std::shared_ptr<Replay> replay);
  void follow_replay();
  void pump_replay();
  void take_replayed(const FollowedRecord& followed);
  void replay_failed(const Error& error);
  /// The replay is of events of another entity than the route takes now.
  bool fails_for_entity();
  ItemPtr replayed(const FollowedRecord& followed);
  bool passes_by(Item& item);
  void put_replay_rows();

  // lane_commit.cpp
  void settle(Partition partition, Offset offset);
  void pass_by(const Item& item);
  void finish(const ItemPtr& item);
  std::size_t unrecorded_max() const;
  std::size_t unrecorded_share() const;
  bool has_writes() const;
  void commit_soon(bool urgent);
  void commit_now();
  void committed(const Result<void>& result);
  Awaitable<void> commit_again(std::shared_ptr<Lane> self);

  LaneContext context_;
  RouteText text_;
  const std::string id_;
  std::vector<OlderText> older_;
  std::optional<PartitionOffsets> until_;
  std::optional<RestoredPast> restored_;
  PartitionOffsets frozen_at_{};
  PartitionOffsets begins_{};  ///< of the journal, as forget_decided() saw it
  std::shared_ptr<Target> target_;
  std::map<Partition, route::Progress> progress_;
  std::unique_ptr<Follower> follower_;
  std::optional<FollowedRecord> held_back_;  ///< popped, but beyond its partition's window

  /// Items of one record in order; the first is being delivered or waits for its commit.
  std::unordered_map<std::uint64_t, std::deque<ItemPtr>> records_;
  std::deque<ItemPtr> ready_;            ///< first of their record, waiting for a free place
  std::deque<ItemPtr> ready_of_replay_;  ///< the same; what is new goes first
  std::shared_ptr<Replay> replay_;
  std::optional<ReplayStart> start_replay_;  ///< until start()
  /// Values of `exclusive` that an item has, and who waits for it, in the order they came.
  std::unordered_map<std::uint64_t, std::deque<ItemPtr>> exclusive_;
  int parked_in_turn_ = 0;  ///< retries of parked rows that wait there
  std::set<std::pair<BootTime, ItemPtr>> retries_;
  BootTime next_ask_at_ = BootTime::max();  ///< none of them asks before
  std::size_t items_ = 0;
  std::size_t taken_bytes_ = 0;  ///< of these
  PartitionOffsets ends_at_start_{};
  std::size_t taken_up_again_ = 0;   ///< events from before the start that were taken up
  std::size_t events_repeated_ = 0;  ///< of these, counted as sent again
  std::size_t rows_repeated_ = 0;    ///< the same of parked rows
  int outstanding_ = 0;              ///< submitted to the target
  int parked_outstanding_ = 0;       ///< of these, retries of parked rows
  int replay_outstanding_ = 0;       ///< of these, of a replay
  BootTime parked_started_at_{};     ///< when one of them was last begun
  milliseconds parked_apart_ = kParkedApart;
  std::size_t retries_max_ = kRetriesMax;
  ParkedTotal parked_total_;
  ParkedIndex parked_;

  /// Rows that a person's word is being recorded about, and what waits for that.
  std::unordered_map<std::string, std::vector<std::function<void()>>> deciding_;

  std::set<Partition> dirty_;
  Batch writes_;
  std::vector<ItemPtr> finished_;  ///< to be unlocked by the next commit
  std::vector<ItemPtr> committing_;
  Notifier recorded_;                ///< after each commit
  std::size_t references_read_ = 0;  ///< being read from the identity map now
  std::set<std::string> bound_meanwhile_;
  std::vector<std::string> bound_;
  std::vector<std::string> bound_committing_;
  bool announce_ = false;
  std::optional<Batch> batch_;  ///< kept until it is durable
  bool commit_under_way_ = false;
  bool nudged_ = false;
  bool commit_stuck_ = false;  ///< no space; nothing new starts

  bool stopping_ = false;
  bool retired_ = false;
  bool frozen_ = true;         ///< starting, or a reload decides what holds from here on
  bool mixed_topics_ = false;  ///< an older text follows another entity
  bool paused_ = false;
  std::string pause_reason_;
  bool retry_timer_running_ = false;
  bool parked_timer_running_ = false;
  LaneStatus counts_;
};

}  // namespace millrace::deliver
