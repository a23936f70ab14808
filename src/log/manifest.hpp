// log.json: what a log directory is. Written once, when the log is created.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "storage/disk.hpp"

namespace millrace::log {

struct Manifest {
  std::string uuid;
};

/// There as long as the log is a copy that is not complete; nothing opens it then. Both hold what
/// stores/copy_mark.hpp says.
inline constexpr const char* kCopyingFile = "copying.json";
inline constexpr const char* kCopiedFile = "copied.json";  ///< beside a copy that is
/// What a log on Kafka says instead.
inline constexpr std::string_view kCopyComplete = "complete";

/// Nothing when the file does not exist. Errc::newer_format, corrupt; conflict for a copy that is
/// not complete.
Result<std::optional<Manifest>> read_manifest(Disk& disk, const std::filesystem::path& directory);
/// Writes one with a new UUID, durably.
Result<Manifest> create_manifest(Disk& disk, const std::filesystem::path& directory);
Result<void> write_manifest(Disk& disk, const std::filesystem::path& directory,
                            const Manifest& manifest);

}  // namespace millrace::log
