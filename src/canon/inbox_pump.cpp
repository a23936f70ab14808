#include "canon/inbox_pump.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/json/monotonic_resource.hpp>
#include <charconv>
#include <map>

namespace millrace::canon {
namespace {

constexpr std::size_t kMessagesPerPass = 256;
constexpr std::size_t kBytesPerPass = std::size_t{4} << 20;
constexpr std::size_t kSmallBodyMax = 16 * 1024;
constexpr milliseconds kHoldPoll{10};
constexpr std::size_t kHeadersShownBytesMax = 8192;

Json headers_json(const RawMessage& message) {
  JsonObject headers;
  for (const auto& [name, value] : message.headers) headers.emplace(name, value);
  return Json(std::move(headers));
}

// For eyes: as many as there is room for.
Json shown_headers(const RawMessage& message) {
  JsonObject headers;
  std::size_t bytes = 0;
  for (const auto& [name, value] : message.headers) {
    bytes += name.size() + value.size();
    if (bytes > kHeadersShownBytesMax) break;
    headers.emplace(name, value);
  }
  return Json(std::move(headers));
}

}  // namespace

// One round: what was popped and what it asks for.
struct InboxPump::Pass {
  boost::json::monotonic_resource memory;  ///< of small bodies' trees: they go together
  std::vector<SourceChange> changes;
  Batch writes;
  std::map<Partition, Offset> next;
  bool announce = false;
};

InboxPump::InboxPump(ProjectorContext context, Projector& projector, DoorbellSink& doorbells,
                     TailDispatcher& dispatcher, DroppedMessages& dropped,
                     std::function<void()> announced)
    : context_(std::move(context)),
      projector_(projector),
      doorbells_(doorbells),
      dispatcher_(dispatcher),
      dropped_(dropped),
      announced_(std::move(announced)),
      ready_(context_.shard.context()) {}

Awaitable<Result<void>> InboxPump::start(config::ConfigPtr config, PartitionOffsets from) {
  config_ = std::move(config);
  follow(from);
  context_.shard.spawn("inbox", run());
  co_return Result<void>{};
}

void InboxPump::follow(const PartitionOffsets& from) {
  follower_ = std::make_unique<Follower>(FollowerContext{.dispatcher = dispatcher_,
                                                         .log = context_.log,
                                                         .stream = Journal::inbox,
                                                         .shard = context_.shard,
                                                         .reader = context_.readers.next()},
                                         from, FollowerOptions{});
  follower_->set_failed([told = false](const Error& error) mutable {
    if (std::exchange(told, true)) return;  // `status` says it as long as it lasts
    spdlog::error("the inbox cannot be read on error={}", error.message);
  });
  follower_->set_ready([this] { ready_.notify(); });
}

Awaitable<void> InboxPump::hold() {
  held_ = true;
  while (working_ && !stopping_) co_await sleep_for(kHoldPoll);
  follower_.reset();
  co_await projector_.durable();
}

void InboxPump::resume(PartitionOffsets from) {
  if (stopping_) return;
  follow(from);
  held_ = false;
  release_ = true;
  ready_.notify();
}

void InboxPump::stop() {
  stopping_ = true;
  follower_.reset();
  ready_.notify();
}

void InboxPump::replace(config::ConfigPtr config) {
  config_ = std::move(config);
  release_ = true;
  ready_.notify();
}

void InboxPump::look_around() {
  if (follower_ && follower_->failure()) follower_->retry();
}

std::optional<Follower::Failure> InboxPump::unreadable() const {
  return follower_ ? follower_->failure() : std::nullopt;
}

Awaitable<void> InboxPump::run() {
  while (!stopping_) {
    if (held_) {
      co_await ready_.wait();
      continue;
    }
    working_ = true;
    auto released = co_await release_parked();
    if (stopping_) co_return;
    if (!released) {
      spdlog::error("parked messages cannot be read error={}", released.error().message);
      std::abort();
    }
    const bool took = !held_ && co_await project_batch();
    working_ = false;
    if (!took && !stopping_) co_await ready_.wait();
  }
}

Awaitable<bool> InboxPump::project_batch() {
  Pass pass;
  std::vector<FollowedRecord> held;  // keeps the bytes alive until the pass is over
  std::size_t bytes = 0;
  while (held.size() < kMessagesPerPass && bytes < kBytesPerPass) {
    auto followed = follower_->pop();
    if (!followed) break;
    bytes += followed->record->payload.size();
    take(pass, *followed->record);
    held.push_back(*std::move(followed));
  }
  if (held.empty()) co_return false;
  const auto changes =
      std::make_shared<const std::vector<SourceChange>>(std::exchange(pass.changes, {}));
  const auto extra = [this, &pass, changes](const std::vector<ProjectResult>& results) {
    return finish(pass, *changes, results);
  };
  auto results = co_await projector_.project(config_, changes, extra);
  if (!results) {
    // A stop closes the stores beneath it; the next start takes these messages up again.
    if (stopping_) co_return false;
    spdlog::error("the inbox cannot be projected error={}", results.error().message);
    std::abort();
  }
  if (pass.announce) announced_();
  co_return true;
}

void InboxPump::take(Pass& pass, const LogRecord& record) {
  pass.next[record.partition] = record.offset + 1;
  if (record.topic.empty()) return;
  auto message = decode_raw_message(record.payload);
  if (!message) {
    spdlog::error("an inbox record cannot be decoded partition={} offset={} error={}",
                  record.partition, record.offset, message.error().message);
    return;
  }
  switch (message->kind) {
    case RawMessage::Kind::payload:
      take_payload(pass, record, *std::move(message));
      return;
    case RawMessage::Kind::doorbell:
      take_doorbell(pass, record, *message);
      return;
    case RawMessage::Kind::unreadable: {
      std::string reason = take_reason(*message);
      dead_message(pass, record, *message, std::move(reason));
      return;
    }
  }
}

void InboxPump::take_payload(Pass& pass, const LogRecord& record, RawMessage message) {
  const bool is_small = message.body.size() <= kSmallBodyMax;
  auto body = parse_json(message.body, {}, is_small ? JsonMemory(&pass.memory) : JsonMemory());
  if (!body) {
    dead_message(pass, record, message, body.error().message);
    return;
  }
  const auto connection = config_->connections.find(message.connection);
  if (connection == config_->connections.end()) {
    dead_message(pass, record, message, "its connection is no longer configured");
    return;
  }
  Json version;
  if (connection->second.version) {
    const Json headers = headers_json(message);
    ExpressionBindings bindings;
    bindings.set("headers", &headers);
    const config::ConfigHost host(*config_, nullptr);
    auto evaluated = connection->second.version->compiled->evaluate(*body, {&bindings, &host, {}});
    if (!evaluated) {
      dead_message(pass, record, message,
                   fmt::format("`version` failed: {}", evaluated.error().message));
      return;
    }
    version = *std::move(evaluated);
  }
  std::size_t wanted = 0;
  for (const auto& [name, entity] : config_->entities) {
    for (const config::EntitySource& source : entity.from) {
      wanted += source.connection == message.connection ? 1 : 0;
    }
  }
  for (const auto& [name, entity] : config_->entities) {
    for (const config::EntitySource& source : entity.from) {
      if (source.connection != message.connection) continue;
      SourceChange change{.entity = &entity,
                          .source = &source,
                          .record = message.record,
                          // An assignment would copy it out of the pass's memory.
                          .value = wanted == 1 ? std::move(*body) : *body,
                          .version = version,
                          .cause_partition = record.partition,
                          .cause_offset = record.offset,
                          .payload = true,
                          .whole = {}};
      if (blocked_.contains(row_key(entity.name, change.record))) {
        park(pass.writes, change,
             Error(Errc::conflict, "an earlier message of this record is parked"));
        continue;
      }
      pass.changes.push_back(std::move(change));
    }
  }
}

void InboxPump::take_doorbell(Pass& pass, const LogRecord& record, const RawMessage& message) {
  Doorbell doorbell;
  doorbell.connection = message.connection;
  const std::string_view text(message.record);
  const std::size_t first = text.find('/');
  const std::size_t last = text.rfind('/');
  const auto parsed =
      first == text.npos || last <= first
          ? std::from_chars_result{text.data(), std::errc::invalid_argument}
          : std::from_chars(text.data() + last + 1, text.data() + text.size(), doorbell.id);
  if (parsed.ec != std::errc{}) {
    dead_message(pass, record, message, "the doorbell does not name connection/model/id");
    return;
  }
  doorbell.model = text.substr(first + 1, last - first - 1);
  doorbell.origin = message.origin;
  doorbell.partition = record.partition;
  doorbell.offset = record.offset;
  doorbell.received_at = message.received_at;
  if (const auto body = parse_json(message.body)) {
    doorbell.write_date = string_or(*body, "write_date", "");
  }
  if (!doorbells_.ring(doorbell, pass.writes)) {
    dropped_.add(doorbell.connection, &DroppedCounts::model_not_read);
  }
}

void InboxPump::note_stale(const SourceChange& change, const ProjectResult& result) {
  if (result.kind != ProjectResult::Kind::stale) return;
  dropped_.add(change.source->connection, &DroppedCounts::stale);
  context_.trail.note({change.record, "project", change.entity->name, "stale", "", ""});
}

void InboxPump::dead_message(Pass& pass, const LogRecord& record, const RawMessage& message,
                             std::string reason) {
  dropped_.add(message.connection, &DroppedCounts::unreadable);
  ParkedRow row;
  row.stage = "collect";
  row.owner = message.connection;
  row.record = message.record;
  row.partition = record.partition;
  row.offset = record.offset;
  row.state = ParkedState::dead;
  row.reason = std::move(reason);
  row.cause = "unreadable";
  row.since = row.next_at = context_.clock.wall_now();
  std::string excerpt = message.body.substr(0, kParkedAnswerBytesMax);
  for (char& c : excerpt) {
    // The excerpt is for eyes; the whole bytes stay in the inbox journal.
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E) c = '?';
  }
  row.payload = JsonObject{
      {"body", excerpt}, {"bytes", message.body.size()}, {"headers", shown_headers(message)}};
  spdlog::warn("unreadable message connection={} id={} reason=\"{}\"", row.owner, row.id(),
               row.reason);
  context_.trail.note({row.record, "collect", row.owner, "dead", "", row.reason});
  pass.writes.put(Table::parked, row.key(), encode(row));
  pass.writes.put(Table::outbox, "dead:" + stable_hash({row.id()}),
                  write_json(Json(JsonObject{{"id", stable_hash({row.id()})},
                                             {"parked", row.id()},
                                             {"connection", row.owner},
                                             {"record", row.record},
                                             {"reason", row.reason},
                                             {"at", to_rfc3339(row.since)}})));
  pass.announce = true;
}

Batch InboxPump::finish(Pass& pass, const std::vector<SourceChange>& changes,
                        const std::vector<ProjectResult>& results) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    note_stale(changes[i], results[i]);
    if (results[i].kind == ProjectResult::Kind::failed) {
      park(pass.writes, changes[i], *results[i].error);
    }
  }
  for (const auto& [partition, next] : pass.next) {
    pass.writes.put(Table::cursors, row_key("inbox", fmt::format("{:02x}", partition)),
                    fmt::format(R"({{"log":"{}","next":{}}})", context_.log_uuid, next));
  }
  return std::exchange(pass.writes, Batch{});
}

}  // namespace millrace::canon
