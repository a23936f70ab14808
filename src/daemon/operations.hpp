// What operators ask for: the handlers of the admin API's operations, by name.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "admin/admin_api.hpp"
#include "daemon/broker.hpp"
#include "daemon/route_replay.hpp"
#include "daemon/route_steer.hpp"

namespace millrace::daemon {

/// The lanes of one route, summed over the shards.
struct RouteSum {
  deliver::LaneStatus status;
  std::string oldest_id;   ///< of the oldest undelivered, when it is parked
  std::string oldest_why;  ///< and why it is
};

class Operations {
 public:
  /// The broker outlives the operations. Handlers run on `home`.
  Operations(Broker& broker, Shard& home) : broker_(broker), home_(home) {}

  void add_to(admin::AdminApi& api);
  Awaitable<std::string> metrics();

 private:
  // operations_problems.cpp
  static Json problem(std::string what, const std::optional<WallTime>& since,
                      std::string_view owner, std::string_view object, std::string next);
  /// Who holds the disk, and the command that helps; empty when nobody does.
  struct Holder {
    std::string name;
    std::string next;
  };
  Holder holder_of(const watch::DiskReport& disk,
                   const std::map<std::string, RouteSum>& sums) const;
  void add_disk_problems(JsonArray& list, const watch::DiskReport& disk,
                         const Holder& holder) const;
  /// Rows before any route, of one owner.
  struct Stuck {
    std::size_t dead = 0;  ///< messages that nobody can read
    std::size_t waiting = 0;
  };
  Json state_json() const;
  JsonArray state_problems() const;
  JsonArray problems(const std::map<std::string, RouteSum>& sums, const watch::DiskReport& disk,
                     const std::map<std::string, Stuck>& stuck,
                     const std::optional<Follower::Failure>& inbox) const;
  /// What is wrong with the log's files, and who stands still because of it.
  void add_log_problems(JsonArray& list, const std::map<std::string, RouteSum>& sums,
                        const std::optional<Follower::Failure>& inbox) const;
  void add_certificate_problem(JsonArray& list, WallTime now) const;

  /// For how long the oldest of them has been undelivered; 0: there is none.
  microseconds undelivered_for(const deliver::LaneStatus& lane) const;
  void add_late_problem(JsonArray& list, const config::Route& route, const RouteSum& sum) const;

  // operations_group.cpp
  Json group_json() const;
  JsonArray group_problems() const;
  void append_group_metrics(std::string& out) const;
  // operations_kafka.cpp
  void append_kafka_metrics(std::string& out) const;
  JsonArray kafka_problems() const;

  // operations_metrics.cpp
  void append_http_metrics(std::string& out) const;
  void append_dropped_metrics(std::string& out) const;
  void append_route_metrics(std::string& out, const std::map<std::string, RouteSum>& sums) const;

  // operations_status.cpp
  Awaitable<Result<Json>> status(Json args);
  Awaitable<Result<Json>> routes(Json args);
  Awaitable<Result<Json>> connections(Json args);
  Awaitable<std::map<std::string, RouteSum>> ask_lanes();
  /// Reads what is parked longest: a row a route. While the store is away they have no name.
  Awaitable<void> name_oldest(std::map<std::string, RouteSum>* sums);
  Json route_json(const RunningRoute& running, const RouteSum& sum) const;
  Json connections_json() const;
  static Json spool_json(const EventLog::Spooled& spooled);
  static Json disk_json(const watch::DiskReport& disk, const Holder& holder);
  Awaitable<std::optional<Follower::Failure>> ask_inbox();
  Result<std::map<std::string, Stuck>> count_stuck();

  // operations_parked.cpp
  Awaitable<Result<Json>> list(Json args, bool dead);
  Awaitable<Result<Json>> show(Json args);
  Awaitable<Result<Json>> decide(Json args, deliver::Decision::Kind kind);
  Awaitable<Result<Json>> decide_there(ShardUnit& unit, std::string owner, std::string key,
                                       deliver::Decision decision);
  Awaitable<Result<Json>> give_up(ShardUnit& unit, std::string key, deliver::Decision decision);
  Awaitable<Result<Json>> where(Json args);

  // operations_steer.cpp
  Awaitable<Result<Json>> pause(Json args, bool paused);
  using Steer = Result<Json> (RouteSteer::*)();
  Awaitable<Result<Json>> steer(Json args, Steer what);
  Awaitable<Result<Json>> replay(Json args);
  Awaitable<Result<Json>> stop_replay(Json args);
  Awaitable<Result<Json>> check(Json args);
  Awaitable<Result<Json>> resume_source(Json args);
  Awaitable<Result<Json>> fetch(Json args);
  Awaitable<Result<Json>> reload(Json args, bool apply);
  // operations_sources.cpp
  Awaitable<Result<Json>> plan(Json args);
  /// Which of these records lie inside the source's `domain:`.
  Awaitable<Result<std::set<std::int64_t>>> inside_domain(const config::EntitySource& source,
                                                          std::vector<std::int64_t> ids);
  Awaitable<Result<Json>> sample(config::ConfigPtr wanted, std::string entity, std::string prefix,
                                 std::int64_t records_max);
  Awaitable<Result<Json>> backfill(Json args, bool stop);
  Result<std::string> change_backfill(const std::string& entity, const config::EntitySource& source,
                                      std::int64_t pace, bool stop);
  Awaitable<Result<Json>> backfills();
  Awaitable<Result<Json>> check_model(Json args, bool accept);
  Result<JsonArray> held_checks();
  Result<std::string> change_mark(
      const std::string& key,
      const std::function<Result<std::string>(const std::optional<std::string>&)>& change);
  void watches_look_again();

  Awaitable<Result<Json>> list_keys();
  Awaitable<Result<Json>> backup(Json args);
  Awaitable<Result<Json>> accept_clock(Json args);
  Awaitable<Result<Json>> create_key(Json args);
  Awaitable<Result<Json>> revoke_key(Json args);

  Broker& broker_;
  Shard& home_;
};

}  // namespace millrace::daemon
