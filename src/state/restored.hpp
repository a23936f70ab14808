// A state that came out of a backup knows it: what the lost instance did after the backup is in no
// row, so every effect since then is unknown (semantics 5). Meta row "restored".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/clock.hpp"
#include "millrace/event_log.hpp"
#include "millrace/state_store.hpp"
#include "state/installation.hpp"

namespace millrace {

struct Restored {
  /// What the first start after the restore found, before anything new came in.
  struct Began {
    WallTime at;
    PartitionOffsets events_below{};  ///< of the log as it was backed up
    PartitionOffsets inbox_below{};
    std::vector<std::string> routes;  ///< ids of those that may have sent something
    bool judged = false;              ///< their parked rows say that they may have been sent
  };
  WallTime backup_at;
  WallTime restored_at;
  std::optional<Began> began;
};

inline constexpr std::string_view kRestoredKey = "restored";

std::string encode(const Restored& restored);
/// nullopt: the state never was in a backup.
Result<std::optional<Restored>> read_restored(StateStore& store);

/// Marks a state that was taken from a backup and raises its incarnation, so that no rev of the
/// lost instance is given again. Durable when it returns. `reason` goes into the audit.
Result<Installation> mark_restored(StateStore& store, WallTime backup_at, WallTime now,
                                   std::string_view reason = {});

}  // namespace millrace
