// Routes are seen off: when they have delivered all they had, or when a person ends them.
#include <spdlog/spdlog.h>

#include "daemon/broker.hpp"
#include "daemon/recovery.hpp"
#include "state/blocking_commit.hpp"

namespace millrace::daemon {
namespace {

constexpr milliseconds kTendEvery{1000};
constexpr std::size_t kRowsPerCommit = 2000;

}  // namespace

// Once a second, while there is anything to see off.
Awaitable<void> Broker::watch_routes() {
  Shard& shard = shards_->at(0);
  for (;;) {
    co_await sleep_for(kTendEvery);
    auto tend = [this] { return tend_routes(); };
    auto tended = co_await offload(control_->next(), shard, std::move(tend));
    // Another instance was faster: what is left to do is seen a second later.
    if (!tended && tended.error().code != Errc::precondition_failed)
      spdlog::warn("routes cannot be tended error={}", tended.error().message);
  }
}

Result<void> Broker::tend_routes() {
  MILLRACE_TRY(lock, begin_control());
  std::vector<std::string> done;
  std::vector<std::string> replaying;
  for (const auto& [id, life] : lives_) {
    if (life.replay && need_all_partitions()) replaying.push_back(id);
    // What others still deliver of it is not known here.
    if (life.drain && life.drain->removed && !shares()) {
      MILLRACE_TRY(drained, lanes_done(id));
      if (drained) done.push_back(id);
    }
  }
  for (const std::string& id : replaying) MILLRACE_CHECK_OK(tend_replay(id));
  for (const std::string& id : done) {
    spdlog::info("removed route has delivered all it had route={}", lives_.at(id).name);
    MILLRACE_CHECK_OK(forget_route(id, Batch{}));
    texts_changed_ = true;
  }
  return forget_texts();
}

// Those that every cursor has passed, and what is named by nothing any more.
Result<void> Broker::forget_texts() {
  const auto has_older = [](const auto& entry) { return !entry.second.older.empty(); };
  if (!texts_changed_ && std::ranges::none_of(lives_, has_older)) return {};
  if (shares()) MILLRACE_CHECK_OK(read_lives_again());
  RouteLives lives = lives_;
  Batch batch;
  for (auto& [id, life] : lives) {
    if (life.older.empty()) continue;
    MILLRACE_TRY(cursors, cursors_of(life));
    PartitionOffsets at{};
    for (const auto& [partition, progress] : cursors) at[partition] = progress.cursor();
    if (forget_passed(life, at)) put_life(batch, life);
  }
  if (!batch.writes.empty()) {
    texts_changed_ = true;
    // Refused when another instance was faster: there is another second.
    MILLRACE_CHECK_OK(commit_lives(std::move(batch)));
    lives_ = std::move(lives);
  }
  if (!texts_changed_) return {};
  MILLRACE_TRY(unused, unused_texts(*state_));
  if (!unused.writes.empty()) MILLRACE_CHECK_OK(commit_blocking(*state_, std::move(unused)));
  texts_changed_ = false;
  return {};
}

Result<bool> Broker::lanes_done(const std::string& id) {
  bool all = true;
  for (const auto& unit : units_) {
    auto ask = [&unit = *unit, &id, &all]() -> Awaitable<Result<void>> {
      const auto lane = unit.lanes.find(id);
      all = all && lane != unit.lanes.end() && lane->second->done();
      co_return Result<void>{};
    };
    MILLRACE_CHECK_OK(run_on(unit->shard, ask));
  }
  return all;
}

// They record nothing more, but still hold the tail where it is.
Result<void> Broker::retire_lanes(const std::string& id) {
  for (const auto& unit : units_) {
    auto retire = [&unit = *unit, &id]() -> Awaitable<Result<void>> {
      const auto lane = unit.lanes.find(id);
      if (lane != unit.lanes.end()) lane->second->retire();
      co_return Result<void>{};
    };
    MILLRACE_CHECK_OK(run_on(unit->shard, retire));
  }
  return {};
}

Result<void> Broker::remove_lanes(const std::string& id) {
  for (const auto& unit : units_) {
    auto remove = [&unit = *unit, &id]() -> Awaitable<Result<void>> {
      unit.lanes.erase(id);
      co_return Result<void>{};
    };
    MILLRACE_CHECK_OK(run_on(unit->shard, remove));
  }
  return {};
}

// The lanes that are there end with the commit, others begin where it says. Until it is durable the
// tail must not pass what they have not seen.
Result<void> Broker::replace_lanes(const std::string& id, Batch batch) {
  MILLRACE_CHECK_OK(retire_lanes(id));
  auto committed = commit_blocking(*state_, std::move(batch));
  MILLRACE_CHECK_OK(remove_lanes(id));
  MILLRACE_CHECK_OK(start_lanes(id));
  return committed;
}

Result<void> Broker::forget_route(const std::string& id, Batch batch) {
  MILLRACE_CHECK_OK(retire_lanes(id));
  for (const std::string& owner : {"route/" + id, deliver::replay_owner(id)}) {
    MILLRACE_TRY(rows, state_->scan(Table::cursors, owner + '\0', "", kPartitionCount));
    for (const Row& row : rows) batch.erase(Table::cursors, row.key);
  }
  RouteLife life = lives_.at(id);
  life.dropped = true;
  put_life(batch, life);
  const auto ended = commit_lives(std::move(batch));
  MILLRACE_CHECK_OK(remove_lanes(id));
  if (!ended) {
    if (running_routes()->routes.contains(id)) MILLRACE_CHECK_OK(start_lanes(id));
    return ended;
  }
  const auto before = running_routes();
  auto routes = std::make_shared<RunningRoutes>(*before);
  routes->routes.erase(id);
  routes->broken.erase(id);
  publish_routes(std::move(routes));
  lives_.erase(id);
  MILLRACE_CHECK_OK(erase_route_rows(id));
  return forget_kept_connections();
}

// What is left of a route that has ended: last its life, so that a crash finishes the rest.
Result<void> Broker::erase_route_rows(const std::string& id) {
  for (const auto& [table, prefix] :
       {std::pair(Table::parked, id + '\0'), {Table::routes, row_key("delivered", id) + '\0'}}) {
    for (;;) {
      MILLRACE_TRY(rows, state_->scan(table, prefix, "", kRowsPerCommit));
      if (rows.empty()) break;
      Batch batch;
      for (const Row& row : rows) batch.erase(table, row.key);
      MILLRACE_CHECK_OK(commit_blocking(*state_, std::move(batch)));
    }
  }
  Batch batch;
  batch.erase(Table::routes, pause_key(id));
  batch.erase(Table::routes, life_key(id));
  return commit_blocking(*state_, std::move(batch));
}

Result<void> Broker::finish_dropped(RouteLives& lives) {
  std::vector<std::string> dropped;
  for (const auto& [id, life] : lives) {
    if (life.dropped) dropped.push_back(id);
  }
  for (const std::string& id : dropped) {
    spdlog::info("a route that had ended is forgotten route={}", id);
    MILLRACE_CHECK_OK(erase_route_rows(id));
    lives.erase(id);
  }
  return {};
}

Result<void> Broker::forget_kept_connections() {
  std::set<std::string> needed;
  for (const auto& [id, life] : lives_) needed.insert(life.to);
  auto forget = [this, &needed]() -> Awaitable<Result<void>> {
    std::erase_if(kept_connections_, [this, &needed](const auto& kept) {
      return !needed.contains(kept.first) || connections_.contains(kept.first);
    });
    co_return Result<void>{};
  };
  return run_on(shards_->at(0), forget);
}

}  // namespace millrace::daemon
