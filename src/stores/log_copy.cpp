#include "stores/log_copy.hpp"

#include <fmt/format.h>

#include <array>
#include <map>
#include <optional>

#include "state/partition_reigns.hpp"
#include "storage/crc32c.hpp"
#include "storage/posix_disk.hpp"
#include "stores/files_copy_target.hpp"
#include "stores/kafka_copy_target.hpp"
#include "stores/log_copy_source.hpp"
#include "stores/site.hpp"
#include "stores/state_rows.hpp"

namespace millrace::stores {
namespace {

constexpr std::size_t kRecordsPerRead = 4096;
constexpr std::size_t kBytesPerRead = std::size_t{4} << 20;
constexpr std::uint64_t kTellEvery = 1000;
constexpr std::size_t kRowsPerScan = 1000;

/// What went through, by topic of the events and partition: the order counts.
class Sums {
 public:
  void add(Journal journal, const LogRecord& record) {
    const std::string topic = journal == Journal::events ? std::string(record.topic) : "";
    Sum& sum = sums_[LogStream(journal, topic)][record.partition];
    // Kafka keeps milliseconds.
    const auto at = std::chrono::floor<milliseconds>(record.appended_at).time_since_epoch();
    const std::string head =
        fmt::format("{} {} {} ", at.count(), record.topic.size(), record.payload.size());
    sum.crc = crc32c(record.payload, crc32c(record.topic, crc32c(head, sum.crc)));
    ++sum.records;
  }
  bool operator==(const Sums&) const = default;

 private:
  struct Sum {
    std::uint64_t records = 0;
    std::uint32_t crc = 0;
    bool operator==(const Sum&) const = default;
  };
  std::map<LogStream, std::array<Sum, kPartitionCount>> sums_;
};

class LogCopy {
 public:
  LogCopy(Site& site, const config::Config& from, const config::Config& to,
          const ProgressListener& listener)
      : site_(site), from_(from), to_(to), listener_(listener) {}

  Result<std::uint64_t> run();

 private:
  Result<CopyPlan> plan();
  Result<std::unique_ptr<LogCopyTarget>> open_target();
  Result<void> write(LogCopyTarget& target, const CopyPlan& plan);
  void note_holes(const LogStream& stream, Partition partition, Offset offset);
  Result<bool> same(LogCopyTarget& target);
  void tell(std::string_view doing, std::uint64_t done) const {
    if (done % kTellEvery == 0 || done == records_) listener_({doing, done, records_});
  }

  Site& site_;
  const config::Config& from_;
  const config::Config& to_;
  const ProgressListener& listener_;
  PosixDisk disk_;
  std::uint64_t records_ = 0;  ///< as offsets tell of
  std::uint64_t written_ = 0;
  Sums sums_;
  std::map<LogStream, PartitionOffsets> next_;
  Holes holes_;
};

Result<CopyPlan> LogCopy::plan() {
  MILLRACE_TRY(topics, topics_in(*site_.log));
  topics.insert(site_.topics.begin(), site_.topics.end());
  for (const auto& [name, entity] : to_.entities) topics.insert(name);
  Positions positions(*site_.log);
  StateRows rows(positions, *site_.log, topics);
  MILLRACE_CHECK_OK(rows.read_routes(*site_.state));
  for (const Table table : kTablesWithPositions) {
    for (std::string after;;) {
      MILLRACE_TRY(some, site_.state->scan(table, "", after, kRowsPerScan));
      for (const Row& row : some) {
        const auto asked = rows.move(table, row);
        if (!asked) return std::unexpected(asked.error());
      }
      if (some.size() < kRowsPerScan) break;
      after = some.back().key;
    }
  }
  return CopyPlan{
      site_.log->uuid(), begins_of(*site_.log), {topics.begin(), topics.end()}, positions.rooms()};
}

Result<std::unique_ptr<LogCopyTarget>> LogCopy::open_target() {
  if (to_.installation.kafka_log) return open_kafka_copy_target(to_.installation);
  return open_files_copy_target(disk_, to_.installation);
}

Result<std::uint64_t> LogCopy::run() {
  records_ = records_in(*site_.log);
  MILLRACE_TRY(plan, this->plan());
  MILLRACE_TRY(target, open_target());
  MILLRACE_CHECK_OK(target->begin(plan));
  MILLRACE_CHECK_OK(write(*target, plan));
  MILLRACE_TRY(same, this->same(*target));
  if (!same) {
    MILLRACE_CHECK_OK(target->give_up(CopyMark{"differs", plan.from, plan.begins, {}, {}}));
    return fail(Errc::corrupt,
                fmt::format("what lies in {} is not what was written there, for example because "
                            "Kafka was away and has records twice, or its topics drop or stamp "
                            "records by themselves: say the same command once more, it begins anew",
                            log_place(to_.installation)));
  }
  MILLRACE_CHECK_OK(
      target->complete(CopyMark{"complete", plan.from, plan.begins, ends_of(*site_.log), holes_}));
  return written_;
}

Result<void> LogCopy::write(LogCopyTarget& target, const CopyPlan& plan) {
  std::unique_ptr<LogCopySource> source = files_copy_source(*site_.log);
  if (from_.installation.kafka_log) {
    MILLRACE_TRY(reigns, read_reigns(*site_.state, *site_.log));
    MILLRACE_TRY(topics, kafka_copy_source(*site_.log, from_.installation, std::move(reigns)));
    source = std::move(topics);
  }
  std::optional<InboxShift> inbox;
  std::string moved;
  MILLRACE_CHECK_OK(source->read([&](Journal journal, const LogRecord& read) -> Result<void> {
    note_holes(site_.log->stream_of(journal, read.topic), read.partition, read.offset);
    LogRecord record = read;
    if (journal == Journal::events) {
      // An event names the message behind it by its position. The inbox is read by now.
      if (!inbox) {
        inbox = InboxShift{plan.begins.at(to_string(LogStream(Journal::inbox))),
                           target.base(Journal::inbox), holes_};
      }
      moved = with_cause(read.payload, end_of_attributes(read.payload),
                         [&](Partition p, Offset offset) { return inbox->record(p, offset); });
      record.payload = moved;
    }
    sums_.add(journal, record);
    MILLRACE_CHECK_OK(target.write(journal, record));
    tell("copied", ++written_);
    return {};
  }));
  for (const Journal journal : {Journal::inbox, Journal::events, Journal::trail}) {
    for (const LogStream& stream : site_.log->streams(journal)) {
      const PartitionOffsets ends = site_.log->ends(stream);
      for (Partition p = 0; p < kPartitionCount; ++p) note_holes(stream, p, ends[p]);
    }
  }
  return target.flush();
}

/// What lies before the offset and was not read says nothing.
void LogCopy::note_holes(const LogStream& stream, Partition partition, Offset offset) {
  const auto [at, first] = next_.try_emplace(stream, site_.log->begins(stream));
  Offset& next = at->second[partition];
  for (; next < offset; ++next) holes_.note(stream, partition, next);
  next = offset + 1;
}

Result<bool> LogCopy::same(LogCopyTarget& target) {
  Sums found;
  std::uint64_t done = 0;
  for (const LogStream& stream : target.streams()) {
    MILLRACE_TRY(reader, target.open_reader(stream));
    for (;;) {
      MILLRACE_TRY(batch, reader->next(kRecordsPerRead, kBytesPerRead));
      if (batch->records.empty()) break;
      for (const LogRecord& record : batch->records) {
        found.add(stream.journal, record);
        tell("compared", ++done);
      }
    }
  }
  return found == sums_;
}

}  // namespace

Result<CopyReport> copy_log(const config::Config& from, const config::Config& to,
                            const ProgressListener& listener) {
  MILLRACE_CHECK_OK(check_same(from.installation, to.installation));
  MILLRACE_TRY(site, open_site(from));
  MILLRACE_TRY(state, open_new_state(to));
  state->close();
  MILLRACE_TRY(records, LogCopy(site, from, to, listener).run());
  return CopyReport{records, log_place(from.installation), log_place(to.installation)};
}

}  // namespace millrace::stores
