// Work of the broker as a whole, on the first shard: dead letters into topic `dead`.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <set>

#include "daemon/broker.hpp"
#include "millrace/offsets.hpp"
#include "net/patience.hpp"

namespace millrace::daemon {
namespace {

constexpr std::string_view kTopic = "dead";
/// Row of the outbox: from where the log may have what is being appended.
constexpr std::string_view kUnderWay = "announcing";
constexpr std::size_t kRowsPerRound = 200;
constexpr std::size_t kRecordsPerRead = 1000;
constexpr std::size_t kBytesPerRead = std::size_t{1} << 20;
constexpr milliseconds kRetryPause{1000};
constexpr milliseconds kOthersEvery{2000};

// A dead letter as an event of its own: its id is the outbox row's, so a repeat is the same event.
Event announcement(const std::string& installation, const Json& row, WallTime now) {
  Event event;
  event.id = string_or(row, "id", "");
  event.type = "dead.announced";
  event.entity = kTopic;
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

// Ids of what was appended and is still in the outbox: the last life ended between the two.
Result<std::set<std::string>> Broker::announced_already() const {
  std::set<std::string> ids;
  const LogStream stream = log_->stream_of(Journal::events, kTopic);
  MILLRACE_TRY(text, state_->get(Table::outbox, kUnderWay));
  if (!text) return ids;
  MILLRACE_TRY(row, parse_json(*text));
  if (string_or(row, "log", "") != log_->id_of(stream)) return ids;
  MILLRACE_TRY(from, offsets_of(row, "from"));
  const PartitionOffsets begins = log_->begins(stream);
  for (Partition p = 0; p < kPartitionCount; ++p) from[p] = std::max(from[p], begins[p]);
  MILLRACE_TRY(reader, log_->open_reader(stream, from));
  for (;;) {
    MILLRACE_TRY(batch, reader->next(kRecordsPerRead, kBytesPerRead));
    if (batch->records.empty()) return ids;
    for (const LogRecord& record : batch->records) {
      if (record.topic != kTopic) continue;
      const auto event = parse_json(record.payload);
      if (event) ids.emplace(string_or(*event, "id", ""));
    }
  }
}

// Where it is left off decides what is said again, so it waits until there is room.
Awaitable<void> Broker::commit_outbox(Batch batch) {
  Shard& shard = shards_->at(0);
  for (bool told = false;; told = true) {
    auto commit = [this, &shard, copy = batch](StateStore::CommitDone then) mutable {
      state_->commit(std::move(copy), Urgency::now, shard, std::move(then));
    };
    const auto done = co_await await_callback<Result<void>>(shard, std::move(commit));
    if (done) co_return;
    if (!told) spdlog::warn("the outbox cannot be written error={}", done.error().message);
    co_await sleep_for(kRetryPause);
  }
}

// Each exactly once: what an append may have left in the log without the commit that takes it from
// the outbox is looked for after a crash, from where the append began.
Awaitable<void> Broker::announce_dead() {
  Shard& shard = shards_->at(0);
  std::optional<std::set<std::string>> said;
  for (;;) {
    if (!leads()) {
      said.reset();
      co_await announce_->wait_for(kOthersEvery);
      continue;
    }
    auto read = [this] { return state_->scan(Table::outbox, "dead:", "", kRowsPerRound); };
    const auto rows = co_await offload_until_back(*readers_, shard, std::move(read));
    if (rows && rows->empty()) {
      said.emplace();
      co_await announce_->wait_for(kOthersEvery);  // other instances do not wake this one
      continue;
    }
    if (rows && !said) {
      auto look = [this] { return announced_already(); };
      auto found = co_await offload_until_back(*readers_, shard, std::move(look));
      if (found) said = *std::move(found);
      if (!found) spdlog::error("topic dead cannot be read error={}", found.error().message);
    }
    if (!rows) spdlog::error("the outbox cannot be read error={}", rows.error().message);
    if (!rows || !said) {
      co_await sleep_for(kRetryPause);
      continue;
    }
    std::vector<LogEntry> group;
    Batch done;
    done.erase(Table::outbox, std::string(kUnderWay));
    for (const Row& row : *rows) {
      done.erase(Table::outbox, row.key);
      const auto json = parse_json(row.value);
      if (!json || said->contains(std::string(string_or(*json, "id", "")))) continue;
      const Event event = announcement(config()->installation.name, *json, clock_.wall_now());
      group.push_back({partition_of(event.record), std::string(kTopic), encode(event)});
    }
    if (!group.empty() && !co_await append_announcements(std::move(group))) continue;
    co_await commit_outbox(std::move(done));
  }
}

/// False: nothing was appended.
Awaitable<bool> Broker::append_announcements(std::vector<LogEntry> group) {
  Shard& shard = shards_->at(0);
  const LogStream stream = log_->stream_of(Journal::events, kTopic);
  Batch begin;
  begin.put(Table::outbox, std::string(kUnderWay),
            write_json(Json(JsonObject{{"log", log_->id_of(stream)},
                                       {"from", offsets_json(log_->ends(stream))}})));
  co_await commit_outbox(std::move(begin));
  auto append = [this, &shard, group = std::move(group)](EventLog::AppendDone then) mutable {
    log_->append(Journal::events, std::move(group), shard, std::move(then));
  };
  const auto appended =
      co_await await_callback<Result<std::vector<Offset>>>(shard, std::move(append));
  if (!appended) co_await sleep_for(kRetryPause);
  co_return appended.has_value();
}

}  // namespace millrace::daemon
