// What the disk has left, who holds it, and what retention lets go: on the first shard, the work
// itself on reader threads.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "daemon/broker.hpp"
#include "daemon/recovery.hpp"

namespace millrace::daemon {
namespace {

constexpr milliseconds kDiskEvery{1000};
constexpr int kFlushEvery = 10;  // disk rounds
constexpr int kTrimEvery = 600;  // disk rounds: ten minutes

}  // namespace

Result<watch::DiskReport> Broker::measure_disk() const {
  MILLRACE_TRY(owners, read_owners(*state_, *log_));
  return watch::measure_disk(*log_, config()->installation.retention.size_fraction, owners);
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
    if (report && intake_) intake_->set_disk_free(report->usage.disk_free_fraction);
    const bool alarm_changed = report && report->alarm != disk_report().alarm;
    if (alarm_changed) co_await tell_disk_alarm(report->alarm);
    if (report) {
      const std::lock_guard lock(disk_mutex_);
      disk_report_ = *report;
    }
    // An idle route's cursor follows the log, so that a start has little to read.
    if (round % kFlushEvery == 0) {
      for (const auto& unit : units_) {
        unit->shard.post([&unit = *unit] {
          for (const auto& [name, lane] : unit.lanes) lane->flush();
        });
      }
    }
    const bool crowded = report && report->used > 1 && round % kFlushEvery == 0;
    if (crowded || round % kTrimEvery == 0) co_await trim_journals();
    co_await sleep_for(kDiskEvery);
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
    return watch::trim_log(*log_, config()->installation.retention, owners, clock_.wall_now());
  };
  auto trimmed = co_await offload(readers_->next(), shard, std::move(trim));
  if (!trimmed) spdlog::warn("old segments cannot be dropped error={}", trimmed.error().message);
}

}  // namespace millrace::daemon
