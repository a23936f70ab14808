// log.json: what a log directory is. Written once, when the log is created.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "storage/disk.hpp"

namespace millrace::log {

struct Manifest {
  std::string uuid;
};

/// Nothing when the file does not exist. Errc::newer_format, corrupt.
Result<std::optional<Manifest>> read_manifest(Disk& disk, const std::filesystem::path& directory);
/// Writes one with a new UUID, durably.
Result<Manifest> create_manifest(Disk& disk, const std::filesystem::path& directory);

}  // namespace millrace::log
