#include "daemon/route_steer.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <thread>

#include "daemon/recovery.hpp"

namespace millrace::daemon {
namespace {

constexpr milliseconds kQuiesceMax{10'000};
constexpr milliseconds kQuiescePoll{10};

}  // namespace

Result<const RunningRoute*> RouteSteer::find() {
  running_ = broker_.running_routes();
  const RunningRoute* found = running_->find(request_.route);
  if (found == nullptr) {
    return fail(Errc::not_found, fmt::format("there is no route '{}'", request_.route));
  }
  id_ = found->route().id();
  return found;
}

// A replay counts from where the route stands.
Result<void> RouteSteer::no_replay(const RunningRoute& running) const {
  if (!running.replay) return {};
  return fail(Errc::conflict, fmt::format("a replay of it is under way: wait for its end, or "
                                          "`millrace replay {} --stop`",
                                          request_.route));
}

Result<void> RouteSteer::need_reason() const {
  if (!request_.reason.empty()) return {};
  return fail(Errc::invalid_argument, "say why: --reason TEXT");
}

Result<Json> RouteSteer::answer(const Moves& moves, std::string what, std::string command) {
  if (moves.gone > 0) {
    what += fmt::format("; {} records before them were dropped from the log unread", moves.gone);
  }
  if (!moves.unreadable.empty()) {
    what += "; from here on nothing can be read or counted: " + moves.unreadable;
  }
  JsonObject json{{"route", request_.route}, {"done", request_.yes}, {"what", std::move(what)},
                  {"let_go", moves.let_go},  {"again", moves.again}, {"parked", moves.rows}};
  if (!request_.yes) json.emplace("next", std::move(command) + " --yes --reason TEXT");
  return Json(std::move(json));
}

Result<Json> RouteSteer::drain() {
  MILLRACE_TRY(lock, broker_.begin_control());
  MILLRACE_CHECK_OK(need_reason());
  MILLRACE_TRY(running, find());
  if (running->drain) return fail(Errc::conflict, "it drains already");
  RouteLife life = broker_.lives_.at(id_);
  life.drain = RouteLife::Drain{broker_.log_->ends(stream()), false, request_.reason,
                                broker_.clock_.wall_now()};
  return set_drain(std::move(life), "draining");
}

Result<Json> RouteSteer::go_on() {
  MILLRACE_TRY(lock, broker_.begin_control());
  MILLRACE_TRY(running, find());
  if (!running->drain || running->drain->removed) return Json(JsonObject{});
  RouteLife life = broker_.lives_.at(id_);
  life.drain.reset();
  return set_drain(std::move(life), "running");
}

Result<Json> RouteSteer::set_drain(RouteLife life, std::string_view state) {
  Batch batch;
  put_life(batch, life);
  broker_.audit(batch, fmt::format("route {}", state), request_.route, request_.reason);
  MILLRACE_CHECK_OK(broker_.commit_lives(std::move(batch)));
  const auto until = life.drain ? std::optional(life.drain->until) : std::nullopt;
  auto routes = std::make_shared<RunningRoutes>(*running_);
  routes->routes.at(id_).drain = life.drain;
  broker_.publish_routes(std::move(routes));
  broker_.lives_[id_] = std::move(life);
  for (const auto& unit : broker_.units_) {
    unit->shard.post([&unit = *unit, id = id_, until] {
      const auto lane = unit.lanes.find(id);
      if (lane != unit.lanes.end()) lane->second->drain(until);
    });
  }
  spdlog::info("route {} route={} reason=\"{}\"", state, request_.route, request_.reason);
  return Json(JsonObject{{"route", request_.route}, {"state", state}});
}

Result<Json> RouteSteer::seek() {
  MILLRACE_TRY(lock, broker_.begin_control());
  if (request_.yes) MILLRACE_CHECK_OK(need_reason());
  MILLRACE_TRY(running, find());
  MILLRACE_CHECK_OK(no_replay(*running));
  if (running->drain) {
    return fail(Errc::conflict, "it drains: `routes resume` it first, or `routes drop` it");
  }
  if (request_.yes) MILLRACE_CHECK_OK(quiesce());
  auto done = [this]() -> Result<Json> {
    MILLRACE_TRY(now, broker_.cursors_of(broker_.lives_.at(id_)));
    MILLRACE_TRY(to, position(now));
    MILLRACE_TRY(moves, move_to(to));
    if (request_.yes) MILLRACE_CHECK_OK(carry_out(moves, "sought past"));
    return answer(moves,
                  fmt::format("move route {} to {}: {} undelivered events are let go, {} events "
                              "are sent again with the keys they had",
                              request_.route, request_.to, moves.let_go, moves.again),
                  fmt::format("millrace routes seek {} --to {}", request_.route, request_.to));
  }();
  if (request_.yes && !done) wake();
  return done;
}

Result<Json> RouteSteer::skip() {
  MILLRACE_TRY(lock, broker_.begin_control());
  if (request_.to.empty() == request_.record.empty()) {
    return fail(Errc::invalid_argument, "say one of --record RECORD and --to POSITION");
  }
  if (request_.yes) MILLRACE_CHECK_OK(need_reason());
  MILLRACE_TRY(running, find());
  MILLRACE_CHECK_OK(no_replay(*running));
  if (request_.yes) MILLRACE_CHECK_OK(quiesce());
  auto done = [this]() -> Result<Json> {
    Moves moves;
    if (request_.record.empty()) {
      MILLRACE_TRY(now, broker_.cursors_of(broker_.lives_.at(id_)));
      MILLRACE_TRY(to, position(now));
      // A skip never goes back.
      for (const auto& [partition, progress] : now) {
        to[partition] = std::max(to[partition], progress.cursor());
      }
      MILLRACE_TRY(moved, move_to(to));
      moves = std::move(moved);
    } else {
      MILLRACE_TRY(skipped, skip_record());
      moves = std::move(skipped);
    }
    if (request_.yes) MILLRACE_CHECK_OK(carry_out(moves, "skipped"));
    const std::string which =
        request_.record.empty() ? "up to " + request_.to : "of record " + request_.record;
    return answer(moves,
                  fmt::format("let go of {} undelivered events {} on route {}, and of {} parked "
                              "deliveries",
                              moves.let_go, which, request_.route, moves.rows),
                  fmt::format("millrace routes skip {} {}", request_.route,
                              request_.record.empty() ? "--to " + request_.to
                                                      : "--record " + request_.record));
  }();
  if (request_.yes && !done) wake();
  return done;
}

Result<Json> RouteSteer::drop() {
  MILLRACE_TRY(lock, broker_.begin_control());
  if (request_.yes) MILLRACE_CHECK_OK(need_reason());
  running_ = broker_.running_routes();
  if (running_->broken.contains(request_.route)) {
    id_ = request_.route;
  } else {
    MILLRACE_TRY(running, find());
    if (running->in_files) {
      return fail(Errc::conflict,
                  "it is in the configuration: remove it there and reload, then drop it if it "
                  "shall not deliver what it has; or move it with `routes seek`");
    }
  }
  Moves moves;
  MILLRACE_TRY(cursors, broker_.cursors_of(broker_.lives_.at(id_)));
  PartitionOffsets from = broker_.log_->ends(stream());
  for (const auto& [partition, progress] : cursors) from[partition] = progress.cursor();
  moves.progress = std::move(cursors);
  const auto& life = broker_.lives_.at(id_);
  if (life.drain && !running_->broken.contains(id_)) {
    MILLRACE_CHECK_OK(let_go(moves, from, life.drain->until));
  }
  MILLRACE_TRY(rows, count_rows());
  moves.rows = rows;
  if (request_.yes) {
    broker_.audit(
        moves.writes, "route dropped", request_.route,
        fmt::format("{} ({} events, {} parked)", request_.reason, moves.let_go, moves.rows));
    MILLRACE_CHECK_OK(broker_.forget_route(id_, std::move(moves.writes)));
    note(moves, "dropped");
    broker_.texts_changed_ = true;
  }
  return answer(moves,
                fmt::format("end route {} and let go of {} undelivered events and {} parked "
                            "deliveries",
                            request_.route, moves.let_go, moves.rows),
                fmt::format("millrace routes drop {}", request_.route));
}

Result<std::uint64_t> RouteSteer::count_rows() {
  return broker_.state_->count(Table::parked, id_ + '\0');
}

// Nothing of the route is on the wire, and everything that was answered is recorded.
Result<void> RouteSteer::quiesce() {
  const BootTime until = broker_.clock_.boot_now() + kQuiesceMax;
  for (;;) {
    if (auto go_on = broker_.not_stopping(); !go_on) return go_on;
    MILLRACE_TRY(still, broker_.lanes_at_rest(id_));
    if (still) return {};
    if (broker_.clock_.boot_now() >= until) {
      wake();
      return fail(Errc::conflict,
                  "requests of this route are on the wire and not answered yet: try again when "
                  "they have timed out");
    }
    std::this_thread::sleep_for(kQuiescePoll);
  }
}

void RouteSteer::wake() {
  for (const auto& unit : broker_.units_) {
    unit->shard.post([&unit = *unit, id = id_] {
      const auto lane = unit.lanes.find(id);
      if (lane != unit.lanes.end()) lane->second->thaw();
    });
  }
}

// The lanes are at rest: they end, and others begin where the route shall stand.
Result<void> RouteSteer::carry_out(Moves& moves, std::string_view what) {
  for (auto& [partition, progress] : moves.progress) {
    moves.writes.put(Table::cursors, row_key("route/" + id_, fmt::format("{:02x}", partition)),
                     progress.encode(broker_.log_->id_of(stream())));
  }
  broker_.audit(
      moves.writes, fmt::format("route {}", what), request_.route,
      fmt::format("{} (to {}{}; {} let go, {} gone, {} again, {} parked{}{})", request_.reason,
                  request_.to, request_.record, moves.let_go, moves.gone, moves.again, moves.rows,
                  moves.unreadable.empty() ? "" : "; unreadable: ", moves.unreadable));
  MILLRACE_CHECK_OK(broker_.replace_lanes(id_, std::move(moves.writes)));
  note(moves, what);
  spdlog::warn("route {} route={} to={}{} let_go={} again={} parked={} reason=\"{}\"", what,
               request_.route, request_.to, request_.record, moves.let_go, moves.again, moves.rows,
               request_.reason);
  return {};
}

// What was let go is a hop of its record, so that `where` shows it.
void RouteSteer::note(const Moves& moves, std::string_view what) {
  ShardUnit& unit = *broker_.units_.front();
  unit.shard.post(
      [&unit, hops = moves.hops, owner = id_, word = std::string(what), reason = request_.reason] {
        for (const auto& [record, event] : hops) {
          unit.trail->note({record, "operator", owner, word, event, reason});
        }
        unit.trail->flush();
      });
}

}  // namespace millrace::daemon
