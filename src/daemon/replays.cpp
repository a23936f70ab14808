// Replays that are under way: their rows, and their end.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "daemon/broker.hpp"

namespace millrace::daemon {

deliver::ReplayStart Broker::own_replay(const ShardUnit& unit, deliver::ReplayOrderPtr order,
                                        const deliver::ReplayPartitions& partitions) {
  deliver::ReplayStart own{std::move(order), {}};
  for (const auto& [partition, part] : partitions) {
    if (unit.owned.contains(partition)) own.partitions.emplace(partition, part);
  }
  return own;
}

Result<deliver::ReplayPartitions> Broker::read_replay(const std::string& id) {
  deliver::ReplayPartitions partitions;
  const std::string prefix = deliver::replay_owner(id) + '\0';
  const std::string stream_id = log_->id_of(stream_of(lives_.at(id)));
  MILLRACE_TRY(rows, state_->scan(Table::cursors, prefix, "", kPartitionCount));
  for (const Row& row : rows) {
    MILLRACE_TRY(part, deliver::decode_replay_partition(row.value, stream_id));
    const auto partition = std::strtoul(row.key.c_str() + prefix.size(), nullptr, 16);
    partitions.emplace(static_cast<Partition>(partition % kPartitionCount), std::move(part));
  }
  return partitions;
}

Result<void> Broker::erase_replay_rows(const std::string& id, Batch& batch) {
  const std::string prefix = deliver::replay_owner(id) + '\0';
  MILLRACE_TRY(rows, state_->scan(Table::cursors, prefix, "", kPartitionCount));
  for (const Row& row : rows) batch.erase(Table::cursors, row.key);
  return {};
}

void Broker::publish_life(RouteLife life) {
  const auto before = running_routes();
  auto routes = std::make_shared<RunningRoutes>(*before);
  const auto running = routes->routes.find(life.id);
  if (running != routes->routes.end()) {
    running->second.drain = life.drain;
    running->second.replay = life.replay;
  }
  publish_routes(std::move(routes));
  std::string id = life.id;
  lives_[std::move(id)] = std::move(life);
}

// The end of a replay is written, though nobody answered that.
void Broker::forget_ended_replays() {
  std::erase_if(ending_replays_, [this](const auto& ending) {
    const auto life = lives_.find(ending.first);
    if (life != lives_.end() && life->second.replay) return false;
    if (life != lives_.end()) publish_life(life->second);
    return true;
  });
}

// A replay whose lanes have come to the end of it, or whose end is not written yet.
Result<void> Broker::tend_replay(const std::string& id) {
  bool done = true;
  for (const auto& unit : units_) {
    if (ending_replays_.contains(id)) break;
    auto ask = [&unit = *unit, &id, &done]() -> Awaitable<Result<void>> {
      const auto lane = unit.lanes.find(id);
      const auto replay = lane != unit.lanes.end() ? lane->second->status().replay : std::nullopt;
      done = done && replay && replay->done && lane->second->recorded();
      co_return Result<void>{};
    };
    MILLRACE_CHECK_OK(run_on(unit->shard, ask));
  }
  if (!done) return {};
  const auto ended = end_replay(id, "replay done", "");
  return ended ? Result<void>{} : std::unexpected(ended.error());
}

Result<deliver::ReplayCounts> Broker::end_replay_in_lanes(const std::string& id) {
  deliver::ReplayCounts counts;
  for (const auto& unit : units_) {
    auto end = [&unit = *unit, &id, &counts]() -> Awaitable<Result<void>> {
      const auto lane = unit.lanes.find(id);
      if (lane == unit.lanes.end()) co_return Result<void>{};
      if (const auto replay = lane->second->status().replay) counts += replay->counts;
      lane->second->end_replay();
      co_return Result<void>{};
    };
    MILLRACE_CHECK_OK(run_on(unit->shard, end));
  }
  return counts;
}

// The lanes first: one that sends on would write again what is erased here. When the state is away
// then, the maintenance writes later what was to be written.
Result<deliver::ReplayCounts> Broker::end_replay(const std::string& id, std::string_view how,
                                                 std::string_view reason) {
  if (!ending_replays_.contains(id)) {
    MILLRACE_TRY(sent, end_replay_in_lanes(id));
    ending_replays_[id] = {sent, std::string(how), std::string(reason)};
  }
  const EndingReplay ending = ending_replays_.at(id);
  const deliver::ReplayCounts& counts = ending.counts;
  RouteLife life = lives_.at(id);
  const std::string summary = fmt::format(
      "replay {}: {} sent, {} parked; passed over {} superseded, {} held, {} decided, {} overtaken",
      life.replay->number, counts.sent, counts.parked, counts.superseded, counts.held,
      counts.decided, counts.overtaken);
  life.replay.reset();
  Batch batch;
  MILLRACE_CHECK_OK(erase_replay_rows(id, batch));
  put_life(batch, life);
  audit(batch, ending.how, life.name,
        ending.reason.empty() ? summary : fmt::format("{} ({})", ending.reason, summary));
  MILLRACE_CHECK_OK(commit_lives(std::move(batch)));
  spdlog::info("{} route={} {}", ending.how, life.name, summary);
  publish_life(std::move(life));
  ending_replays_.erase(id);
  return counts;
}

}  // namespace millrace::daemon
