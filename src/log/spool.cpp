#include "log/spool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "log/file_log.hpp"
#include "millrace/json.hpp"

namespace millrace::log {
namespace {

constexpr std::uint64_t kSegmentBytes = std::uint64_t{8} << 20;
constexpr std::size_t kRecordsPerRead = 4096;
constexpr std::size_t kBytesPerRead = std::size_t{4} << 20;
constexpr std::size_t kIdBytesMax = 255;
constexpr std::string_view kMarksTopic = "marks";

std::string with_id(const LogEntry& entry) {
  MILLRACE_INVARIANT(entry.id.size() <= kIdBytesMax);
  std::string text;
  text.reserve(1 + entry.id.size() + entry.payload.size());
  text.push_back(static_cast<char>(entry.id.size()));
  return text.append(entry.id).append(entry.payload);
}

std::string encode(const std::string& log_uuid, const SpoolMarks& marks) {
  std::string text = fmt::format(R"({{"log":"{}")", log_uuid);
  for (const Journal journal : kSpooledJournals) {
    text += fmt::format(R"(,"{}":[{}])", to_string(journal),
                        fmt::join(marks.at(std::to_underlying(journal)), ","));
  }
  return text + "}";
}

}  // namespace

Result<std::unique_ptr<Spool>> Spool::open(SpoolOptions options) {
  FileLogOptions files{.directory = options.directory,
                       .disk = options.disk,
                       .clock = options.clock,
                       .segment_bytes = kSegmentBytes,
                       .fatal = options.fatal};
  MILLRACE_TRY(log, open_file_log(std::move(files)));
  std::unique_ptr<Spool> spool(new Spool(std::move(options), std::move(log)));
  MILLRACE_TRY(marks, spool->read_marks());
  for (const Journal journal : kSpooledJournals) {
    MILLRACE_CHECK_OK(spool->look(journal, marks.at(std::to_underlying(journal))));
  }
  return spool;
}

// The newest mark says all.
Result<SpoolMarks> Spool::read_marks() {
  SpoolMarks marks{};
  PartitionOffsets from;
  from.fill(kSkipPartition);
  from[0] = files_->ends(Journal::trail)[0];
  if (from[0] == 0) return marks;
  --from[0];
  MILLRACE_TRY(reader, files_->open_reader(Journal::trail, from));
  MILLRACE_TRY(batch, reader->next(1, kBytesPerRead));
  if (batch->records.empty()) return fail(Errc::corrupt, "the spool's last mark cannot be read");
  MILLRACE_TRY(json, parse_json(batch->records.front().payload));
  log_uuid_ = string_or(json, "log", "");
  for (const Journal journal : kSpooledJournals) {
    const Json* list = json.as_object().if_contains(to_string(journal));
    if (list == nullptr || !list->is_array() || list->as_array().size() != kPartitionCount) {
      return fail(Errc::corrupt, "the spool's last mark does not have the documented form");
    }
    std::ranges::transform(list->as_array(), marks.at(std::to_underlying(journal)).begin(),
                           [](const Json& value) { return value.to_number<Offset>(); });
  }
  return marks;
}

// What waits, with its ids, by which a repeat is known before the log has it.
Result<void> Spool::look(Journal journal, const PartitionOffsets& marks) {
  const PartitionOffsets begins = files_->begins(journal);
  const PartitionOffsets ends = files_->ends(journal);
  PartitionOffsets from;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    from[p] = std::min(std::max(marks[p], begins[p]), ends[p]);
  }
  MILLRACE_TRY(reader, files_->open_reader(journal, from));
  IdMemory* memory = options_.id_memories.at(std::to_underlying(journal));
  std::array<WallTime, kPartitionCount> oldest{};
  std::array<bool, kPartitionCount> seen{};
  std::vector<RecordId> ids;
  for (;;) {
    MILLRACE_TRY(batch, reader->next(kRecordsPerRead, kBytesPerRead));
    if (batch->records.empty()) break;
    for (const LogRecord& record : batch->records) {
      MILLRACE_TRY(entry, entry_of(record));
      if (!std::exchange(seen[record.partition], true)) {
        oldest[record.partition] = record.appended_at;
      }
      ++found_.records;
      found_.bytes += entry.payload.size();
      if (memory == nullptr) continue;
      LogRecord inner = record;
      inner.payload = entry.payload;
      ids.clear();
      memory->ids_of(inner, ids);
      for (const RecordId& id : ids) memory->remember(id, record.appended_at);
    }
  }
  for (Partition p = 0; p < kPartitionCount; ++p) {
    found_.lanes.at(std::to_underlying(journal)).at(p).resume(from[p], ends[p], oldest[p]);
  }
  return {};
}

Result<void> Spool::belong_to(const std::string& log_uuid) {
  if (found_.records > 0 && !log_uuid_.empty() && log_uuid_ != log_uuid) {
    return fail(Errc::wrong_environment,
                fmt::format("{} messages wait in the spool {} for log {}, but this is log {}: "
                            "start once with the log they are for, or move the spool away",
                            found_.records, options_.directory.string(), log_uuid_, log_uuid));
  }
  log_uuid_ = log_uuid;
  return {};
}

void Spool::append(Journal journal, std::span<const LogEntry> entries, Executor& home,
                   EventLog::AppendDone done) {
  std::vector<LogEntry> group;
  group.reserve(entries.size());
  for (const LogEntry& entry : entries) {
    group.push_back(
        {.partition = entry.partition, .topic = entry.topic, .payload = with_id(entry)});
  }
  files_->append(journal, std::move(group), home, std::move(done));
}

Result<LogEntry> Spool::entry_of(const LogRecord& record) {
  const std::size_t id_bytes =
      record.payload.empty() ? 0 : static_cast<unsigned char>(record.payload.front());
  if (record.payload.size() < 1 + id_bytes) {
    return fail(Errc::corrupt, "a record of the spool does not have the documented form");
  }
  return LogEntry{.partition = record.partition,
                  .topic = std::string(record.topic),
                  .payload = std::string(record.payload.substr(1 + id_bytes)),
                  .id = std::string(record.payload.substr(1, id_bytes))};
}

void Spool::mark(const SpoolMarks& marks, Executor& home) {
  std::vector<LogEntry> group(1);
  group[0].topic = kMarksTopic;
  group[0].payload = encode(log_uuid_, marks);
  files_->append(Journal::trail, std::move(group), home, [](const Result<std::vector<Offset>>&) {});
}

Result<void> Spool::trim(const SpoolMarks& marks) {
  for (const Journal journal : kSpooledJournals) {
    MILLRACE_CHECK_OK(
        files_->trim(journal, WallTime::max(), marks.at(std::to_underlying(journal))));
  }
  PartitionOffsets last = files_->ends(Journal::trail);
  if (last[0] > 0) --last[0];
  return files_->trim(Journal::trail, WallTime::max(), last);
}

}  // namespace millrace::log
