#include "storage/backup_manifest.hpp"

#include <fmt/format.h>

#include "millrace/json.hpp"

namespace millrace {
namespace {

constexpr std::size_t kManifestBytesMax = std::size_t{64} << 20;

}  // namespace

Result<void> write_backup_manifest(Disk& disk, const std::filesystem::path& backup,
                                   const BackupManifest& manifest) {
  JsonObject files;
  for (const auto& [path, sum] : manifest.files) {
    files.emplace(path, JsonObject{{"bytes", sum.bytes}, {"crc32c", sum.crc32c}});
  }
  const Json json = JsonObject{{"format", kBackupFormat},
                               {"made_at", to_rfc3339(manifest.made_at)},
                               {"version", manifest.version},
                               {"name", manifest.name},
                               {"environment", manifest.environment},
                               {"installation", manifest.installation_uuid},
                               {"log", manifest.log_uuid},
                               {"incarnation", manifest.incarnation},
                               {"generation", manifest.generation},
                               {"files", std::move(files)}};
  return write_file_durably(disk, backup / kBackupManifest, write_json(json) + "\n");
}

Result<BackupManifest> read_backup_manifest(Disk& disk, const std::filesystem::path& backup) {
  const auto path = backup / kBackupManifest;
  auto text = read_file(disk, path, kManifestBytesMax);
  if (!text && text.error().code == Errc::not_found) {
    return fail(Errc::not_found,
                fmt::format("{} is no backup, or one that was not finished: it has no {}",
                            backup.string(), kBackupManifest));
  }
  if (!text) return std::unexpected(std::move(text).error());
  MILLRACE_TRY(json, parse_json(*text));
  if (int_or(json, "format", 0) > kBackupFormat) {
    return fail(Errc::newer_format, fmt::format("{} was made by a newer Millrace ({}); restore it "
                                                "with that version",
                                                path.string(), string_or(json, "version", "?")));
  }
  BackupManifest manifest;
  manifest.version = string_or(json, "version", "");
  manifest.name = string_or(json, "name", "");
  manifest.environment = string_or(json, "environment", "");
  manifest.installation_uuid = string_or(json, "installation", "");
  manifest.log_uuid = string_or(json, "log", "");
  manifest.incarnation = static_cast<std::uint64_t>(int_or(json, "incarnation", 0));
  manifest.generation = static_cast<std::uint64_t>(int_or(json, "generation", 0));
  MILLRACE_TRY(made_at, parse_rfc3339(string_or(json, "made_at", "")));
  manifest.made_at = made_at;
  const Json* files = find(json, "files");
  if (files == nullptr || !files->is_object() || manifest.incarnation == 0) {
    return fail(Errc::corrupt, fmt::format("{} cannot be read", path.string()));
  }
  for (const auto& [name, sum] : files->get_object()) {
    manifest.files[std::string(name)] = {
        .bytes = static_cast<std::uint64_t>(int_or(sum, "bytes", 0)),
        .crc32c = static_cast<std::uint32_t>(int_or(sum, "crc32c", 0))};
  }
  return manifest;
}

Result<void> check_backup(Disk& disk, const std::filesystem::path& backup,
                          const BackupManifest& manifest) {
  for (const auto& [name, expected] : manifest.files) {
    const auto sum = sum_file(disk, backup / name);
    if (!sum) return std::unexpected(sum.error());
    if (*sum == expected) continue;
    return fail(
        Errc::corrupt,
        fmt::format("{} is not as it was backed up ({} bytes, {} expected; checksum {:08x}, "
                    "{:08x} expected): take another backup",
                    (backup / name).string(), sum->bytes, expected.bytes, sum->crc32c,
                    expected.crc32c));
  }
  return {};
}

}  // namespace millrace
