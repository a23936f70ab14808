// What the disk has left, who holds it, and what retention lets go: on the first shard, the work
// itself on reader threads.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "daemon/broker.hpp"
#include "daemon/recovery.hpp"
#include "millrace/state_store.hpp"

namespace millrace::daemon {
namespace {

constexpr milliseconds kDiskEvery{1000};
constexpr int kTailEvery = 10;   // disk rounds
constexpr int kTrimEvery = 600;  // disk rounds: ten minutes

}  // namespace

Result<watch::DiskReport> Broker::measure_disk() const {
  auto owners = read_owners(*state_, *log_);
  // Who holds the disk is not known while the state is away; how full it is, is.
  if (!owners && owners.error().code == Errc::state_away) owners.emplace();
  if (!owners) return std::unexpected(std::move(owners).error());
  return watch::measure_disk(*log_, config()->installation.retention.size_fraction, *owners);
}

watch::DiskReport Broker::disk_report() const {
  const std::lock_guard lock(disk_mutex_);
  return disk_report_;
}

Awaitable<void> Broker::watch_disk() {
  Shard& shard = shards_->at(0);
  for (int round = 1;; ++round) {
    auto measure = [this]() -> Result<watch::DiskReport> {
      return watch::measure_disk(*log_, config()->installation.retention.size_fraction, {});
    };
    auto report = co_await offload(readers_->next(), shard, std::move(measure));
    if (report) intake_->set_disk_free(report->usage.disk_free_fraction);
    const bool alarm_changed = report && report->alarm != disk_report().alarm;
    if (alarm_changed) co_await tell_disk_alarm(report->alarm);
    if (report) {
      const std::lock_guard lock(disk_mutex_);
      disk_report_ = *report;
    }
    note_clock();
    // Idle routes follow the log, so that a start has little to read.
    if (round % kTailEvery == 0) {
      for (const auto& unit : units_) {
        unit->shard.post([this, &unit = *unit] {
          move_tails(unit);
          unit.pump->look_around();
          unit.collector->look_around();
          for (const auto& [id, lane] : unit.lanes) lane->look_around();
        });
      }
    }
    const bool crowded = report && report->used > 1 && round % kTailEvery == 0;
    if (leads() && (crowded || round % kTrimEvery == 0)) co_await trim_journals();
    co_await sleep_for(kDiskEvery);
  }
}

// One row a partition says how far all routes have come that have nothing left there: hundreds of
// routes that take nothing cost nothing. Where a lane has, it gets its own row in the same commit.
void Broker::move_tails(ShardUnit& unit) {
  if (unit.tail_under_way) return;
  Batch batch;
  ChangedRows changed;
  std::map<LogStream, PartitionOffsets> tails;
  for (const auto& [stream, tail] : unit.tails) {
    if (stream.journal != Journal::events) continue;
    tails[stream] = move_tail(unit, stream, changed, batch);
    move_projected(unit, stream, batch);
  }
  if (batch.writes.empty()) return;
  unit.tail_under_way = true;
  auto done = [&unit, tails = std::move(tails), changed = std::move(changed)](Result<void> result) {
    unit.tail_under_way = false;
    for (const auto& [lane, partitions] : changed) {
      if (!result) lane->forget_rows(partitions);
    }
    if (!result) return;
    for (const auto& [stream, tail] : tails) {
      PartitionOffsets& saved = unit.tails.at(stream).saved;
      for (Partition p = 0; p < kPartitionCount; ++p) {
        if (tail[p] != kSkipPartition) saved[p] = tail[p];
      }
    }
  };
  state_->commit(std::move(batch), Urgency::soon, unit.shard, std::move(done));
}

/// Where the rows of the stream's tail are to be; kSkipPartition where they stay.
PartitionOffsets Broker::move_tail(ShardUnit& unit, const LogStream& stream, ChangedRows& changed,
                                   Batch& batch) {
  const StreamTail& own = unit.tails.at(stream);
  PartitionOffsets tail = own.dispatcher->next();
  std::vector<std::shared_ptr<deliver::Lane>> lanes;
  for (const auto& [id, lane] : unit.lanes) {
    if (lane->stream() == stream) lanes.push_back(lane);
  }
  for (Partition p = 0; p < kPartitionCount; ++p) {
    const auto holds = [p](const auto& lane) { return lane->holds_tail(p); };
    if (std::ranges::any_of(lanes, holds)) tail[p] = kSkipPartition;
  }
  for (const auto& lane : lanes) changed.emplace_back(lane, lane->join_tail(tail, batch));
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (tail[p] == own.saved[p]) tail[p] = kSkipPartition;
    if (tail[p] == kSkipPartition) continue;
    batch.put(Table::cursors, row_key(cursor_owner(kTailOwner, stream), fmt::format("{:02x}", p)),
              route::Progress(tail[p]).encode(log_->id_of(stream)));
  }
  return tail;
}

// Events that others sent are nobody's projection, but a start would read them all to find that
// out. What was on the tail a round ago was noted by the projector since, if it was its own; and
// when the projector has saved everything, the rows reflect it.
void Broker::move_projected(ShardUnit& unit, const LogStream& stream, Batch& batch) {
  StreamTail& tail = unit.tails.at(stream);
  const PartitionOffsets before = std::exchange(tail.seen, tail.dispatcher->next());
  if (!unit.projector->saved()) return;
  const PartitionOffsets& noted = unit.projector->noted(stream);
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (before[p] == kSkipPartition) continue;
    if (before[p] <= std::max(tail.projected_saved[p], noted[p])) continue;
    batch.put(Table::cursors, row_key(cursor_owner("projected", stream), fmt::format("{:02x}", p)),
              route::Progress(before[p]).encode(log_->id_of(stream)));
    tail.projected_saved[p] = before[p];
  }
}

Awaitable<void> Broker::tell_disk_alarm(int alarm) {
  auto measure = [this] { return measure_disk(); };
  const auto report = co_await offload(readers_->next(), shards_->at(0), std::move(measure));
  if (!report) co_return;
  if (alarm == 0) {
    spdlog::info("the log is below half of its share of the disk log_bytes={} budget_bytes={}",
                 report->usage.bytes, report->budget_bytes);
    co_return;
  }
  spdlog::warn(
      "the log takes {} % of its share of the disk log_bytes={} budget_bytes={} "
      "held_by={} held_bytes={}",
      alarm, report->usage.bytes, report->budget_bytes,
      report->holder ? report->holder->owner : "nobody",
      report->holder ? report->holder->bytes : 0);
}

Awaitable<void> Broker::trim_journals() {
  Shard& shard = shards_->at(0);
  auto trim = [this]() -> Result<void> {
    MILLRACE_TRY(owners, read_owners(*state_, *log_));
    return watch::trim_log(*log_, config()->installation.retention, owners, clock_watch_);
  };
  auto trimmed = co_await offload(readers_->next(), shard, std::move(trim));
  if (!trimmed) spdlog::warn("old segments cannot be dropped error={}", trimmed.error().message);
}

}  // namespace millrace::daemon
