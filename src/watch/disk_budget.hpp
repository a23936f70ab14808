// What the log takes of its file system, who holds it there, and what retention lets go. The budget
// is what `retention.size` leaves to the log when everything else on the file system stays as it
// is, and at least half of what others leave.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model.hpp"
#include "millrace/event_log.hpp"
#include "watch/clock_watch.hpp"

namespace millrace::watch {

/// How far one reader of a stream has come: nothing at or behind it is dropped.
struct OwnerOffsets {
  std::string owner;  ///< as in Table::cursors: "inbox", "projected", "route/<id>"
  LogStream stream = Journal::events;
  PartitionOffsets next{};
};

struct DiskHolder {
  std::string owner;
  LogStream stream = Journal::events;
  std::uint64_t bytes = 0;  ///< of sealed segments it has not read to their end
  WallTime since;           ///< the last record of the oldest of them
};

struct DiskReport {
  EventLog::Usage usage;
  std::uint64_t budget_bytes = 0;
  double used = 0;                   ///< share of the budget
  int alarm = 0;                     ///< 0, 50, 75 or 90: what `used` has reached, in percent
  std::optional<DiskHolder> holder;  ///< who holds most of it, if anyone does
};

/// Blocking.
DiskReport measure_disk(const EventLog& log, double size_fraction,
                        const std::vector<OwnerOffsets>& owners);

/// Drops what is older than its journal's retention, and beyond the budget the oldest of all
/// journals; never what an owner has not read. How old something is, is known while the clocks
/// agree: nothing grows old between a jump and what ends it. Blocking.
Result<void> trim_log(EventLog& log, const config::Retention& retention,
                      const std::vector<OwnerOffsets>& owners, const ClockWatch& clock);

}  // namespace millrace::watch
