// Many rows or pages take milliseconds, and who wakes up meanwhile does not interrupt the thread
// that writes them (SCHED_BATCH, decision 32): between them it lets others go first.
#pragma once

#include <functional>

namespace millrace {

/// While one lives, this thread lets others run after each 16 rows and writes to files of SQLite (a
/// checkpoint has one for a page, a commit two), as long as `may_wait`, which must not throw, says
/// so. Not nested.
class WritesInTurn {
 public:
  explicit WritesInTurn(std::function<bool()> may_wait);
  ~WritesInTurn();
  WritesInTurn(const WritesInTurn&) = delete;
  WritesInTurn& operator=(const WritesInTurn&) = delete;

  /// A row was written. Pages are seen by themselves.
  static void wrote();
  /// Before a connection is opened; the first time counts.
  static void watch_pages();
};

}  // namespace millrace
