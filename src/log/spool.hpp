// Where an instance keeps what senders were told is safe and Kafka has not acknowledged: a log on
// files of its own (docs/reference/log-format.md), whose inbox and events hold the entries with
// their ids and whose trail holds marks of what Kafka has. Promises: an append that completed is
// durable; a mark that is lost makes entries come again, never go.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "log/spool_lane.hpp"
#include "millrace/event_log.hpp"
#include "storage/disk.hpp"

namespace millrace::log {

/// Journals whose entries may be spooled, by their number.
inline constexpr std::array kSpooledJournals{Journal::inbox, Journal::events};
/// Of each journal, per partition, the offset below which the log has everything.
using SpoolMarks = std::array<PartitionOffsets, kSpooledJournals.size()>;
using SpoolLanes = std::array<std::array<SpoolLane, kPartitionCount>, kSpooledJournals.size()>;

struct SpoolOptions {
  std::filesystem::path directory;
  Disk& disk;
  const Clock& clock;
  /// Per journal, who is told the ids of what waits; outlives the opening.
  std::array<IdMemory*, kJournalCount> id_memories{};
  std::function<void(Error)> fatal;  ///< a write or sync failed, on a thread of the spool
};

class Spool {
 public:
  /// What waited when it was opened.
  struct Found {
    SpoolLanes lanes;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;  ///< of payloads
  };

  /// Errors: those of open_file_log. Reads all that waits.
  static Result<std::unique_ptr<Spool>> open(SpoolOptions options);

  Found& found() { return found_; }
  /// Errc::wrong_environment when what waits is for another log; from now on it is for this one.
  Result<void> belong_to(const std::string& log_uuid);

  void append(Journal journal, std::span<const LogEntry> entries, Executor& home,
              EventLog::AppendDone done);
  /// Notes how far the log has come. Not waited for.
  void mark(const SpoolMarks& marks, Executor& home);
  /// Drops files that nothing waits in. Blocking.
  Result<void> trim(const SpoolMarks& marks);
  Result<std::unique_ptr<LogReader>> open_reader(Journal journal, const PartitionOffsets& from) {
    return files_->open_reader(journal, from);
  }
  /// What was appended, out of the spool's own record.
  static Result<LogEntry> entry_of(const LogRecord& record);
  /// Blocking.
  double disk_free_fraction() const { return files_->usage().disk_free_fraction; }
  const std::filesystem::path& directory() const { return options_.directory; }
  void close() { files_->close(); }

 private:
  Spool(SpoolOptions options, std::unique_ptr<EventLog> files)
      : options_(std::move(options)), files_(std::move(files)) {}
  Result<SpoolMarks> read_marks();
  Result<void> look(Journal journal, const PartitionOffsets& from);

  SpoolOptions options_;
  std::unique_ptr<EventLog> files_;
  std::string log_uuid_;  ///< of the log that what waits is for; empty: nothing waited yet
  Found found_;
};

}  // namespace millrace::log
