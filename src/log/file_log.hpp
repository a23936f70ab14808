// The event log on files: three journals of segments under one directory (semantics 3,
// docs/reference/log-format.md). Promises what EventLog promises.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "millrace/clock.hpp"
#include "millrace/event_log.hpp"
#include "storage/disk.hpp"

namespace millrace {

struct FileLogOptions {
  std::filesystem::path directory;  ///< made if absent; locked as long as the log is open
  Disk& disk;                       ///< outlives the log and its readers
  const Clock& clock;
  const Clock* expiry_clock = nullptr;  ///< by which ids grow old; nullptr: `clock`
  std::uint64_t segment_bytes = std::uint64_t{128} << 20;
  std::uint64_t index_bytes = std::uint64_t{4} << 20;  ///< distance of sparse index entries
  milliseconds idle_mark{100};    ///< after this long without an append the mark is written
  milliseconds trail_sync{1000};  ///< at most this much of the trail is lost in a power cut
  /// What the state store has of `durable_ends`, nullopt when it has nothing: asked once the log is
  /// locked and looked at, before anything of it is changed. A log that ends before is refused.
  std::function<Result<std::optional<std::string>>()> stored_ends;
  /// Whether sealed segments get side files. Off for commands that open a log for a moment.
  bool side_files = false;
  std::chrono::seconds ids_window{7 * 24 * 3600};  ///< side files of dropped segments stay so long
  std::uint64_t ids_max = 50'000'000;
  std::size_t bloom_bytes_max = std::size_t{64} << 20;  ///< filters of side files in memory
  milliseconds side_retry{5000};  ///< after a sealed segment could not be read
  /// Per journal, who keeps the ids that no side file has yet; outlives the log. nullptr: no ids.
  std::array<IdMemory*, kJournalCount> id_memories{};
  /// Runs on the writer thread when a write or sync failed; nothing is acknowledged any more. The
  /// default logs the error and ends the process with code 70.
  std::function<void(Error)> fatal;
};

/// Opens or creates the log. A torn tail is cut off silently. Errc::locked, newer_format (touches
/// nothing), wrong_environment, corrupt (names file and byte), disk_full, disk_failed.
Result<std::unique_ptr<EventLog>> open_file_log(FileLogOptions options);

}  // namespace millrace
