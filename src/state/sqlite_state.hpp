// The StateStore on one SQLite file. Promise: a completion means that COMMIT returned under
// synchronous=FULL in write-ahead mode (with NORMAL a power cut takes acknowledged commits).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "millrace/state_store.hpp"

namespace millrace {

struct SqliteStateOptions {
  std::string path;
  /// Called at most once, on one of the store's threads, when a write or sync failed: the process
  /// must stop, and no completion follows. It must not call the store.
  std::function<void(Error)> on_fatal;
  /// How long a batch of Urgency::soon may wait for company.
  std::chrono::milliseconds commit_delay{50};
  /// Rows (and preconditions) in one transaction; a larger single batch goes alone, whole.
  std::size_t rows_max = 2000;
  std::size_t readers = 2;  ///< connections that serve reads
  std::size_t writer_cache_kib = 4096;
  std::size_t reader_cache_kib = 1024;
  std::uint64_t wal_soft_bytes = 4u << 20;   ///< a checkpoint starts at each growth by this
  std::uint64_t wal_hard_bytes = 16u << 20;  ///< the writer waits for the checkpoint beyond it
  /// The database's largest size in pages of 4 KiB; Errc::disk_full beyond. 0: no limit.
  std::uint64_t pages_max = 0;
};

/// Opens the store, creating it when there is no file. Errc::locked: another process has it open.
/// Errc::newer_format: nothing was touched. Errc::corrupt: not a state store.
Result<std::unique_ptr<StateStore>> open_sqlite_state(const SqliteStateOptions& options);

/// Writes what is committed at this moment to the new file `to`, durably (its directory is not
/// synced). Beside a running daemon: its writer goes on. Takes as long as writing the whole store.
Result<void> copy_sqlite_state(const std::string& from, const std::string& to);

/// What is wrong with the store at `path`, at most 100 findings, in words; empty when every page is
/// sound and every value is JSON. Reads only, also beside a running daemon.
Result<std::vector<std::string>> verify_sqlite_state(const std::string& path);

}  // namespace millrace
