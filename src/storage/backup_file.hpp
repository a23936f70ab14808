// Copies of files for backup and restore: whole, durable, and with a checksum on the way.
#pragma once

#include <cstdint>
#include <string>

#include "storage/disk.hpp"

namespace millrace {

/// CRC32C and length. It tells damage, not forgery: who can change the copy can change its list.
struct FileSum {
  std::uint64_t bytes = 0;
  std::uint32_t crc32c = 0;
  friend bool operator==(const FileSum&, const FileSum&) = default;
};

/// The first `bytes` of `from` as the new file `to`, synced; its directory is not. Errc::conflict
/// when `to` exists, Errc::corrupt when `from` is shorter.
Result<FileSum> copy_file(Disk& disk, const std::filesystem::path& from,
                          const std::filesystem::path& to, std::uint64_t bytes);
/// Of the whole file.
Result<FileSum> sum_file(Disk& disk, const std::filesystem::path& path);

}  // namespace millrace
