#include "daemon/route_swap.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "daemon/recovery.hpp"

namespace millrace::daemon {

RouteSwap::~RouteSwap() {
  if (!swapped_) thaw();
}

Result<void> RouteSwap::freeze() {
  for (const auto& unit : broker_.units_) {
    auto work = [this, &unit = *unit]() -> Awaitable<Result<void>> {
      for (const auto& [id, lane] : unit.lanes) {
        const PartitionOffsets own = lane->freeze();
        PartitionOffsets& all = frozen_[id];
        for (Partition p = 0; p < kPartitionCount; ++p) {
          if (own[p] != kSkipPartition) all[p] = own[p];
        }
      }
      co_return Result<void>{};
    };
    MILLRACE_CHECK_OK(Broker::run_on(unit->shard, work));
  }
  return {};
}

void RouteSwap::thaw() {
  for (const auto& unit : broker_.units_) {
    unit->shard.post([&unit = *unit] {
      for (const auto& [id, lane] : unit.lanes) lane->thaw();
    });
  }
}

Result<void> RouteSwap::prepare() {
  MILLRACE_CHECK_OK(broker_.check_streams(broker_.lives_, *wanted_));
  MILLRACE_CHECK_OK(broker_.look_at_ends());
  MILLRACE_CHECK_OK(freeze());
  auto adopt = [this](Batch& batch) { return adopt_routes(batch); };
  MILLRACE_TRY(lives, change_lives(*broker_.state_, adopt));
  lives_ = std::move(lives);
  return keep_connections();
}

Result<RouteLives> RouteSwap::adopt_routes(Batch& batch) {
  MILLRACE_CHECK_OK(broker_.read_again());
  MILLRACE_TRY(stored, read_route_lives(*broker_.state_));
  RouteLives lives = broker_.lives_;
  // Of the others, another instance has some; what is left of those that have ended goes first.
  std::erase_if(stored, [&lives](const auto& entry) { return lives.contains(entry.first); });
  MILLRACE_CHECK_OK(broker_.finish_dropped(stored));
  const auto running = broker_.running_routes();
  for (const auto& [name, route] : wanted_->routes) {
    if (const auto known = stored.find(route.id()); known != stored.end()) lives.insert(*known);
    const auto at = frozen_.find(route.id());
    if (at == frozen_.end()) {
      MILLRACE_CHECK_OK(route_start(*broker_.state_, *broker_.log_, route, broker_.owned()));
    }
    const auto from = [this, &route, &at] {
      return at != frozen_.end()
                 ? at->second
                 : broker_.log_->ends(broker_.log_->stream_of(Journal::events, route.entity));
    };
    const deliver::RouteText* ran =
        at != frozen_.end() ? &running->routes.at(route.id()).text : nullptr;
    broker_.adopt_route(lives, *wanted_, route, ran, from, batch);
  }
  broker_.drain_removed(lives, *wanted_, batch);
  broker_.keep_connection_texts(*wanted_, batch);
  return lives;
}

// A connection that is gone stays as long as a route drains there.
Result<void> RouteSwap::keep_connections() {
  auto keep = [this]() -> Awaitable<Result<void>> {
    for (const auto& [id, life] : lives_) {
      if (wanted_->connections.contains(life.to)) continue;
      const auto old = broker_.connections_.find(life.to);
      if (old != broker_.connections_.end()) broker_.kept_connections_[life.to] = old->second;
    }
    co_return Result<void>{};
  };
  return Broker::run_on(broker_.shards_->at(0), keep);
}

Result<void> RouteSwap::swap() {
  swapped_ = true;
  const auto before = broker_.running_routes();
  auto running = std::make_shared<RunningRoutes>();
  for (const auto& [id, life] : lives_) {
    const auto route = std::ranges::find_if(
        wanted_->routes, [&id](const auto& entry) { return entry.second.id() == id; });
    if (route != wanted_->routes.end()) {
      running->routes[id] = {{wanted_, &route->second}, true, life.drain, life.replay};
    } else if (const auto old = before->routes.find(id); old != before->routes.end()) {
      running->routes[id] = {old->second.text, false, life.drain, life.replay};
    } else if (const auto broken = before->broken.find(id); broken != before->broken.end()) {
      running->broken.insert(*broken);
    }
  }
  broker_.lives_ = std::move(lives_);
  broker_.texts_changed_ = true;
  for (const auto& unit : broker_.units_) {
    auto work = [this, &unit = *unit, &running = *running]() -> Awaitable<Result<void>> {
      for (const auto& [id, lane] : unit.lanes) swap_lane(*lane, running.routes.at(id));
      co_return Result<void>{};
    };
    MILLRACE_CHECK_OK(Broker::run_on(unit->shard, work));
  }
  broker_.publish_routes(running);
  for (const auto& [id, route] : running->routes) {
    if (!frozen_.contains(id)) MILLRACE_CHECK_OK(broker_.start_lanes(id));
  }
  return broker_.forget_kept_connections();
}

void RouteSwap::swap_lane(deliver::Lane& lane, const RunningRoute& running) {
  const auto target = broker_.target_of(running.route().to);
  if (running.in_files) {
    lane.replace(running.text, target);
  } else if (target) {
    lane.retarget(target);
  }
  lane.drain(running.drain ? std::optional(running.drain->until) : std::nullopt);
}

}  // namespace millrace::daemon
