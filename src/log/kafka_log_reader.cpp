#include "log/kafka_log_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "log/kafka_record.hpp"

namespace millrace::log {

Result<std::unique_ptr<KafkaReader>> KafkaReaderPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto reader = std::move(idle_.back());
      idle_.pop_back();
      return reader;
    }
  }
  return KafkaReader::open(settings_);
}

void KafkaReaderPool::give_back(std::unique_ptr<KafkaReader> reader) {
  // What it fetched is let go now, and nothing more is fetched.
  if (!reader->assign({})) return;
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kKept) idle_.push_back(std::move(reader));
}

KafkaLogReader::KafkaLogReader(KafkaLogReaderOptions options, const PartitionOffsets& from)
    : options_(std::move(options)), position_(from) {}

KafkaLogReader::~KafkaLogReader() {
  if (reader_) options_.pool->give_back(std::move(reader_));
}

bool KafkaLogReader::at_end() const {
  return std::ranges::equal(position_, options_.ends(), [](Offset position, Offset end) {
    return position == kSkipPartition || position >= end;
  });
}

Result<void> KafkaLogReader::assign() {
  MILLRACE_TRY(reader, options_.pool->take());
  std::vector<KafkaPosition> positions;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (position_[p] == kSkipPartition) continue;
    positions.push_back({options_.topic, p, static_cast<std::int64_t>(position_[p])});
  }
  MILLRACE_CHECK_OK(reader->assign(positions));
  reader_ = std::move(reader);
  return {};
}

Result<RecordBatchPtr> KafkaLogReader::next(std::size_t records_max, std::size_t bytes_max) {
  const auto deadline = std::chrono::steady_clock::now() + options_.answer_within;
  while (!at_end()) {
    if (!reader_) MILLRACE_CHECK_OK(assign());
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left <= milliseconds(0)) {
      // It may hang on what it was told before: the next one begins anew.
      const std::string reason = reader_->health().reason;
      reader_.reset();
      return fail(
          Errc::not_connected,
          fmt::format("Kafka gives no record of {} within {} s{}{}", options_.topic,
                      options_.answer_within / seconds(1), reason.empty() ? "" : ": ", reason));
    }
    const KafkaBatch got = reader_->next(std::max<std::size_t>(records_max, 1), bytes_max, left);
    MILLRACE_TRY(batch, take(got));
    if (!batch->records.empty()) return batch;
  }
  return std::make_shared<const RecordBatch>();
}

bool KafkaLogReader::says_nothing(const KafkaRecord& record) {
  const KafkaMarks marks = marks_of(record);
  const auto partition = static_cast<Partition>(record.partition);
  const auto offset = static_cast<Offset>(record.offset);
  if (!options_.reigns->counts(options_.stream, partition, offset, marks.owner)) return true;
  const bool seen = seen_.is_repeat(options_.stream, partition, offset, marks.id);
  return options_.repeats->is_repeat(options_.stream, partition, offset, marks.id) || seen;
}

Result<RecordBatchPtr> KafkaLogReader::take(const KafkaBatch& got) {
  for (const KafkaProblem& problem : got.problems()) {
    reader_.reset();
    const bool gone = problem.error.code == Errc::corrupt;
    return fail(gone ? Errc::not_found : problem.error.code, problem.error.message);
  }
  KafkaBatchBuilder builder(options_.stream);
  for (const KafkaRecord& record : got.records()) {
    Offset& position = position_[static_cast<std::size_t>(record.partition)];
    const auto offset = static_cast<Offset>(record.offset);
    if (offset < position) continue;  // of an earlier assignment
    position = offset + 1;
    if (says_nothing(record)) continue;
    MILLRACE_CHECK_OK(builder.add(record));
  }
  // An end may lie behind marks of transactions, which are no records.
  for (const KafkaPosition& end : got.ends()) {
    Offset& position = position_[static_cast<std::size_t>(end.partition)];
    position = std::max(position, static_cast<Offset>(end.offset));
  }
  return builder.build();
}

}  // namespace millrace::log
