// `millrace log verify` and `millrace log quarantine`: reading a whole log offline, and moving what
// is damaged aside.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "millrace/event_log.hpp"
#include "storage/disk.hpp"

namespace millrace::log {

struct JournalReport {
  Journal journal = Journal::inbox;
  std::uint64_t segments = 0;
  std::uint64_t frames = 0;
  std::uint64_t records = 0;
  std::uint64_t side_files = 0;  ///< sound ones; a sealed segment without one gets it at start
  std::uint64_t ids = 0;         ///< that they know
  std::uint64_t first_position = 0;
  std::uint64_t end_position = 0;  ///< after the last sound frame
  bool torn_tail = false;          ///< unacknowledged bytes at the end; the next start cuts them
};

struct VerifyReport {
  std::string uuid;
  std::vector<JournalReport> journals;
  std::vector<std::string> problems;  ///< sentences with file and byte; empty: all is well
};

/// Reads every frame and every side file. Changes nothing and takes no lock: beside a running log
/// the end of the active segment may look torn. Errc::not_found when there is no log; newer_format.
Result<VerifyReport> verify(Disk& disk, const std::filesystem::path& directory);

struct QuarantineReport {
  std::vector<std::string> moved;  ///< file names, now with ".quarantine" behind them
  std::uint64_t end_position = 0;  ///< where the journal ends now
};

/// Cuts the journal at its first damaged frame: the damaged segment is kept whole as
/// NAME.quarantine and goes on up to the damage; all later segments, and one whose header is
/// damaged, are moved aside. Records behind
/// the damage leave the log, and a state that knows them durable refuses the log until it is
/// adopted. The log must not be open (Errc::locked). Errc::not_found when nothing is damaged.
Result<QuarantineReport> quarantine(Disk& disk, const std::filesystem::path& directory,
                                    Journal journal);

}  // namespace millrace::log
