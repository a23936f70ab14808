#include "log/kafka_tail.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "log/kafka_record.hpp"

namespace millrace::log {
namespace {

using namespace std::chrono_literals;

/// Between two batches reports have their turn.
constexpr std::size_t kRecordsPerTake = 4096;
constexpr std::size_t kBytesPerTake = std::size_t{4} << 20;
constexpr auto kAgainAfter = 2s;
const LogEntry kNothing;

}  // namespace

KafkaTail::KafkaTail(Shard& shard, KafkaTailOptions options)
    : shard_(shard), options_(std::move(options)) {}

bool KafkaTail::is_next(const LogStream& stream, const Report& report) {
  const auto followed = told_.find(stream);
  if (followed == told_.end()) return told_.empty() || stream.journal == Journal::trail;
  // What lies beyond has records of others before it, and comes with them.
  Offset& next = followed->second[report.partition];
  if (next != report.offset) return false;
  ++next;
  return true;
}

void KafkaTail::flush() {
  for (auto& [stream, reports] : reports_) {
    if (reports.empty()) continue;
    KafkaBatchBuilder builder(stream);
    for (const Report& report : reports) {
      options_.bounds->reach(stream, report.partition, report.offset + 1);
      if (!is_next(stream, report)) continue;
      const bool repeats = is_repeat(stream, report.partition, report.offset, report.entry->id);
      builder.add(report.partition, report.offset, report.at, repeats ? kNothing : *report.entry);
    }
    reports.clear();
    if (!builder.empty()) options_.tell(stream, builder.build());
  }
}

Result<std::vector<KafkaPosition>> KafkaTail::let_go_of_all_but(
    const std::set<Partition>& partitions) {
  std::vector<KafkaPosition> let_go;
  std::vector<KafkaPartition> removed;
  for (const auto& [topic, stream] : options_.streams) {
    const auto [followed, is_new] = told_.try_emplace(stream);
    if (is_new) followed->second.fill(kSkipPartition);
    for (Partition p = 0; p < kPartitionCount; ++p) {
      if (followed->second[p] == kSkipPartition || partitions.contains(p)) continue;
      const auto next =
          static_cast<std::int64_t>(std::exchange(followed->second[p], kSkipPartition));
      let_go.push_back({topic, p, next});
      removed.emplace_back(topic, p);
    }
  }
  {
    const std::lock_guard lock(mutex_);
    for (const KafkaPartition& gone : removed) troubles_.erase(gone);
  }
  if (consumer_) MILLRACE_CHECK_OK(consumer_->remove(removed));
  return let_go;
}

Result<void> KafkaTail::begin(const std::vector<KafkaPosition>& positions) {
  for (const KafkaPosition& from : positions)
    told(from.topic, from.partition) = static_cast<Offset>(from.offset);
  return consumer_ ? consumer_->add(positions) : open();
}

Result<void> KafkaTail::open() {
  consumer_.reset();
  std::vector<KafkaPosition> positions;
  for (const auto& [topic, stream] : options_.streams) {
    for (Partition p = 0; p < kPartitionCount; ++p) {
      const Offset next = told_.at(stream)[p];
      if (next == kSkipPartition) continue;
      positions.push_back(
          {topic, p, next == 0 ? kKafkaBeginning : static_cast<std::int64_t>(next)});
    }
  }
  // Where a partition ends is told, too: it can be read.
  MILLRACE_TRY(consumer, KafkaConsumer::open(shard_, options_.settings, {.tell_ends = true}));
  MILLRACE_CHECK_OK(consumer->assign(positions));
  consumer->set_on_readable([this] { take(); });
  consumer_ = std::move(consumer);
  return {};
}

void KafkaTail::take() {
  if (!consumer_) return;
  const KafkaBatch got = consumer_->take(kRecordsPerTake, kBytesPerTake);
  if (got.empty()) return;
  Builders builders;
  for (const KafkaRecord& record : got.records()) add(record, builders);
  for (const KafkaPosition& end : got.ends()) reached_end(end);
  for (const KafkaProblem& problem : got.problems()) failed(problem);
  for (auto& [stream, builder] : builders) {
    if (builder.empty()) continue;
    const RecordBatchPtr batch = builder.build();
    options_.ids.remember(stream, *batch);
    options_.tell(stream, batch);
  }
  shard_.post([this] { take(); });
}

Offset& KafkaTail::told(const std::string& topic, std::int32_t partition) {
  return told_.at(options_.streams.at(topic)).at(static_cast<std::size_t>(partition));
}

void KafkaTail::add(const KafkaRecord& record, Builders& builders) {
  const LogStream& stream = options_.streams.find(record.topic)->second;
  const auto partition = static_cast<Partition>(record.partition);
  const auto offset = static_cast<Offset>(record.offset);
  Offset& next = told_.at(stream).at(partition);
  if (next == kSkipPartition || offset < next) return;
  next = offset + 1;
  options_.bounds->reach(stream, partition, next);
  KafkaBatchBuilder& builder = builders.try_emplace(stream, stream).first->second;
  const KafkaMarks marks = marks_of(record);
  if (!options_.reigns->counts(stream, partition, offset, marks.owner) ||
      is_repeat(stream, partition, offset, marks.id))
    return builder.add(partition, offset, record.timestamp, kNothing);
  const auto added = builder.add(record);
  // It is not told: whoever reads the log up to there meets it, and says so.
  if (!added) spdlog::error("{}", added.error().message);
}

void KafkaTail::reached_end(const KafkaPosition& end) {
  {
    const std::lock_guard lock(mutex_);
    if (troubles_.erase({end.topic, end.partition}) > 0)
      spdlog::info("what others append is read again topic={} partition={}", end.topic,
                   end.partition);
  }
  // An end may lie behind marks of transactions, which are no records.
  Offset& next = told(end.topic, end.partition);
  if (next != kSkipPartition) next = std::max(next, static_cast<Offset>(end.offset));
}

// Nothing that is there is skipped: where our place is gone, all that is left is told; those who
// had some of it before know by its offsets.
void KafkaTail::failed(const KafkaProblem& problem) {
  Offset& next = told(problem.topic, problem.partition);
  if (next == kSkipPartition) return;
  spdlog::error("what others append cannot be read topic={} partition={} error=\"{}\"",
                problem.topic, problem.partition, problem.error.message);
  if (problem.error.code == Errc::corrupt) next = 0;
  again_at_ = std::chrono::steady_clock::now() + kAgainAfter;
  const std::lock_guard lock(mutex_);
  troubles_.try_emplace(
      {problem.topic, problem.partition},
      EventLog::Trouble{
          fmt::format("what other instances append is not seen: {}", problem.error.message),
          options_.clock.wall_now(),
          "see to the topic and to our rights to read it; all goes on by itself then"});
}

void KafkaTail::look() {
  if (!again_at_ || std::chrono::steady_clock::now() < *again_at_) return;
  again_at_.reset();
  // With a new client: one that saw a topic go does not find it again.
  if (const auto opened = open(); !opened) {
    spdlog::error("what others append cannot be read error=\"{}\"", opened.error().message);
    again_at_ = std::chrono::steady_clock::now() + kAgainAfter;
  }
}

std::vector<EventLog::Trouble> KafkaTail::troubles() const {
  std::vector<EventLog::Trouble> all;
  const std::lock_guard lock(mutex_);
  for (const auto& [partition, trouble] : troubles_) all.push_back(trouble);
  return all;
}

}  // namespace millrace::log
