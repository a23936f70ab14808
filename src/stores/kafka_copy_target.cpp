#include "stores/kafka_copy_target.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "kafka/kafka_admin.hpp"
#include "log/kafka_bounds.hpp"
#include "log/kafka_identity.hpp"
#include "log/kafka_log.hpp"
#include "log/kafka_log_reader.hpp"
#include "log/kafka_record.hpp"
#include "log/manifest.hpp"
#include "stores/kafka_settings.hpp"
#include "stores/kafka_writer.hpp"

namespace millrace::stores {
namespace {

constexpr milliseconds kAnswerWithin{30'000};

class KafkaCopyTarget final : public LogCopyTarget {
 public:
  KafkaCopyTarget(KafkaSettings settings, std::string prefix)
      : settings_(std::move(settings)),
        prefix_(std::move(prefix)),
        readers_(std::make_shared<log::KafkaReaderPool>(settings_)) {}

  Result<void> open();
  Result<void> begin(const CopyPlan& plan) override;
  PartitionOffsets base(const LogStream& stream) const override { return bounds_.begins(stream); }
  Result<void> write(Journal journal, const LogRecord& record) override;
  Result<void> flush() override { return writer_->flush(); }
  std::vector<LogStream> streams() const override { return streams_; }
  Result<std::unique_ptr<LogReader>> open_reader(const LogStream& stream) override;
  Result<void> complete(const CopyMark& mark) override { return say(encode(mark)); }
  Result<void> give_up(const CopyMark& mark) override { return say(encode(mark)); }

 private:
  std::string topic_of(const LogStream& stream) const { return kafka_topic_of(prefix_, stream); }
  std::string identity_topic() const { return prefix_ + ".log"; }
  Result<void> make_topics();
  Result<void> look(const LogStream& stream) {
    return bounds_.look(*admin_, stream, topic_of(stream), kAnswerWithin);
  }
  Result<bool> claim(const CopyPlan& plan);
  Result<void> prepare(const LogStream& stream, const PartitionOffsets& room, bool anew);
  Result<void> say(const std::string& record);

  KafkaSettings settings_;
  std::string prefix_;
  std::shared_ptr<log::KafkaReaderPool> readers_;
  std::unique_ptr<KafkaAdmin> admin_;
  std::unique_ptr<KafkaWriter> writer_;
  log::KafkaBounds bounds_;
  std::vector<LogStream> streams_;
  std::map<LogStream, PartitionOffsets> left_;  ///< records that are there already
};

Result<void> KafkaCopyTarget::open() {
  MILLRACE_TRY(admin, KafkaAdmin::open(settings_));
  admin_ = std::move(admin);
  if (const auto cluster = admin_->cluster(); !cluster) {
    return fail(cluster.error().code,
                fmt::format("the log is to go to Kafka, and {}", cluster.error().message));
  }
  MILLRACE_TRY(writer, KafkaWriter::open(settings_));
  writer_ = std::move(writer);
  return {};
}

Result<void> KafkaCopyTarget::begin(const CopyPlan& plan) {
  streams_ = {Journal::inbox, Journal::trail};
  for (const std::string& topic : plan.topics) streams_.emplace_back(Journal::events, topic);
  MILLRACE_CHECK_OK(make_topics());
  for (const LogStream& stream : streams_) MILLRACE_CHECK_OK(look(stream));
  MILLRACE_TRY(anew, claim(plan));
  for (const LogStream& stream : streams_) {
    MILLRACE_CHECK_OK(prepare(stream, room_of(plan.rooms, stream), anew));
  }
  return say(encode(CopyMark{"writing", plan.from, plan.begins, {}, {}}));
}

Result<void> KafkaCopyTarget::make_topics() {
  std::vector<KafkaTopicSpec> specs{{.name = identity_topic(), .partitions = 1}};
  for (const LogStream& stream : streams_) {
    specs.push_back({.name = topic_of(stream), .partitions = kPartitionCount});
  }
  const auto made = admin_->ensure_topics(specs);
  return made ? Result<void>() : std::unexpected(made.error());
}

/// Whether what an earlier copy left is of no use.
Result<bool> KafkaCopyTarget::claim(const CopyPlan& plan) {
  const auto in_use = [this](const std::string& what) {
    return fail(Errc::conflict, fmt::format("{}.* on {} {}: name another prefix, whose topics are "
                                            "new",
                                            prefix_, settings_.brokers, what));
  };
  const log::KafkaIdentity identity{*admin_, *readers_, identity_topic(), kAnswerWithin};
  MILLRACE_TRY(said, identity.records());
  if (said.empty()) {
    for (const LogStream& stream : streams_) {
      if (std::ranges::any_of(bounds_.ends(stream), [](Offset end) { return end > 0; }))
        return in_use("hold records already");
    }
    MILLRACE_CHECK_OK(say(log::kafka_identity_text(random_uuid(), plan.from)));
    return false;
  }
  MILLRACE_TRY(uuid, log::kafka_identity_of(said.front(), identity_topic()));
  const std::string_view of = string_or(said.front(), "copy_of", "");
  if (of.empty()) return in_use("hold log " + uuid);
  if (of != plan.from) return in_use(fmt::format("hold a copy of another log, {}", of));
  std::optional<CopyMark> last;
  for (const Json& record : said) {
    if (string_or(record, "copy", "").empty()) continue;
    MILLRACE_TRY(mark, decode_copy_mark(record));
    last = std::move(mark);
  }
  return last && (last->stage == "differs" || last->begins != plan.begins);
}

// Rows may name records that are not in the log any more: offsets before the first record are left
// for them. A topic begins at 0, so what takes them is written and dropped.
Result<void> KafkaCopyTarget::prepare(const LogStream& stream, const PartitionOffsets& room,
                                      bool anew) {
  const PartitionOffsets begins = bounds_.begins(stream);
  const bool narrow = !std::ranges::equal(begins, room, std::ranges::greater_equal{});
  if (anew || narrow) {
    PartitionOffsets ends = bounds_.ends(stream);
    std::vector<KafkaOffset> before;
    for (Partition p = 0; p < kPartitionCount; ++p) {
      for (; ends[p] < room[p]; ++ends[p]) {
        MILLRACE_CHECK_OK(writer_->write({.topic = topic_of(stream), .partition = p}));
      }
      if (ends[p] > begins[p]) before.push_back({p, static_cast<std::int64_t>(ends[p])});
    }
    MILLRACE_CHECK_OK(writer_->flush());
    if (!before.empty()) MILLRACE_CHECK_OK(admin_->delete_records(topic_of(stream), before));
    MILLRACE_CHECK_OK(look(stream));
  }
  PartitionOffsets& left = left_[stream];
  const PartitionOffsets from = bounds_.begins(stream);
  const PartitionOffsets to = bounds_.ends(stream);
  for (Partition p = 0; p < kPartitionCount; ++p) left[p] = to[p] - from[p];
  return {};
}

Result<void> KafkaCopyTarget::write(Journal journal, const LogRecord& record) {
  const LogStream stream =
      journal == Journal::events ? LogStream(journal, std::string(record.topic)) : journal;
  if (Offset& left = left_[stream][record.partition]; left > 0) {
    --left;
    return {};
  }
  const LogEntry entry{
      record.partition, std::string(record.topic), std::string(record.payload), {}};
  const WallTime at(std::chrono::floor<milliseconds>(record.appended_at));
  return writer_->write(log::to_kafka(journal, topic_of(stream), entry, {}, at));
}

Result<std::unique_ptr<LogReader>> KafkaCopyTarget::open_reader(const LogStream& stream) {
  MILLRACE_CHECK_OK(look(stream));
  log::KafkaLogReaderOptions options{.pool = readers_,
                                     .stream = stream,
                                     .topic = topic_of(stream),
                                     .ends = [ends = bounds_.ends(stream)] { return ends; },
                                     .repeats = std::make_shared<log::KafkaRepeats>(),
                                     .reigns = std::make_shared<log::KafkaReigns>(),
                                     .answer_within = kAnswerWithin};
  return std::make_unique<log::KafkaLogReader>(std::move(options), bounds_.begins(stream));
}

Result<void> KafkaCopyTarget::say(const std::string& record) {
  MILLRACE_CHECK_OK(writer_->write({.topic = identity_topic(), .partition = 0, .value = record}));
  return writer_->flush();
}

}  // namespace

PartitionOffsets room_of(const Rooms& rooms, const LogStream& stream) {
  PartitionOffsets most{};
  for (const auto& [of, room] : rooms) {
    if (of.journal != stream.journal) continue;
    if (!stream.topic.empty() && of.topic != stream.topic) continue;
    for (Partition p = 0; p < kPartitionCount; ++p) most[p] = std::max(most[p], room[p]);
  }
  return most;
}

Result<std::unique_ptr<LogCopyTarget>> open_kafka_copy_target(const config::Installation& to) {
  auto target = std::make_unique<KafkaCopyTarget>(kafka_settings(to), to.kafka_log->prefix);
  MILLRACE_CHECK_OK(target->open());
  return target;
}

}  // namespace millrace::stores
