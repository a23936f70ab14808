// The ids a message is known by, for dedupe (semantics 3): what a sender calls it, as 128 bits.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "millrace/clock.hpp"

namespace millrace {

struct LogRecord;

/// 128 bits of SHA-256: two ids that share them do not occur, whoever chooses the ids.
struct RecordId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend auto operator<=>(const RecordId&, const RecordId&) = default;
};

/// Keeps in memory the ids of one journal that no side file holds yet. The log tells it what lies
/// where; called from the log's threads, so thread-safe.
class IdMemory {
 public:
  virtual ~IdMemory() = default;
  /// Adds the ids that `record` is known by to `out`: the log does not read payloads.
  virtual void ids_of(const LogRecord& record, std::vector<RecordId>& out) const = 0;
  /// While the log is opened: an id of the segment that is being written.
  virtual void remember(RecordId id, WallTime at) = 0;
  /// What is appended from now on lies at or after `position`.
  virtual void begin_segment(std::uint64_t position) = 0;
  /// Ids that were settled while segments before `position` were written are in side files now.
  virtual void archived_below(std::uint64_t position) = 0;
};

}  // namespace millrace
