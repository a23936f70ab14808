// Work of the broker as a whole, on the first shard: dead letters into topic `dead`, and what the
// disk has left.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "daemon/broker.hpp"

namespace millrace::daemon {
namespace {

constexpr std::size_t kRowsPerRound = 200;
constexpr milliseconds kRetryPause{1000};
constexpr milliseconds kDiskEvery{1000};
constexpr int kTrimEvery = 600;  // disk rounds: ten minutes

// A dead letter as an event of its own: its id is the outbox row's, so a repeat is the same event.
Event announcement(const std::string& installation, const Json& row, WallTime now) {
  Event event;
  event.id = string_or(row, "id", "");
  event.type = "dead.announced";
  event.entity = "dead";
  event.source = "/" + installation;
  event.subject = string_or(row, "subject", "");
  event.time = now;
  event.record = string_or(row, "record", "");
  event.types = {event.type};
  event.data = row;
  return event;
}

}  // namespace

void Broker::wake_announcer() {
  shards_->at(0).post([this] {
    if (announce_) announce_->notify();
  });
}

Awaitable<void> Broker::announce_dead() {
  Shard& shard = shards_->at(0);
  for (;;) {
    auto read = [this] { return state_->scan(Table::outbox, "dead:", "", kRowsPerRound); };
    auto rows = co_await offload(readers_->next(), shard, std::move(read));
    if (rows && rows->empty()) {
      co_await announce_->wait();
      continue;
    }
    if (!rows) {
      spdlog::error("the outbox cannot be read error={}", rows.error().message);
      co_await sleep_for(kRetryPause);
      continue;
    }
    std::vector<LogEntry> group;
    Batch done;
    for (const Row& row : *rows) {
      const auto json = parse_json(row.value);
      if (json) {
        const Event event = announcement(config_->installation.name, *json, clock_.wall_now());
        group.push_back({partition_of(event.record), "dead", encode(event)});
      }
      done.erase(Table::outbox, row.key);
    }
    auto append = [this, &shard, group = std::move(group)](EventLog::AppendDone then) mutable {
      log_->append(Journal::events, std::move(group), shard, std::move(then));
    };
    auto appended = co_await await_callback<Result<std::vector<Offset>>>(shard, std::move(append));
    if (!appended) {
      co_await sleep_for(kRetryPause);
      continue;
    }
    auto commit = [this, &shard, done = std::move(done)](StateStore::CommitDone then) mutable {
      state_->commit(std::move(done), Urgency::soon, shard, std::move(then));
    };
    co_await await_callback<Result<void>>(shard, std::move(commit));
  }
}

Awaitable<void> Broker::watch_disk() {
  Shard& shard = shards_->at(0);
  for (int round = 1;; ++round) {
    auto measure = [this] { return Result<EventLog::Usage>(log_->usage()); };
    auto usage = co_await offload(readers_->next(), shard, std::move(measure));
    if (usage && intake_) intake_->set_disk_free(usage->disk_free_fraction);
    // An idle route's cursor follows the log, so that a start has little to read.
    if (round % 10 == 0) {
      for (const auto& unit : units_) {
        unit->shard.post([&unit = *unit] {
          for (const auto& [name, lane] : unit.lanes) lane->flush();
        });
      }
    }
    if (round % kTrimEvery == 0) co_await trim_journals();
    co_await sleep_for(kDiskEvery);
  }
}

// Retention by age, never past a cursor.
Awaitable<void> Broker::trim_journals() {
  Shard& shard = shards_->at(0);
  auto trim = [this]() -> Result<void> {
    const config::Retention& keep = config_->installation.retention;
    const WallTime now = clock_.wall_now();
    PartitionOffsets events = log_->ends(Journal::events);
    MILLRACE_TRY(rows, state_->scan(Table::cursors, "", "", 1'000'000));
    PartitionOffsets inbox = log_->begins(Journal::inbox);
    for (const Row& row : rows) {
      const std::size_t split = row.key.find('\0');
      if (split == row.key.npos) continue;
      const auto partition = static_cast<Partition>(
          std::strtoul(row.key.c_str() + split + 1, nullptr, 16) % kPartitionCount);
      MILLRACE_TRY(progress, route::Progress::decode(row.value, log_->uuid()));
      if (row.key.starts_with("inbox")) {
        inbox[partition] = progress.cursor();
      } else {
        events[partition] = std::min(events[partition], progress.cursor());
      }
    }
    // Beyond the size limit age no longer counts; a cursor still does.
    const bool crowded = 1 - log_->usage().disk_free_fraction > keep.size_fraction;
    const auto older_than = [&](std::chrono::hours age) { return crowded ? now : now - age; };
    MILLRACE_CHECK_OK(log_->trim(Journal::inbox, older_than(keep.inbox), inbox));
    MILLRACE_CHECK_OK(log_->trim(Journal::events, older_than(keep.events), events));
    return log_->trim(Journal::trail, older_than(keep.trail), log_->ends(Journal::trail));
  };
  auto trimmed = co_await offload(readers_->next(), shard, std::move(trim));
  if (!trimmed) spdlog::warn("old segments cannot be dropped error={}", trimmed.error().message);
}

}  // namespace millrace::daemon
