// backup.json: what a backup holds. Written last, so that a directory with one is whole.
#pragma once

#include <map>
#include <string>

#include "millrace/clock.hpp"
#include "storage/backup_file.hpp"

namespace millrace {

inline constexpr int kBackupFormat = 1;
inline constexpr const char* kBackupManifest = "backup.json";
inline constexpr const char* kBackupState = "state.db";
inline constexpr const char* kBackupLog = "log";

struct BackupManifest {
  WallTime made_at;
  std::string version;  ///< of Millrace
  std::string name;     ///< of the installation
  std::string environment;
  std::string installation_uuid;
  std::string log_uuid;
  std::uint64_t incarnation = 0;
  std::uint64_t generation = 0;          ///< of the configuration that ran
  std::map<std::string, FileSum> files;  ///< by path in the backup
};

Result<void> write_backup_manifest(Disk& disk, const std::filesystem::path& backup,
                                   const BackupManifest& manifest);
/// Errc::not_found when there is none: no backup, or one that was not finished. Errc::newer_format,
/// Errc::corrupt.
Result<BackupManifest> read_backup_manifest(Disk& disk, const std::filesystem::path& backup);

/// Every file is there with the length and checksum of the manifest. Errc::corrupt names the file.
Result<void> check_backup(Disk& disk, const std::filesystem::path& backup,
                          const BackupManifest& manifest);

}  // namespace millrace
