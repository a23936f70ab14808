#include "log/kafka_log.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "log/completions.hpp"
#include "log/kafka_bounds.hpp"
#include "log/kafka_following.hpp"
#include "log/kafka_health.hpp"
#include "log/kafka_identity.hpp"
#include "log/kafka_ids.hpp"
#include "log/kafka_log_reader.hpp"
#include "log/kafka_numbers.hpp"
#include "log/kafka_record.hpp"
#include "log/kafka_tail.hpp"
#include "millrace/json.hpp"
#include "net/shard.hpp"

namespace millrace {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kGroupBytesMax = std::size_t{16} << 20;
constexpr std::string_view kDeadTopic = "dead";
constexpr milliseconds kHealthEvery = 1s;

/// A group under way: complete once all its entries have their report.
struct Group {
  Journal journal = Journal::inbox;
  std::vector<LogEntry> entries;
  std::vector<Offset> offsets;
  std::size_t left = 0;
  std::optional<Error> error;
  Executor* home = nullptr;
  EventLog::AppendDone done;
};
using GroupPtr = std::shared_ptr<Group>;

Result<std::vector<Offset>> result_of(Group& group) {
  if (group.error) return std::unexpected(*std::move(group.error));
  return std::move(group.offsets);
}

class KafkaLog final : public EventLog {
 public:
  explicit KafkaLog(KafkaLogOptions options)
      : options_(std::move(options)),
        readers_(std::make_shared<log::KafkaReaderPool>(options_.settings)),
        ids_(options_.id_memories) {}
  ~KafkaLog() override { close(); }

  Result<void> start();

  void append(Journal journal, std::vector<LogEntry> group, Executor& home,
              AppendDone done) override;
  LogStream stream_of(Journal journal, std::string_view topic) const override {
    return journal == Journal::events ? LogStream(journal, std::string(topic)) : journal;
  }
  std::vector<LogStream> streams(Journal journal) const override;
  void set_tail_listener(Journal journal, TailListener listener) override {
    const std::lock_guard lock(listeners_mutex_);
    listeners_[journal] = std::make_shared<TailListener>(std::move(listener));
  }
  Result<void> follow(const std::set<Partition>& partitions) override;
  Result<std::unique_ptr<LogReader>> open_reader(const LogStream& stream,
                                                 const PartitionOffsets& from) override;
  void set_reigns(TopicReigns reigns) override { reigns_->set(std::move(reigns)); }
  std::uint64_t passed_over() const override { return reigns_->passed_over(); }
  Result<void> look(const LogStream& stream) override {
    return bounds_->look(*admin_, stream, topic_of(stream), options_.answer_within);
  }
  PartitionOffsets ends(const LogStream& stream) const override { return bounds_->ends(stream); }
  PartitionOffsets begins(const LogStream& stream) const override {
    return bounds_->begins(stream);
  }
  // Kafka keeps what it acknowledged; that it is the same log is all there is to check.
  std::string durable_ends() const override { return fmt::format(R"({{"log":"{}"}})", uuid_); }
  Result<void> verify_ends(std::string_view stored) const override;
  std::string uuid() const override { return uuid_; }
  bool empty() const override;
  std::vector<Trouble> troubles() const override;
  Usage usage() const override { return {}; }
  Result<void> trim(const LogStream& stream, WallTime older_than,
                    const PartitionOffsets& keep_from) override;
  void close() override;

 private:
  std::string topic_of(const LogStream& stream) const {
    return kafka_topic_of(options_.prefix, stream);
  }
  std::string identity_topic() const { return options_.prefix + ".log"; }
  std::vector<LogStream> all_streams() const;
  Result<void> make_topics();
  Result<void> identify();
  Result<void> write(const std::string& identity);
  Result<void> remember_ids(const LogStream& stream);
  Result<void> open_producer();
  log::KafkaTailOptions tail_options();
  /// Runs there, and waits for it.
  Result<void> on_shard(std::function<Result<void>()> work);

  // On the shard:
  void send(const GroupPtr& group);
  void reported(const GroupPtr& group, std::size_t index, WallTime at, Result<KafkaPlace> place);
  void flush();
  Awaitable<void> watch();
  void tell(const LogStream& stream, const RecordBatchPtr& batch);

  KafkaLogOptions options_;
  std::shared_ptr<log::KafkaBounds> bounds_ = std::make_shared<log::KafkaBounds>();
  std::shared_ptr<log::KafkaRepeats> repeats_ = std::make_shared<log::KafkaRepeats>();
  std::shared_ptr<log::KafkaReigns> reigns_ = std::make_shared<log::KafkaReigns>();
  std::shared_ptr<log::KafkaReaderPool> readers_;
  std::unique_ptr<KafkaAdmin> admin_;
  std::string uuid_;
  log::KafkaIds ids_;
  std::unique_ptr<log::KafkaFollowing> following_;

  log::KafkaLogHealth health_;
  std::mutex listeners_mutex_;  // guards what follows
  std::map<Journal, std::shared_ptr<TailListener>> listeners_;
  std::atomic<bool> closed_ = false;

  Shard shard_{"kafka-log"};
  std::unique_ptr<KafkaProducer> producer_;  // what follows belongs to the shard
  std::unique_ptr<log::KafkaTail> tail_;
  std::vector<GroupPtr> complete_;
  bool flushing_ = false;
  WallTime last_at_;
};

std::vector<LogStream> KafkaLog::streams(Journal journal) const {
  if (journal != Journal::events) return {journal};
  std::vector<LogStream> all;
  for (const std::string& entity : options_.entities) all.emplace_back(journal, entity);
  if (std::ranges::find(options_.entities, kDeadTopic) == options_.entities.end()) {
    all.emplace_back(journal, std::string(kDeadTopic));
  }
  return all;
}

std::vector<LogStream> KafkaLog::all_streams() const {
  std::vector<LogStream> all{Journal::inbox, Journal::trail};
  std::ranges::move(streams(Journal::events), std::back_inserter(all));
  return all;
}

Result<void> KafkaLog::start() {
  MILLRACE_TRY(admin, KafkaAdmin::open(options_.settings));
  admin_ = std::move(admin);
  if (const auto cluster = admin_->cluster(); !cluster) {
    return fail(cluster.error().code,
                fmt::format("the log is on Kafka, and {}", cluster.error().message));
  }
  MILLRACE_CHECK_OK(make_topics());
  for (const LogStream& stream : all_streams()) {
    MILLRACE_CHECK_OK(bounds_->look(*admin_, stream, topic_of(stream), options_.answer_within));
  }
  tail_ = std::make_unique<log::KafkaTail>(shard_, tail_options());
  following_ = std::make_unique<log::KafkaFollowing>(
      *this, *admin_, *bounds_, ids_, *tail_,
      [this](auto work) { return on_shard(std::move(work)); });
  MILLRACE_CHECK_OK(open_producer());
  MILLRACE_CHECK_OK(identify());
  for (const LogStream& stream : all_streams()) MILLRACE_CHECK_OK(remember_ids(stream));
  return {};
}

Result<void> KafkaLog::make_topics() {
  std::vector<KafkaTopicSpec> specs{{.name = identity_topic(), .partitions = 1}};
  for (const LogStream& stream : all_streams()) {
    specs.push_back({.name = topic_of(stream), .partitions = kPartitionCount});
  }
  MILLRACE_TRY(topics, admin_->ensure_topics(specs));
  for (const KafkaTopic& topic : topics) {
    for (const std::string& told : kafka_topic_warnings(options_.settings, topic)) {
      spdlog::warn("{}", told);
    }
  }
  return {};
}

log::KafkaTailOptions KafkaLog::tail_options() {
  std::map<std::string, LogStream, std::less<>> followed;
  for (const LogStream& stream : all_streams()) {
    if (stream.journal != Journal::trail) followed.emplace(topic_of(stream), stream);
  }
  return {.settings = options_.settings,
          .streams = std::move(followed),
          .bounds = bounds_,
          .repeats = repeats_,
          .reigns = reigns_,
          .ids = ids_,
          .clock = options_.clock,
          .tell = std::bind_front(&KafkaLog::tell, this)};
}

Result<void> KafkaLog::on_shard(std::function<Result<void>()> work) {
  auto outcome = std::make_shared<std::promise<Result<void>>>();
  auto done = outcome->get_future();
  shard_.post([work = std::move(work), outcome] { outcome->set_value(work()); });
  if (done.wait_for(options_.answer_within) == std::future_status::ready) return done.get();
  return fail(Errc::stopping, "the log is closed");
}

Result<void> KafkaLog::open_producer() {
  shard_.start();
  return on_shard([this]() -> Result<void> {
    MILLRACE_TRY(made, KafkaProducer::open(shard_, options_.settings));
    producer_ = std::move(made);
    shard_.spawn("kafka health", watch());
    return {};
  });
}

Result<void> KafkaLog::identify() {
  log::KafkaIdentity identity{.admin = *admin_,
                              .readers = *readers_,
                              .topic = identity_topic(),
                              .answer_within = options_.answer_within};
  MILLRACE_TRY(uuid, identity.find_or_make([this](std::string text) { return write(text); }));
  uuid_ = uuid;
  return {};
}

Result<void> KafkaLog::write(const std::string& identity) {
  auto outcome = std::make_shared<std::promise<Result<void>>>();
  auto written = outcome->get_future();
  shard_.post([this, identity, outcome] {
    KafkaMessage message{.topic = identity_topic(), .partition = 0, .value = identity};
    auto sent = producer_->send(std::move(message), [outcome](Result<KafkaPlace> place) {
      outcome->set_value(place ? Result<void>() : std::unexpected(std::move(place).error()));
    });
    if (!sent) outcome->set_value(std::move(sent));
  });
  milliseconds waited{0};
  for (; written.wait_for(kHealthEvery) != std::future_status::ready; waited += kHealthEvery) {
    const KafkaHealth health = health_.now();
    if (health.code != Errc::forbidden && waited < options_.answer_within) continue;
    return fail(health.code, "Kafka does not acknowledge who the log is: " + health.reason);
  }
  return written.get();
}

Result<void> KafkaLog::remember_ids(const LogStream& stream) {
  if (!ids_.keeps(stream.journal)) return {};
  const WallTime since = options_.clock.wall_now() - options_.ids_window;
  MILLRACE_TRY(young, admin_->offsets_at(topic_of(stream), kPartitionCount, since));
  PartitionOffsets from{};
  for (Partition p = 0; p < kPartitionCount; ++p) from[p] = static_cast<Offset>(young.at(p));
  following_->ids_are_known(stream, bounds_->ends(stream));
  return ids_.read(*this, stream, from);
}

Result<void> KafkaLog::follow(const std::set<Partition>& partitions) {
  if (closed_) return fail(Errc::stopping, "the log is closed");
  return following_->follow(partitions);
}

void KafkaLog::append(Journal journal, std::vector<LogEntry> entries, Executor& home,
                      AppendDone done) {
  auto group = std::make_shared<Group>();
  group->journal = journal;
  group->entries = std::move(entries);
  group->offsets.resize(group->entries.size());
  group->left = group->entries.size();
  group->home = &home;
  group->done = std::move(done);
  std::size_t bytes = 0;
  for (const LogEntry& entry : group->entries) bytes += entry.topic.size() + entry.payload.size();
  if (bytes > kGroupBytesMax) {
    group->error = Error{Errc::too_large, "the messages of one append exceed 16 MB"};
  } else if (closed_) {
    group->error = Error{Errc::stopping, "the log is closed"};
  }
  if (group->error || group->entries.empty()) {
    return log::complete_one(home, std::move(group->done), result_of(*group));
  }
  shard_.post([this, group] { send(group); });
}

void KafkaLog::send(const GroupPtr& group) {
  // Within Kafka a group travels together as long as nothing else does: all or none is taken here.
  std::size_t bytes = 0;
  for (const LogEntry& entry : group->entries) bytes += entry.payload.size() + 1024;
  if (!producer_->has_room(group->entries.size(), bytes)) {
    group->error = Error{Errc::disk_full, "Kafka acknowledges too slowly; send again later"};
    return log::complete_one(*group->home, std::move(group->done), result_of(*group));
  }
  const WallTime now(std::chrono::floor<milliseconds>(options_.clock.wall_now()));
  last_at_ = std::max(last_at_, now);
  const WallTime at = last_at_;
  for (std::size_t i = 0; i < group->entries.size(); ++i) {
    const LogEntry& entry = group->entries[i];
    const std::string to = topic_of(stream_of(group->journal, entry.topic));
    auto sent = producer_->send(log::to_kafka(group->journal, to, entry, options_.owner, at),
                                [this, group, i, at](Result<KafkaPlace> place) {
                                  reported(group, i, at, std::move(place));
                                });
    if (!sent) reported(group, i, at, std::unexpected(std::move(sent).error()));
  }
}

void KafkaLog::reported(const GroupPtr& group, std::size_t index, WallTime at,
                        Result<KafkaPlace> place) {
  const LogEntry& entry = group->entries[index];
  if (place) {
    const auto offset = static_cast<Offset>(place->offset);
    group->offsets[index] = offset;
    tail_->add(stream_of(group->journal, entry.topic),
               {entry.partition, offset, at, std::shared_ptr<const LogEntry>(group, &entry)});
  } else if (!group->error) {
    group->error = std::move(place).error();
  }
  if (--group->left == 0) complete_.push_back(group);
  if (std::exchange(flushing_, true)) return;
  // Reports come by the dozen: the tail gets them together.
  shard_.post([this] { flush(); });
}

// What is durable is told to the tail before those who wait for it.
void KafkaLog::flush() {
  flushing_ = false;
  tail_->flush();
  log::Completions completions;
  for (const GroupPtr& group : std::exchange(complete_, {})) {
    completions.add(*group->home, std::move(group->done), result_of(*group));
  }
  completions.post();
}

void KafkaLog::tell(const LogStream& stream, const RecordBatchPtr& batch) {
  std::shared_ptr<TailListener> listener;
  {
    const std::lock_guard lock(listeners_mutex_);
    if (const auto found = listeners_.find(stream.journal); found != listeners_.end()) {
      listener = found->second;
    }
  }
  if (listener) (*listener)(stream, batch);
}

Awaitable<void> KafkaLog::watch() {
  for (;;) {
    health_.look(*producer_, options_.clock.wall_now());
    tail_->look();
    if (options_.numbers) options_.numbers->look(*producer_, tail_->statistics());
    co_await sleep_for(kHealthEvery);
  }
}

std::vector<EventLog::Trouble> KafkaLog::troubles() const {
  auto all = health_.troubles(options_.settings.brokers, options_.while_away);
  std::ranges::move(tail_->troubles(), std::back_inserter(all));
  return all;
}

Result<std::unique_ptr<LogReader>> KafkaLog::open_reader(const LogStream& stream,
                                                         const PartitionOffsets& from) {
  const PartitionOffsets begins = bounds_->begins(stream);
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (from[p] == kSkipPartition || from[p] >= begins[p]) continue;
    return fail(Errc::not_found, fmt::format("{}: partition {} begins at {}, {} was dropped",
                                             to_string(stream), p, begins[p], from[p]));
  }
  return std::make_unique<log::KafkaLogReader>(
      log::KafkaLogReaderOptions{
          .pool = readers_,
          .stream = stream,
          .topic = topic_of(stream),
          .ends = [bounds = bounds_, stream] { return bounds->ends(stream); },
          .repeats = repeats_,
          .reigns = reigns_,
          .answer_within = options_.answer_within},
      from);
}

Result<void> KafkaLog::verify_ends(std::string_view stored) const {
  MILLRACE_TRY(json, parse_json(stored));
  const std::string_view uuid = string_or(json, "log", "");
  if (uuid == uuid_) return {};
  return fail(Errc::wrong_environment,
              fmt::format("the state belongs to log {}, but {}.* on {} is log {}; start with the "
                          "log and the state that belong together",
                          uuid, options_.prefix, options_.settings.brokers, uuid_));
}

bool KafkaLog::empty() const {
  return std::ranges::all_of(all_streams(), [this](const LogStream& stream) {
    return std::ranges::all_of(bounds_->ends(stream), [](Offset end) { return end == 0; });
  });
}

Result<void> KafkaLog::trim(const LogStream& stream, WallTime older_than,
                            const PartitionOffsets& keep_from) {
  const std::string topic = topic_of(stream);
  MILLRACE_TRY(young, admin_->offsets_at(topic, kPartitionCount, older_than));
  const PartitionOffsets begins = bounds_->begins(stream);
  std::vector<KafkaOffset> before;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    const Offset to = std::min(static_cast<Offset>(young.at(p)), keep_from[p]);
    if (to > begins[p]) before.push_back({p, static_cast<std::int64_t>(to)});
  }
  if (before.empty()) return {};
  MILLRACE_CHECK_OK(admin_->delete_records(topic, before));
  MILLRACE_CHECK_OK(bounds_->look(*admin_, stream, topic, options_.answer_within));
  spdlog::info("old records were dropped topic={} partitions={}", topic, before.size());
  return {};
}

void KafkaLog::close() {
  if (closed_.exchange(true) || !producer_) return;
  auto idle = std::make_shared<std::promise<void>>();
  auto done = idle->get_future();
  shard_.post([this, idle] {
    producer_->when_idle([this, idle] {
      // Behind the flush of the last reports.
      shard_.post([idle] { idle->set_value(); });
    });
  });
  if (done.wait_for(options_.close_within) != std::future_status::ready) {
    spdlog::warn(
        "Kafka does not acknowledge what was handed to it last; nobody was told that it is "
        "durable");
  }
  shard_.stop(1s);
  tail_->stop();
  producer_.reset();
}

}  // namespace

Result<std::unique_ptr<EventLog>> open_kafka_log(KafkaLogOptions options) {
  auto log = std::make_unique<KafkaLog>(std::move(options));
  MILLRACE_CHECK_OK(log->start());
  return log;
}

}  // namespace millrace
