// The SQLite file itself: its format version, its tables, and the lock that keeps a second process
// away. See docs/reference/state-format.md.
#pragma once

#include <cstdint>
#include <string>

#include "millrace/result.hpp"
#include "millrace/state_store.hpp"
#include "state/sqlite_connection.hpp"

namespace millrace {

/// PRAGMA user_version. A file with a higher one is refused (Errc::newer_format).
inline constexpr std::int64_t kStateFormatVersion = 1;
/// PRAGMA application_id: "MLRC".
inline constexpr std::int64_t kStateApplicationId = 0x4d4c5243;

/// An exclusive lock on `<path>.lock`, held until destruction or the end of the process.
class StateLock {
 public:
  /// Errc::locked names the holder. Creates the lock file only if the database may be opened:
  /// a store of a newer format is refused with nothing created beside it.
  static Result<StateLock> acquire(const std::string& path);

  StateLock(StateLock&& other) noexcept;
  StateLock& operator=(StateLock&& other) noexcept;
  StateLock(const StateLock&) = delete;
  StateLock& operator=(const StateLock&) = delete;
  ~StateLock();

 private:
  explicit StateLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

/// Creates an empty file (mode 0600) when there is none and makes its directory entry durable.
Result<void> create_state_file(const std::string& path);

/// Refuses files that are not ours or newer; lays out the tables of an empty file in one
/// transaction; switches to the write-ahead log.
Result<void> prepare_schema(Connection& connection, const std::string& path);

/// Refuses what prepare_schema refuses, and an empty file; writes nothing.
Result<void> check_format(Connection& connection, const std::string& path);

}  // namespace millrace
