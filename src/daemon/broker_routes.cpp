// How routes begin: which text holds from which offset, and what a start makes of changed files
// (semantics 5, "Life of a route").
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "config/texts.hpp"
#include "daemon/broker.hpp"
#include "daemon/recovery.hpp"
#include "state/blocking_commit.hpp"

namespace millrace::daemon {
namespace {

const config::Route* find_route(const config::Config& config, std::string_view id) {
  for (const auto& [name, route] : config.routes) {
    if (route.id() == id) return &route;
  }
  return nullptr;
}

}  // namespace

std::shared_ptr<const RunningRoutes> Broker::running_routes() const {
  const std::lock_guard lock(config_mutex_);
  return running_routes_;
}

const RunningRoute* RunningRoutes::find(std::string_view name) const {
  const RunningRoute* draining = nullptr;
  for (const auto& [id, running] : routes) {
    if (running.route().name != name && id != name) continue;
    if (running.in_files) return &running;
    draining = &running;
  }
  return draining;
}

std::shared_ptr<deliver::Target> Broker::target_of(const std::string& connection) const {
  for (const auto* units : {&connections_, &kept_connections_}) {
    const auto found = units->find(connection);
    if (found != units->end() && found->second.target) return found->second.target;
  }
  return nullptr;
}

config::TextOptions Broker::text_options() const {
  return {config_->installation, options_.config_directory, registry_};
}

LogStream Broker::stream_of(const RouteLife& life) const {
  return log_->stream_of(Journal::events, life.entity);
}

// A route's place is in the stream it began with.
Result<void> Broker::check_streams(const RouteLives& lives, const config::Config& config) const {
  for (const auto& [name, route] : config.routes) {
    const auto life = lives.find(route.id());
    if (life == lives.end() || life->second.entity.empty()) continue;
    if (log_->stream_of(Journal::events, route.entity) == stream_of(life->second)) continue;
    return fail(Errc::config,
                fmt::format("route {} took from {} and is to take from {}, whose events are "
                            "counted by themselves on Kafka: give it another name",
                            name, life->second.entity, route.entity));
  }
  return {};
}

Result<std::map<Partition, route::Progress>> Broker::cursors_of(const RouteLife& life) const {
  return read_cursors(*state_, *log_, "route/" + life.id, stream_of(life));
}

Result<void> Broker::read_lives_again() {
  MILLRACE_TRY(lives, read_route_lives(*state_));
  for (auto& [id, life] : lives) {
    if (const auto known = lives_.find(id); known != lives_.end()) known->second = std::move(life);
  }
  lives_doubtful_ = false;
  forget_ended_replays();
  return {};
}

// A commit that was not answered may have come about, one that was refused met another's.
Result<void> Broker::commit_lives(Batch batch) {
  auto done = commit_blocking(*state_, std::move(batch));
  if (!done) lives_doubtful_ = true;
  return done;
}

// Gives a route of the files its row, its text and its connection's text. `ran` is the text it runs
// with here (nullptr: it does not run yet, and what is in the log has the row's); `from` is asked
// when the new one is another.
void Broker::adopt_route(RouteLives& lives, const config::Config& config,
                         const config::Route& route, const deliver::RouteText* ran,
                         const std::function<PartitionOffsets()>& from, Batch& batch) const {
  auto [at, fresh] = lives.try_emplace(route.id());
  RouteLife& life = at->second;
  const std::string before = fresh ? "" : encode(life);
  life.id = route.id();
  life.name = route.name;
  life.to = route.to;
  life.entity = route.entity;
  if (fresh) life.text = route.text;
  const std::string old = ran != nullptr ? ran->route->text : life.text;
  if (old != route.text) {
    change_text(life, old, route.text, from());
    // Another instance may have had no more use for it.
    if (ran != nullptr)
      batch.put(Table::routes, text_key(old), config::text_of(*ran->config, *ran->route));
  }
  life.text = route.text;
  life.dropped = false;
  if (life.drain && life.drain->removed) life.drain.reset();
  if (encode(life) == before) return;
  put_life(batch, life);
  batch.put(Table::routes, text_key(life.text), config::text_of(config, route));
}

// The connections that routes go to outlive their files as well, for routes that drain.
void Broker::keep_connection_texts(const config::Config& config, Batch& batch) const {
  std::set<std::string> targets;
  for (const auto& [name, route] : config.routes) targets.insert(route.to);
  for (const std::string& name : targets) {
    const std::string text = config::text_of(config.connections.find(name)->second);
    const auto stored = state_->get(Table::routes, connection_key(name));
    if (!stored || *stored != text) batch.put(Table::routes, connection_key(name), text);
  }
}

void Broker::drain_removed(RouteLives& lives, const config::Config& config, Batch& batch) const {
  for (auto& [id, life] : lives) {
    if (find_route(config, id) != nullptr) continue;
    if (life.drain && life.drain->removed) continue;
    const PartitionOffsets ends = log_->ends(stream_of(life));
    RouteLife::Drain drain{ends, true, "it is no longer in the configuration", clock_.wall_now()};
    if (life.drain) drain.until = life.drain->until;  // a person had ended it before
    life.drain = std::move(drain);
    put_life(batch, life);
    spdlog::warn("route removed, it delivers what it had and takes up nothing new route={}",
                 life.name);
  }
}

// What the files make of the routes that the state knows.
Result<RouteLives> Broker::adopt_routes(Batch& batch) {
  MILLRACE_TRY(lives, read_route_lives(*state_));
  MILLRACE_CHECK_OK(finish_dropped(lives));
  MILLRACE_CHECK_OK(check_streams(lives, *config_));
  MILLRACE_CHECK_OK(look_at_ends());
  MILLRACE_TRY(stopped, state_->get(Table::routes, kStoppedKey));
  // Of several instances nobody knows it.
  const bool in_order = stopped.has_value() && !shares();
  if (stopped) batch.erase(Table::routes, std::string(kStoppedKey));
  for (const auto& [name, route] : config_->routes) {
    MILLRACE_TRY(cursors, route_start(*state_, *log_, route, owned()));
    const auto from = [&]() -> PartitionOffsets {
      // After a crash nobody knows what was on the wire, so what is in the log keeps its text.
      PartitionOffsets offsets = log_->ends(log_->stream_of(Journal::events, route.entity));
      if (in_order) {
        for (const auto& [partition, progress] : cursors) {
          offsets[partition] = progress.taken_through();
        }
      }
      spdlog::info("route has another text than before the stop route={} keeps_old={}", name,
                   in_order ? "what was taken up" : "what is in the log");
      return offsets;
    };
    adopt_route(lives, *config_, route, nullptr, from, batch);
  }
  drain_removed(lives, *config_, batch);
  keep_connection_texts(*config_, batch);
  return lives;
}

Result<void> Broker::start_routes() {
  auto adopt = [this](Batch& batch) { return adopt_routes(batch); };
  MILLRACE_TRY(lives, change_lives(*state_, adopt));
  lives_ = std::move(lives);
  auto running = std::make_shared<RunningRoutes>();
  for (const auto& [id, life] : lives_) {
    const auto text = running_text(life, *running);
    if (!text) continue;
    running->routes[id] = {*text, find_route(*config_, id) != nullptr, life.drain, life.replay};
  }
  publish_routes(running);
  for (const auto& [id, why] : running->broken) MILLRACE_CHECK_OK(leave_tail(id, owned()));
  MILLRACE_CHECK_OK(judge_restored_rows());
  for (const auto& [id, route] : running->routes) MILLRACE_CHECK_OK(start_lanes(id));
  return {};
}

// A route without a lane stays where it is: the tail goes on without it.
Result<void> Broker::leave_tail(const std::string& id, PartitionSet partitions) {
  const RouteLife& life = lives_.at(id);
  MILLRACE_TRY(cursors, cursors_of(life));
  Batch batch;
  for (auto& [partition, progress] : cursors) {
    if (!partitions.contains(partition)) continue;
    batch.put(Table::cursors, row_key("route/" + id, fmt::format("{:02x}", partition)),
              progress.encode(log_->id_of(stream_of(life))));
  }
  if (batch.writes.empty()) return {};
  return commit_blocking(*state_, std::move(batch));
}

void Broker::publish_routes(std::shared_ptr<const RunningRoutes> routes) {
  const std::lock_guard lock(config_mutex_);
  running_routes_ = std::move(routes);
}

// The text a route runs with: of the files, or as stored when it is no longer in them.
std::optional<deliver::RouteText> Broker::running_text(const RouteLife& life,
                                                       RunningRoutes& running) {
  if (const config::Route* route = find_route(*config_, life.id)) {
    return deliver::RouteText{config_, route};
  }
  auto compiled = stored_text(life, life.text);
  if (compiled) return *compiled;
  spdlog::error("a removed route cannot drain route={} error={}", life.name,
                compiled.error().message);
  running.broken[life.id] = compiled.error().message;
  return std::nullopt;
}

Result<deliver::RouteText> Broker::stored_text(const RouteLife& life, const std::string& hash) {
  MILLRACE_TRY(text, state_->get(Table::routes, text_key(hash)));
  if (!text) return fail(Errc::corrupt, "its text is not in the state store");
  MILLRACE_TRY(connection, stored_connection(life.to));
  MILLRACE_TRY(compiled, config::compile_text(*text, connection, text_options()));
  if (compiled->routes.empty()) return fail(Errc::corrupt, "its stored text names no route");
  return deliver::RouteText{compiled, &compiled->routes.begin()->second};
}

// A connection of the files, or one that only a draining route still needs.
Result<config::Connection> Broker::stored_connection(const std::string& name) {
  const auto known = config_->connections.find(name);
  if (known != config_->connections.end()) return known->second;
  MILLRACE_TRY(text, state_->get(Table::routes, connection_key(name)));
  if (!text) return fail(Errc::corrupt, fmt::format("connection {} is not known any more", name));
  MILLRACE_TRY(connection, config::compile_connection(*text, text_options()));
  if (!kept_connections_.contains(name)) {
    MILLRACE_TRY(made, make_connection(connection));
    kept_connections_[name] = made;
  }
  return connection;
}

Result<void> Broker::start_lanes(const std::string& id) {
  const RouteLife& life = lives_.at(id);
  const auto running = running_routes();
  deliver::LaneStart start;
  start.text = running->routes.at(id).text;
  start.parked_total = std::make_shared<std::atomic<std::int64_t>>(0);
  if (life.drain) start.until = life.drain->until;
  start.restored = restored_past(id);
  start.target = target_of(start.text.route->to);
  if (!start.target) {
    return fail(Errc::config, fmt::format("route {}: connection {} is no target", life.name,
                                          start.text.route->to));
  }
  for (const auto& older : life.older) {
    auto text = stored_text(life, older.text);
    if (text) {
      start.older.push_back({*std::move(text), older.below});
    } else {
      spdlog::error(
          "an earlier text of a route cannot be used, its events are sent with the "
          "present one route={} error={}",
          life.name, text.error().message);
    }
  }
  MILLRACE_TRY(pause, state_->get(Table::routes, pause_key(id)));
  if (pause) {
    // A pause outlives a restart: whoever paused the route said why.
    MILLRACE_TRY(json, parse_json(*pause));
    start.paused = string_or(json, "reason", "paused");
  }
  MILLRACE_TRY(cursors, cursors_of(life));
  deliver::ReplayPartitions replayed;
  if (life.replay) {
    MILLRACE_TRY(read, read_replay(id));
    replayed = std::move(read);
  }
  for (const auto& unit : units_) {
    deliver::LaneStart own = start;
    if (life.replay) own.replay = own_replay(*unit, life.replay, replayed);
    for (const auto& [partition, progress] : cursors) {
      if (unit->owned.contains(partition)) own.progress.emplace(partition, progress);
    }
    auto work = [this, &unit, own] { return start_lane(*unit, own); };
    MILLRACE_CHECK_OK(run_on(unit->shard, work));
  }
  for (const auto& unit : units_) {
    unit->shard.post([&unit = *unit, id] {
      if (const auto lane = unit.lanes.find(id); lane != unit.lanes.end()) lane->second->thaw();
    });
  }
  return {};
}

Awaitable<Result<void>> Broker::start_lane(ShardUnit& unit, deliver::LaneStart start) {
  const std::string id = start.text.route->id();
  const LogStream stream = log_->stream_of(Journal::events, start.text.route->entity);
  auto lane = std::make_shared<deliver::Lane>(lane_context(unit, stream), std::move(start));
  unit.lanes[id] = lane;
  auto started = co_await lane->start();
  co_return started;
}

// A target that waits for a person does so across restarts: a row says why.
void Broker::keep_held(Shard& home, const std::string& connection,
                       const std::optional<std::string>& reason) {
  Batch batch;
  const std::string key = row_key("held", connection);
  if (reason) {
    batch.put(Table::routes, key, *reason);
  } else {
    batch.erase(Table::routes, key);
  }
  state_->commit(std::move(batch), Urgency::now, home, [connection](const Result<void>& done) {
    if (done) return;
    spdlog::warn("that a connection waits for a person is not saved connection={} error={}",
                 connection, done.error().message);
  });
}

}  // namespace millrace::daemon
