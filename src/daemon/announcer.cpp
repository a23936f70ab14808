// Work of the broker as a whole, on the first shard: dead letters into topic `dead`.
#include <spdlog/spdlog.h>

#include "daemon/broker.hpp"
#include "net/patience.hpp"

namespace millrace::daemon {
namespace {

constexpr std::size_t kRowsPerRound = 200;
constexpr milliseconds kRetryPause{1000};

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
    auto rows = co_await offload_until_back(*readers_, shard, std::move(read));
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
        const Event event = announcement(config()->installation.name, *json, clock_.wall_now());
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

}  // namespace millrace::daemon
