// A running instance: everything put together. Starts in order, stops in reverse.
#pragma once

#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "admin/admin_api.hpp"
#include "config/load.hpp"
#include "config/model.hpp"
#include "config/texts.hpp"
#include "daemon/ask.hpp"
#include "daemon/membership.hpp"
#include "daemon/route_life.hpp"
#include "daemon/shard_unit.hpp"
#include "deliver/target.hpp"
#include "ingress/data_plane.hpp"
#include "ingress/dedupe_index.hpp"
#include "ingress/events_endpoint.hpp"
#include "ingress/hook_endpoint.hpp"
#include "ingress/intake.hpp"
#include "ingress/kafka_source.hpp"
#include "ingress/key_store.hpp"
#include "log/spool.hpp"
#include "millrace/connector.hpp"
#include "millrace/event_log.hpp"
#include "millrace/state_store.hpp"
#include "net/egress.hpp"
#include "net/http_server.hpp"
#include "net/reader_pool.hpp"
#include "net/shard.hpp"
#include "state/installation.hpp"
#include "state/restored.hpp"
#include "storage/disk.hpp"
#include "watch/clock_watch.hpp"
#include "watch/disk_budget.hpp"

namespace millrace::log {
class KafkaGroups;
class KafkaNumbers;
}  // namespace millrace::log

namespace millrace::daemon {

struct BrokerOptions {
  std::string config_directory;
  std::size_t shards = 0;  ///< 0: one a core
};

/// One connection with what it made: kept alive while anything may still call it.
struct ConnectionUnit {
  std::string fingerprint;
  std::shared_ptr<const EgressGate> gate;
  std::shared_ptr<deliver::Target> target;      ///< nullptr: not a target
  std::shared_ptr<canon::SourceReader> reader;  ///< nullptr: not read back
  std::shared_ptr<ingress::KafkaSource> kafka;  ///< nullptr: of another type
  Shard* home = nullptr;
};

/// A route with its lanes: one of the files, or one that was removed and delivers what it had.
struct RunningRoute {
  deliver::RouteText text;
  bool in_files = true;
  std::optional<RouteLife::Drain> drain;
  deliver::ReplayOrderPtr replay;

  const config::Route& route() const { return *text.route; }
};

struct RunningRoutes {
  std::map<std::string, RunningRoute> routes;  ///< by id
  std::map<std::string, std::string> broken;   ///< removed ones that cannot drain, and why

  /// By name or id; one of the files comes first. nullptr: there is none.
  const RunningRoute* find(std::string_view name) const;
};

class Operations;

class Broker {
 public:
  /// Starts everything; when it returns, the data plane answers. Errors name what to do.
  static Result<std::unique_ptr<Broker>> start(BrokerOptions options, config::ConfigPtr config,
                                               const ConnectorRegistry& registry);
  ~Broker();

  /// Stops accepting, drains, records, closes; within about `deadline`.
  void stop(milliseconds deadline);

  /// Takes the configuration directory in again (SIGHUP). Blocking; says what it did in the log.
  void reload(const std::string& author);

  std::uint16_t data_port() const { return data_server_->port(); }

 private:
  friend class Operations;
  friend class Reload;
  friend class RouteReplay;
  friend class RouteSteer;
  friend class RouteSwap;

  Broker(BrokerOptions options, config::ConfigPtr config, const ConnectorRegistry& registry);
  Result<void> open_stores();
  Result<void> open_files();
  Result<void> open_kafka();
  Result<std::unique_ptr<log::Spool>> open_spool();
  Result<void> open_state();
  Result<void> recover();
  Result<void> make_shards();
  Result<void> make_connections();
  void keep_held(Shard& home, const std::string& connection,
                 const std::optional<std::string>& reason);
  Result<ConnectionUnit> make_connection(const config::Connection& connection);
  Result<void> start_shards();
  Awaitable<Result<void>> start_unit(ShardUnit& unit, PartitionOffsets inbox_from);
  /// `offsets` of those partitions; kSkipPartition for the others.
  static PartitionOffsets only(PartitionSet partitions, PartitionOffsets offsets);

  // broker_partitions.cpp
  PartitionSet owned() const { return owned_.load(); }
  /// Whether other instances may own partitions, too.
  bool shares() const { return state_->group() != nullptr; }
  /// What one instance does for all: whoever owns the first partition.
  bool leads() const { return owned().contains(0); }
  InstanceNote instance_note() const;
  void join_group();
  Result<void> own(PartitionSet wanted);
  Result<void> hold_units();
  Awaitable<Result<void>> resume_unit(ShardUnit& unit, PartitionSet wanted,
                                      const PartitionOffsets& inbox_from);
  Result<void> read_again();
  /// Ends of the log tell what others appended, too: before a route's end or text is set by them.
  Result<void> look_at_ends();
  Result<void> begin_lanes_anew(PartitionSet partitions);
  Result<bool> lanes_at_rest(const std::string& id);
  void share_budgets(int instances);
  /// What an operator told another instance: pauses of routes, keys. On the membership's thread.
  void hear_others();
  Result<void> hear_pauses();
  /// Errc::conflict while other instances work on partitions: what moves a whole route needs all.
  Result<void> need_all_partitions() const;
  /// Errc::conflict, naming the instance that works on the partition.
  Result<void> need_partition(Partition partition) const;

  // broker_routes.cpp; what changes lives_ runs at start, or on the control thread under
  // reload_mutex_
  Result<void> start_routes();
  LogStream stream_of(const RouteLife& life) const;
  Result<void> check_streams(const RouteLives& lives, const config::Config& config) const;
  Result<std::map<Partition, route::Progress>> cursors_of(const RouteLife& life) const;
  Result<void> leave_tail(const std::string& id, PartitionSet partitions);
  Result<void> start_lanes(const std::string& id);
  Awaitable<Result<void>> start_lane(ShardUnit& unit, deliver::LaneStart start);
  Result<void> read_lives_again();
  Result<void> commit_lives(Batch batch);
  Result<RouteLives> adopt_routes(Batch& batch);
  void adopt_route(RouteLives& lives, const config::Config& config, const config::Route& route,
                   const deliver::RouteText* ran, const std::function<PartitionOffsets()>& from,
                   Batch& batch) const;
  void keep_connection_texts(const config::Config& config, Batch& batch) const;
  void drain_removed(RouteLives& lives, const config::Config& config, Batch& batch) const;
  std::optional<deliver::RouteText> running_text(const RouteLife& life, RunningRoutes& running);
  Result<deliver::RouteText> stored_text(const RouteLife& life, const std::string& hash);
  Result<config::Connection> stored_connection(const std::string& name);
  config::TextOptions text_options() const;
  std::shared_ptr<deliver::Target> target_of(const std::string& connection) const;
  std::shared_ptr<const RunningRoutes> running_routes() const;
  void publish_routes(std::shared_ptr<const RunningRoutes> routes);

  // route_end.cpp
  Awaitable<void> watch_routes();
  Result<void> tend_routes();
  Result<void> forget_texts();
  Result<bool> lanes_done(const std::string& id);
  Result<void> retire_lanes(const std::string& id);
  Result<void> remove_lanes(const std::string& id);
  Result<void> replace_lanes(const std::string& id, Batch batch);
  /// `batch` goes with the commit that ends it: a crash finds it ended, and finishes the rest.
  Result<void> forget_route(const std::string& id, Batch batch);
  Result<void> erase_route_rows(const std::string& id);
  Result<void> finish_dropped(RouteLives& lives);
  Result<void> forget_kept_connections();

  // replays.cpp
  deliver::ReplayStart own_replay(const ShardUnit& unit, deliver::ReplayOrderPtr order,
                                  const deliver::ReplayPartitions& partitions);
  Result<deliver::ReplayPartitions> read_replay(const std::string& id);
  Result<void> erase_replay_rows(const std::string& id, Batch& batch);
  void publish_life(RouteLife life);
  void forget_ended_replays();
  Result<void> tend_replay(const std::string& id);
  Result<deliver::ReplayCounts> end_replay(const std::string& id, std::string_view how,
                                           std::string_view reason);
  Result<deliver::ReplayCounts> end_replay_in_lanes(const std::string& id);

  // kafka_sources.cpp
  Result<void> start_kafka_sources();
  void stop_kafka_sources(const std::map<std::string, ConnectionUnit>& connections);
  /// Those that another instance is to take in; returns when they have ended.
  Result<void> stop_foreign_sources(PartitionSet wanted);
  std::shared_ptr<ingress::KafkaSource> kafka_source(const std::string& connection) const;

  Result<void> make_ingress();
  void start_ingress();
  canon::ProjectorContext projector_context(ShardUnit& unit);
  deliver::LaneContext lane_context(ShardUnit& unit, const LogStream& stream);
  void broadcast_reference(const std::string& key);
  config::ConfigPtr config() const;
  void set_config(config::ConfigPtr config);
  void replace_connections(std::map<std::string, ConnectionUnit> connections);
  std::unique_ptr<canon::Collector> make_collector(ShardUnit& unit);
  void publish_sources();
  void replace_doorbells(const config::ConfigPtr& config, const canon::PastPrograms& past);
  Awaitable<Json> doorbell_status(Shard& home);
  deliver::TargetStatus source_status(const std::string& connection) const;
  /// What of these field plans the source does not have; asks only for those that are not equal in
  /// `running` (nullptr: for all). The error is of the source.
  Awaitable<Result<std::vector<std::string>>> unfit_plans(canon::CollectPlanPtr wanted,
                                                          canon::CollectPlanPtr running,
                                                          std::string connection, Shard& home);
  Awaitable<Result<Outcome>> check_source(std::string name, Shard& home);
  Awaitable<Result<Outcome>> check_connection(std::string name, Shard& home);
  Result<void> start_admin();
  void wake_announcer();
  // announcer.cpp
  Awaitable<void> announce_dead();
  Result<std::set<std::string>> announced_already() const;
  Awaitable<void> commit_outbox(Batch batch);
  Awaitable<bool> append_announcements(std::vector<LogEntry> group);
  Awaitable<void> watch_disk();
  using ChangedRows =
      std::vector<std::pair<std::shared_ptr<deliver::Lane>, std::vector<Partition>>>;
  void move_tails(ShardUnit& unit);
  PartitionOffsets move_tail(ShardUnit& unit, const LogStream& stream, ChangedRows& changed,
                             Batch& batch);
  void move_projected(ShardUnit& unit, const LogStream& stream, Batch& batch);
  Awaitable<void> tell_disk_alarm(int alarm);
  Result<watch::DiskReport> measure_disk() const;
  watch::DiskReport disk_report() const;
  Result<void> begin_restored();
  Result<void> judge_restored_rows();
  std::optional<deliver::RestoredPast> restored_past(const std::string& route_id) const;
  Result<void> trust_clock();
  void note_clock();
  /// When the certificate that new connections get ends; nullopt: no TLS.
  std::optional<WallTime> certificate_ends() const;
  void note_certificate(const TlsContextPtr& tls);
  Awaitable<void> trim_journals();

  // published.cpp
  void start_publishing();
  Result<void> publish_cursors(log::KafkaGroups& groups);
  Awaitable<void> watch_published();

  bool drained();
  void note_stop();
  /// Errc::stopping once the daemon stops: nothing new is begun on the control thread.
  Result<void> not_stopping() const;
  /// One reload, move or end of a route at a time.
  Result<std::unique_lock<std::mutex>> begin_control();
  /// Since when and why the state store does not answer; nullopt: it does.
  std::optional<Error> state_away() const;

  /// Keeps what an operator did, in order. Rides with the next commit.
  void audit(std::string_view what, std::string_view object, std::string_view reason);
  /// The same, as part of the commit of what was done.
  void audit(Batch& batch, std::string_view what, std::string_view object,
             std::string_view reason) const;
  std::int64_t next_audit(WallTime now) const;
  Result<void> load_audit();
  /// Runs a coroutine on a shard and waits for it; never from a shard.
  static Result<void> run_on(Shard& shard, std::function<Awaitable<Result<void>>()> work);
  /// The same in two steps, for work on several shards that waits for each other.
  static std::future<Result<void>> begin_on(Shard& shard,
                                            std::function<Awaitable<Result<void>>()> work);
  static Result<void> await_begun(std::future<Result<void>> begun);
  static Awaitable<void> run_and_tell(std::function<Awaitable<Result<void>>()> work,
                                      std::shared_ptr<std::promise<Result<void>>> outcome);
  static Awaitable<void> run_later(milliseconds delay, Task task);

  BrokerOptions options_;
  config::ConfigPtr config_;
  const ConnectorRegistry& registry_;
  Clock& clock_ = system_clock();
  watch::ClockWatch clock_watch_{clock_, watch::machine_boot_id()};  ///< what grows old goes by it
  WallTime started_at_;

  std::unique_ptr<Disk> disk_;
  std::unique_ptr<ingress::DedupeIndex> inbox_ids_;  ///< before the log, which tells them
  std::unique_ptr<ingress::DedupeIndex> event_ids_;
  std::unique_ptr<EventLog> log_;
  std::unique_ptr<StateStore> state_;
  Installation installation_;
  std::optional<Restored> restored_;  ///< this installation came out of a backup
  PartitionOffsets inbox_from_{};
  canon::PastPrograms past_;  ///< at start

  std::unique_ptr<ingress::Counters> counters_;
  std::unique_ptr<ingress::Intake> intake_;
  std::unique_ptr<ingress::KeyStore> keys_;
  std::unique_ptr<ingress::HookEndpoint> hooks_;
  std::unique_ptr<ingress::EventsEndpoint> events_;
  std::unique_ptr<ingress::DataPlane> plane_;

  std::unique_ptr<ShardSet> shards_;
  std::unique_ptr<ReaderPool> readers_;
  std::shared_ptr<log::KafkaNumbers> kafka_numbers_;  ///< nullptr: the log is on files
  std::unique_ptr<ReaderPool> kafka_waiting_;         ///< for sources, whose calls wait for brokers
  std::map<std::string, ConnectionUnit> connections_;
  std::map<std::string, ConnectionUnit>
      kept_connections_;  ///< gone, but a route still drains there
  canon::SourceReaders sources_;
  std::vector<std::unique_ptr<ShardUnit>> units_;
  std::atomic<PartitionSet> owned_{PartitionSet()};  ///< changes on the control thread
  bool held_ = false;  ///< a change of partitions has begun; of the control thread
  std::shared_ptr<Share> share_ = std::make_shared<Share>();  ///< of what limits name
  std::unique_ptr<Membership> membership_;                    ///< nullptr: alone
  std::map<std::string, std::string>
      heard_pauses_;  ///< rows as last read; of the membership's thread
  std::unique_ptr<Notifier> announce_;
  TlsContextPtr tls_;                ///< what both servers begin with; nullptr: plain
  std::uint64_t clock_changes_ = 0;  ///< of clock_watch_, as saved
  std::unique_ptr<HttpServer> data_server_;
  std::unique_ptr<Operations> operations_;
  std::unique_ptr<admin::AdminApi> admin_api_;
  std::unique_ptr<HttpServer> admin_server_;
  std::unique_ptr<ReaderPool> control_;  ///< reloads: they wait for shards
  std::mutex reload_mutex_;              ///< one reload at a time
  mutable std::mutex config_mutex_;      ///< guards the pointers config_ and running_routes_ alone
  std::shared_ptr<const RunningRoutes> running_routes_ = std::make_shared<RunningRoutes>();
  RouteLives lives_;
  /// A replay that has ended in its lanes, and of whose end the state does not know yet.
  struct EndingReplay {
    deliver::ReplayCounts counts;
    std::string how;
    std::string reason;
  };
  std::map<std::string, EndingReplay> ending_replays_;  ///< by route id
  bool lives_doubtful_ = false;                         ///< a row may be another than is known
  bool texts_changed_ = true;                           ///< there may be texts that nothing names
  mutable std::mutex audit_mutex_;
  mutable std::int64_t last_audit_ = 0;  ///< the number of the last entry
  /// Of what the followers of all shards hold.
  std::shared_ptr<BatchBudget> followed_bytes_ = std::make_shared<BatchBudget>();
  mutable std::mutex disk_mutex_;  ///< guards disk_report_
  watch::DiskReport disk_report_;  ///< as last measured, without a holder
  std::atomic<std::uint64_t> generation_{1};
  std::atomic<bool> ready_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<WallTime> certificate_ends_{WallTime::max()};  ///< max: no TLS
  bool started_ = false;
  bool stopped_ = false;
};

}  // namespace millrace::daemon
