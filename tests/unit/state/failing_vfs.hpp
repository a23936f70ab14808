// An SQLite file layer that passes everything on to the system's, counts syncs, and fails on
// request. It is SQLite's default as long as the object lives; one at a time.
#pragma once

#include <atomic>

namespace millrace {

class FailingVfs {
 public:
  FailingVfs();
  ~FailingVfs();
  FailingVfs(const FailingVfs&) = delete;
  FailingVfs& operator=(const FailingVfs&) = delete;

  /// Syncs of a write-ahead log fail (EIO) from now on.
  void fail_log_syncs(bool fail);
  /// Syncs of a database fail (EIO) from now on: checkpoints hit them.
  void fail_database_syncs(bool fail);
  /// Writes to a write-ahead log fail as on a full disk.
  void fill_disk(bool full);
  /// Syncs of a write-ahead log that succeeded.
  int log_syncs() const;
};

}  // namespace millrace
