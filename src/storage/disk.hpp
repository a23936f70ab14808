// The disk, as an interface, so that tests can cut its power, fill it and make it fail (FaultDisk).
// Promises: a call that returned success did all of its work; nothing is durable before sync_data
// (contents) or sync_directory (names) returned. Blocking: never called on a shard.
// Errors: Errc::disk_full (ENOSPC, EDQUOT), not_found (ENOENT), conflict (EEXIST), locked,
// overloaded (too many open files); everything else is disk_failed. Messages name the path.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/result.hpp"

namespace millrace {

/// One open file. Reads may run beside writes; writes come from one thread at a time.
class File {
 public:
  virtual ~File() = default;
  /// Reads up to buffer.size() bytes; fewer only at the end of the file.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) const = 0;
  /// Writes all of `bytes`. On failure any part of them may have been written.
  virtual Result<void> write_at(std::uint64_t offset, std::string_view bytes) = 0;
  /// fdatasync. A failure is final: the kernel may have dropped the data, so trying again lies.
  virtual Result<void> sync_data() = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
  /// Reserves space up to `size` and makes the file that long, reading as zeros. A file system that
  /// cannot reserve only makes it that long.
  virtual Result<void> allocate(std::uint64_t size) = 0;
  virtual Result<std::uint64_t> size() const = 0;
};

/// Held as long as the object lives; the kernel lets go when the process dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode : std::uint8_t {
  read,
  write,  ///< read and write a file that exists
  create  ///< read and write a file that must not exist yet
};

struct DiskSpace {
  std::uint64_t free_bytes = 0;   ///< for an unprivileged process
  std::uint64_t total_bytes = 0;  ///< free and used; not what is kept back for root
};

class Disk {
 public:
  virtual ~Disk() = default;
  virtual Result<std::unique_ptr<File>> open(const std::filesystem::path& path, OpenMode mode) = 0;
  /// Makes the directory and its missing parents, durably.
  virtual Result<void> create_directories(const std::filesystem::path& path) = 0;
  virtual Result<void> sync_directory(const std::filesystem::path& path) = 0;
  /// Atomic; replaces `to`. Durable once the directory is synced.
  virtual Result<void> rename(const std::filesystem::path& from,
                              const std::filesystem::path& to) = 0;
  virtual Result<void> remove(const std::filesystem::path& path) = 0;
  /// Names of the files in it, sorted.
  virtual Result<std::vector<std::string>> list(const std::filesystem::path& path) = 0;
  virtual Result<DiskSpace> space(const std::filesystem::path& path) = 0;
  /// Takes an exclusive lock on the file, made if absent, and writes the process id into it.
  /// Errc::locked names the holder.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::filesystem::path& path) = 0;
};

/// The whole file as text. Errc::too_large beyond `bytes_max`.
Result<std::string> read_file(Disk& disk, const std::filesystem::path& path, std::size_t bytes_max);
/// Replaces the file durably and atomically: a temporary file, synced, renamed, directory synced.
Result<void> write_file_durably(Disk& disk, const std::filesystem::path& path,
                                std::string_view contents);

}  // namespace millrace
