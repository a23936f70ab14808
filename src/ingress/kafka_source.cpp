#include "ingress/kafka_source.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "kafka/kafka_admin.hpp"
#include "net/callback.hpp"
#include "net/tasks.hpp"

namespace millrace::ingress {
namespace {

constexpr std::size_t kRecordsMax = 1000;
constexpr std::size_t kBytesMax = std::size_t{1} << 20;
constexpr milliseconds kAgainAfter{1000};
constexpr milliseconds kCrowdedFor{100};
constexpr milliseconds kGrowthEvery{30'000};
constexpr milliseconds kAskMax{3000};
/// A broker that starts may not know a topic for a moment.
constexpr int kMissingMax = 5;

HttpHeaders headers_of(const KafkaRecord& record) {
  HttpHeaders headers;
  for (const auto& [name, value] : record.headers()) headers.emplace_back(name, value);
  return headers;
}

}  // namespace

KafkaSource::KafkaSource(Shard& home, KafkaSourceOptions options, KafkaSourceParts parts)
    : home_(home),
      options_(std::move(options)),
      parts_(parts),
      wake_(home.context()),
      stopped_(home.context()) {}

KafkaSource::~KafkaSource() = default;

void KafkaSource::start() {
  home_.spawn("kafka source " + options_.source.connection, run(shared_from_this()));
  home_.spawn("kafka age " + options_.source.connection, watch_age(shared_from_this()));
}

void KafkaSource::stop() {
  stopping_ = true;
  home_.post([self = shared_from_this()] {
    self->wake_.notify();
    self->stopped_.notify();
  });
}

KafkaSourceStatus KafkaSource::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void KafkaSource::tell(std::string_view state, std::string reason) {
  const std::lock_guard lock(mutex_);
  if (status_.state == state && status_.reason == reason) return;
  if (status_.state != state) {
    status_.since = parts_.clocks.wall.wall_now();
    spdlog::log(state == "up" ? spdlog::level::info : spdlog::level::warn,
                "kafka source connection={} topic={} is {} reason=\"{}\"",
                options_.source.connection, options_.topic, state, reason);
  }
  status_.state = state;
  status_.reason = std::move(reason);
}

Result<void> KafkaSource::resume() {
  if (status().state != "paused")
    return fail(Errc::conflict, fmt::format("connection {} does not wait for a person",
                                            options_.source.connection));
  home_.post([self = shared_from_this()] {
    self->accepted_ = true;
    self->wake_.notify();
  });
  return {};
}

Awaitable<void> KafkaSource::run(std::shared_ptr<KafkaSource> self) {
  const bool loaded = co_await self->load();
  while (loaded && !self->stopping_) {
    if (self->progress_.stop && !self->accepted_) {
      self->tell("paused", self->progress_.stop->reason);
      co_await self->wake_.wait();
      continue;
    }
    const bool begun = co_await self->begin();
    if (begun) co_await self->consume();
    self->consumer_.reset();
    if (!self->stopping_ && !self->progress_.stop) co_await self->wake_.wait_for(kAgainAfter);
  }
  --self->running_;
}

// False when it stops before there is an answer.
Awaitable<bool> KafkaSource::load() {
  const std::string key = kafka_progress_key(options_.source.connection);
  while (!stopping_) {
    auto read = [this, key] { return parts_.state.get(Table::marks, key); };
    auto row = co_await offload(parts_.waiting.next(), home_, std::move(read));
    auto known = row && *row ? decode_kafka_progress(**row) : Result<KafkaProgress>();
    if (row && known) {
      // Another topic is read from its own start.
      if (known->topic == options_.topic) progress_ = *std::move(known);
      progress_.topic = options_.topic;
      co_return true;
    }
    tell("down", row ? known.error().message : row.error().message);
    co_await wake_.wait_for(kAgainAfter);
  }
  co_return false;
}

// On the waiting thread.
Result<KafkaAdmin*> KafkaSource::admin() {
  if (!admin_) {
    MILLRACE_TRY(made, KafkaAdmin::open(options_.kafka, kAskMax));
    admin_ = std::move(made);
  }
  return admin_.get();
}

Awaitable<Result<KafkaSource::Topic>> KafkaSource::ask_topic() {
  auto ask = [this]() -> Result<Topic> {
    MILLRACE_TRY(kafka, admin());
    MILLRACE_TRY(found, kafka->topic(options_.topic));
    if (!found) return Topic{};
    MILLRACE_TRY(begins, kafka->begins(options_.topic, found->partitions));
    MILLRACE_TRY(ends, kafka->ends(options_.topic, found->partitions));
    return Topic{std::move(begins), std::move(ends)};
  };
  auto topic = co_await offload(parts_.waiting.next(), home_, std::move(ask));
  co_return topic;
}

// Where each partition is read from; what is wrong with that, in words, or nothing.
std::string KafkaSource::settle_offsets(const Topic& topic) {
  const bool fresh = progress_.offsets.empty();
  std::string gone;
  for (std::size_t i = 0; i < topic.ends.size(); ++i) {
    const auto partition = static_cast<std::int32_t>(i);
    const auto [place, unknown] = progress_.offsets.try_emplace(partition, 0);
    std::int64_t& offset = place->second;
    // All records of a partition that came later are news.
    if (unknown) offset = fresh && !options_.from_beginning ? topic.ends[i] : topic.begins[i];
    if (offset >= topic.begins[i] && offset <= topic.ends[i]) continue;
    if (accepted_) {
      offset = topic.begins[i];
    } else if (gone.empty()) {
      gone = fmt::format(
          "offset {} of topic {} partition {} comes next and is gone: Kafka has {} "
          "to {}",
          offset, options_.topic, partition, topic.begins[i], topic.ends[i]);
    }
  }
  return gone;
}

// False when it cannot be read now.
Awaitable<bool> KafkaSource::begin() {
  auto topic = co_await ask_topic();
  if (stopping_) co_return false;
  if (!topic) {
    tell("down", topic.error().message);
    co_return false;
  }
  if (topic->ends.empty()) {
    const std::string reason = fmt::format("there is no topic {}", options_.topic);
    if (!progress_.offsets.empty() && ++missing_ >= kMissingMax) {
      co_await stop_for_person(reason + " any more");
    } else {
      tell("down", reason);
    }
    co_return false;
  }
  missing_ = 0;
  if (const std::string gone = settle_offsets(*topic); !gone.empty()) {
    co_await stop_for_person(gone);
    co_return false;
  }
  accepted_ = false;
  progress_.stop.reset();
  const bool saved = co_await save();
  if (!saved) co_return false;
  auto consumer = KafkaConsumer::open(home_, options_.kafka);
  std::vector<KafkaPosition> positions;
  for (const auto& [partition, offset] : progress_.offsets)
    positions.push_back({options_.topic, partition, offset});
  auto assigned = consumer ? (*consumer)->assign(positions) : Result<void>();
  if (!consumer || !assigned) {
    tell("down", consumer ? assigned.error().message : consumer.error().message);
    co_return false;
  }
  consumer_ = *std::move(consumer);
  consumer_->set_on_readable([this] { wake_.notify(); });
  tell("up", "");
  co_return true;
}

Awaitable<void> KafkaSource::consume() {
  BootTime asked_at = BootClock::now();
  while (!stopping_) {
    KafkaBatch batch = consumer_->take(kRecordsMax, kBytesMax);
    const KafkaHealth health = consumer_->health();
    tell(health.away_since ? "down" : "up", health.away_since ? health.reason : "");
    {
      const std::lock_guard lock(mutex_);
      status_.statistics = consumer_->statistics();
    }
    if (!batch.problems().empty()) {
      // What comes before it in its partition is taken in; what is wrong is asked for anew.
      tell("down", batch.problems().front().error.message);
      co_await keep(std::move(batch));
      co_return;
    }
    if (!batch.records().empty()) {
      co_await keep(std::move(batch));
      continue;
    }
    co_await wake_.wait_for(kGrowthEvery);
    if (BootClock::now() - asked_at < kGrowthEvery) continue;
    asked_at = BootClock::now();
    const bool grown = co_await has_grown();
    if (grown) co_return;
  }
}

Awaitable<bool> KafkaSource::has_grown() {
  auto topic = co_await ask_topic();
  co_return topic && topic->ends.size() > progress_.offsets.size();
}

// Ends when all of it is in the log and its offsets are stored, or when the source stops.
Awaitable<void> KafkaSource::keep(KafkaBatch batch) {
  std::vector<TakenRecord> messages;
  std::vector<TakenRecord> events;
  std::set<RecordId> ids;
  const EventsTablePtr table = parts_.events.table();
  const WallTime now = parts_.clocks.wall.wall_now();
  for (const KafkaRecord& record : batch.records()) {
    TakenRecord one = take_record(options_.source, *table, record, headers_of(record), now);
    if (ids.insert(one.id).second) {
      (one.journal == Journal::inbox ? messages : events).push_back(std::move(one));
    } else {
      ++parts_.counters.kafka_duplicate;
    }
  }
  co_await append_all(parts_.inbox_ids, std::move(messages));
  co_await append_all(parts_.event_ids, std::move(events));
  if (stopping_) co_return;
  for (const KafkaRecord& record : batch.records())
    progress_.offsets[record.partition] = record.offset + 1;
  if (!batch.records().empty()) co_await save();
}

// Until all of them are in the journal of these ids, or the source stops.
Awaitable<void> KafkaSource::append_all(DedupeIndex& index, std::vector<TakenRecord> taken) {
  while (!taken.empty() && !stopping_) {
    const bool kept = co_await append(index, taken);
    if (kept) co_return;
    co_await wake_.wait_for(kCrowdedFor);
  }
}

// Appends what is new among them; false when that must be tried again, which then finds what became
// of this attempt.
Awaitable<bool> KafkaSource::append(DedupeIndex& index, std::vector<TakenRecord>& taken) {
  std::vector<RecordId> ids;
  for (const TakenRecord& one : taken) ids.push_back(one.id);
  auto claims = co_await parts_.intake.claim(index, std::move(ids), parts_.clocks.expiry, home_);
  if (!claims) co_return false;
  std::vector<LogEntry> group;
  std::vector<PendingId> pending;
  std::uint64_t unreadable = 0;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    Claim& claim = (*claims)[i];
    if (claim.seen == Seen::duplicate_pending) co_return false;
    if (claim.seen != Seen::fresh) continue;
    pending.push_back(*std::move(claim.pending));
    group.push_back(taken[i].entry);
    unreadable += taken[i].unreadable ? 1 : 0;
  }
  const std::uint64_t fresh = group.size();
  if (fresh > 0) {
    auto settled = [pending = std::move(pending)](bool durable) mutable {
      for (PendingId& id : pending) id.settle(durable);
    };
    auto kept =
        co_await parts_.intake.append(index.journal(), std::move(group), home_, std::move(settled));
    if (!kept) co_return false;
  }
  parts_.counters.kafka_unreadable += unreadable;
  parts_.counters.kafka_accepted += fresh - unreadable;
  parts_.counters.kafka_duplicate += taken.size() - fresh;
  co_return true;
}

// While the state store is away the source waits in here.
Awaitable<bool> KafkaSource::save() {
  while (!stopping_) {
    Batch batch;
    batch.put(Table::marks, kafka_progress_key(options_.source.connection), encode(progress_));
    auto commit = [this, &batch](StateStore::CommitDone done) {
      parts_.state.commit(std::move(batch), Urgency::soon, home_, std::move(done));
    };
    auto saved = co_await await_callback<Result<void>>(home_, std::move(commit));
    if (saved) co_return true;
    tell("down", saved.error().message);
    co_await wake_.wait_for(kAgainAfter);
  }
  co_return false;
}

Awaitable<void> KafkaSource::stop_for_person(std::string reason) {
  missing_ = 0;
  accepted_ = false;
  progress_.stop = {std::move(reason), parts_.clocks.wall.wall_now()};
  co_await save();
}

}  // namespace millrace::ingress
