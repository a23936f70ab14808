#include "stores/log_copy_source.hpp"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "kafka/kafka_admin.hpp"
#include "log/kafka_log.hpp"
#include "log/kafka_log_reader.hpp"
#include "stores/kafka_settings.hpp"

namespace millrace::stores {
namespace {

constexpr std::array kJournals{Journal::inbox, Journal::events, Journal::trail};
constexpr std::size_t kRecordsPerRead = 4096;
constexpr std::size_t kBytesPerRead = std::size_t{4} << 20;
/// So many records of a journal are put in order together, fewer where they are large.
constexpr std::uint64_t kSpanRecordsMax = 100'000;
constexpr std::uint64_t kSpanRecordsMin = 100;
constexpr std::size_t kSpanBytesMax = std::size_t{128} << 20;

class FilesCopySource final : public LogCopySource {
 public:
  explicit FilesCopySource(EventLog& log) : log_(log) {}

  Result<void> read(const Visit& visit) override {
    for (const Journal journal : kJournals) {
      MILLRACE_TRY(reader, log_.open_reader(journal, log_.begins(journal)));
      for (;;) {
        MILLRACE_TRY(batch, reader->next(kRecordsPerRead, kBytesPerRead));
        if (batch->records.empty()) break;
        for (const LogRecord& record : batch->records) MILLRACE_CHECK_OK(visit(journal, record));
      }
    }
    return {};
  }

 private:
  EventLog& log_;
};

/// Goes through a journal in spans of time; of each span all topics are read, and put in order.
class KafkaCopySource final : public LogCopySource {
 public:
  KafkaCopySource(EventLog& log, const config::Installation& from, TopicReigns reigns,
                  std::unique_ptr<KafkaAdmin> admin)
      : log_(log),
        prefix_(from.kafka_log->prefix),
        admin_(std::move(admin)),
        readers_(std::make_shared<log::KafkaReaderPool>(kafka_settings(from))) {
    reigns_->set(std::move(reigns));
  }

  Result<void> read(const Visit& visit) override {
    for (const Journal journal : kJournals) MILLRACE_CHECK_OK(read_journal(journal, visit));
    return {};
  }

 private:
  using Places = std::map<LogStream, PartitionOffsets>;
  struct Held {
    WallTime at;
    std::size_t index;  ///< as it was read
    const LogRecord* record;
    friend auto operator<=>(const Held&, const Held&) = default;
  };

  std::string topic_of(const LogStream& stream) const { return kafka_topic_of(prefix_, stream); }
  Result<void> read_journal(Journal journal, const Visit& visit);
  Result<Places> next_span(const Places& from, const Places& ends);
  Result<Places> places_at(const Places& ends, WallTime at);
  Result<void> read_span(const LogStream& stream, const PartitionOffsets& from,
                         const PartitionOffsets& until);
  Result<void> visit_span(Journal journal, const Visit& visit);
  void drop_span();

  EventLog& log_;
  std::string prefix_;
  std::unique_ptr<KafkaAdmin> admin_;
  std::shared_ptr<log::KafkaReaderPool> readers_;
  std::shared_ptr<log::KafkaRepeats> repeats_ = std::make_shared<log::KafkaRepeats>();
  std::shared_ptr<log::KafkaReigns> reigns_ = std::make_shared<log::KafkaReigns>();
  WallTime reached_;
  microseconds width_{};
  std::uint64_t span_max_ = kSpanRecordsMax;
  std::size_t bytes_ = 0;  ///< of the span, as is what follows
  bool too_large_ = false;
  std::vector<RecordBatchPtr> batches_;
  std::vector<Held> held_;
};

std::uint64_t between(const std::map<LogStream, PartitionOffsets>& from,
                      const std::map<LogStream, PartitionOffsets>& to) {
  std::uint64_t records = 0;
  for (const auto& [stream, offsets] : to) {
    for (Partition p = 0; p < kPartitionCount; ++p) records += offsets[p] - from.at(stream)[p];
  }
  return records;
}

Result<void> KafkaCopySource::read_journal(Journal journal, const Visit& visit) {
  Places from;
  Places ends;
  for (const LogStream& stream : log_.streams(journal)) {
    from[stream] = log_.begins(stream);
    ends[stream] = log_.ends(stream);
  }
  reached_ = WallTime();
  width_ = system_clock().wall_now().time_since_epoch();
  while (between(from, ends) > 0) {
    const WallTime before = reached_;
    MILLRACE_TRY(until, next_span(from, ends));
    for (const auto& [stream, offsets] : until) {
      MILLRACE_CHECK_OK(read_span(stream, from[stream], offsets));
    }
    if (!too_large_) {
      MILLRACE_CHECK_OK(visit_span(journal, visit));
      from = until;
      continue;
    }
    span_max_ = std::max(span_max_ / 4, kSpanRecordsMin);
    reached_ = before;
    drop_span();
  }
  return {};
}

/// The end of a span of time that holds some records, and not too many.
Result<KafkaCopySource::Places> KafkaCopySource::next_span(const Places& from, const Places& ends) {
  if (between(from, ends) <= span_max_) return ends;
  for (;;) {
    MILLRACE_TRY(until, places_at(ends, reached_ + width_));
    for (auto& [stream, offsets] : until) {
      for (Partition p = 0; p < kPartitionCount; ++p) {
        offsets[p] = std::max(offsets[p], from.at(stream)[p]);
      }
    }
    const std::uint64_t records = between(from, until);
    if (records > span_max_ && width_ > milliseconds(1)) {
      width_ = std::max<microseconds>(width_ / 2, milliseconds(1));
      continue;
    }
    reached_ += width_;
    if (records < span_max_ / 2) width_ *= 2;
    if (records > 0) return until;
    if (reached_ > system_clock().wall_now()) return ends;
  }
}

Result<KafkaCopySource::Places> KafkaCopySource::places_at(const Places& ends, WallTime at) {
  Places places;
  for (const auto& [stream, end] : ends) {
    MILLRACE_TRY(offsets, admin_->offsets_at(topic_of(stream), kPartitionCount, at));
    PartitionOffsets& place = places[stream];
    for (Partition p = 0; p < kPartitionCount; ++p) {
      place[p] = std::min(static_cast<Offset>(offsets.at(p)), end[p]);
    }
  }
  return places;
}

Result<void> KafkaCopySource::read_span(const LogStream& stream, const PartitionOffsets& from,
                                        const PartitionOffsets& until) {
  log::KafkaLogReader reader({.pool = readers_,
                              .stream = stream,
                              .topic = topic_of(stream),
                              .ends = [until] { return until; },
                              .repeats = repeats_,
                              .reigns = reigns_},
                             from);
  std::array<WallTime, kPartitionCount> last{};
  while (!too_large_) {
    MILLRACE_TRY(batch, reader.next(kRecordsPerRead, kBytesPerRead));
    if (batch->records.empty()) return {};
    bytes_ += batch->bytes.size();
    too_large_ = bytes_ > kSpanBytesMax && span_max_ > kSpanRecordsMin;
    for (const LogRecord& record : batch->records) {
      if (record.offset >= until[record.partition]) continue;
      last[record.partition] = std::max(last[record.partition], record.appended_at);
      held_.push_back({last[record.partition], held_.size(), &record});
    }
    batches_.push_back(std::move(batch));
  }
  return {};
}

Result<void> KafkaCopySource::visit_span(Journal journal, const Visit& visit) {
  // Records of one partition of a topic keep their order.
  std::ranges::sort(held_);
  for (const Held& held : held_) {
    LogRecord record = *held.record;
    record.appended_at = held.at;
    MILLRACE_CHECK_OK(visit(journal, record));
  }
  drop_span();
  return {};
}

void KafkaCopySource::drop_span() {
  held_.clear();
  batches_.clear();
  bytes_ = 0;
  too_large_ = false;
}

}  // namespace

std::unique_ptr<LogCopySource> files_copy_source(EventLog& log) {
  return std::make_unique<FilesCopySource>(log);
}

Result<std::unique_ptr<LogCopySource>> kafka_copy_source(EventLog& log,
                                                         const config::Installation& from,
                                                         TopicReigns reigns) {
  MILLRACE_TRY(admin, KafkaAdmin::open(kafka_settings(from)));
  return std::make_unique<KafkaCopySource>(log, from, std::move(reigns), std::move(admin));
}

std::uint64_t records_in(const EventLog& log) {
  std::uint64_t records = 0;
  for (const Journal journal : kJournals) {
    for (const LogStream& stream : log.streams(journal)) {
      const PartitionOffsets begins = log.begins(stream);
      const PartitionOffsets ends = log.ends(stream);
      for (Partition p = 0; p < kPartitionCount; ++p) records += ends[p] - begins[p];
    }
  }
  return records;
}

Result<std::set<std::string>> topics_in(EventLog& log) {
  std::set<std::string> topics;
  for (const LogStream& stream : log.streams(Journal::events)) {
    if (!stream.topic.empty()) {
      topics.insert(stream.topic);
      continue;
    }
    MILLRACE_TRY(reader, log.open_reader(stream, log.begins(stream)));
    for (;;) {
      MILLRACE_TRY(batch, reader->next(kRecordsPerRead, kBytesPerRead));
      if (batch->records.empty()) break;
      for (const LogRecord& record : batch->records) topics.insert(std::string(record.topic));
    }
  }
  return topics;
}

}  // namespace millrace::stores
