// A consistent copy of state and log, taken while the daemon runs.
#pragma once

#include <string>

#include "millrace/event_log.hpp"
#include "millrace/json.hpp"
#include "storage/backup_manifest.hpp"

namespace millrace::daemon {

struct BackupSource {
  Disk& disk;
  const EventLog& log;
  std::string log_directory;
  std::string state_path;
};

/// Fills in `manifest.files` and writes all of it into `directory`, which must be absent or empty.
/// Blocking, for as long as reading and writing the whole log takes.
///
/// The state first, then the log: a log that is ahead of its state is what every crash leaves, and
/// a start takes up the rest again; a state ahead of its log would know acknowledged records that
/// are not there. Of the log the events before the inbox, so that no event is without its cause.
Result<void> make_backup(const BackupSource& source, const std::string& directory,
                         BackupManifest manifest);

}  // namespace millrace::daemon
