#include "log/manifest.hpp"

#include <fmt/format.h>

#include "log/format.hpp"
#include "millrace/ids.hpp"
#include "millrace/json.hpp"

namespace millrace::log {
namespace {

constexpr std::size_t kManifestBytesMax = 4096;
constexpr std::size_t kUuidBytes = 36;

std::filesystem::path path_in(const std::filesystem::path& directory) {
  return directory / "log.json";
}

}  // namespace

Result<std::optional<Manifest>> read_manifest(Disk& disk, const std::filesystem::path& directory) {
  const std::filesystem::path path = path_in(directory);
  if (disk.open(directory / kCopyingFile, OpenMode::read)) {
    return fail(
        Errc::conflict,
        fmt::format("{} holds a copy of a log that is not complete: say `millrace log copy` "
                    "once more before anything starts on it",
                    directory.string()));
  }
  auto text = read_file(disk, path, kManifestBytesMax);
  if (!text && text.error().code == Errc::not_found) return std::optional<Manifest>();
  if (!text) return std::unexpected(std::move(text).error());
  auto json = parse_json(*text);
  if (!json) {
    return fail(Errc::corrupt, fmt::format("{}: {}; put the file back from a backup", path.string(),
                                           json.error().message));
  }
  const std::int64_t format = int_or(*json, "format", 0);
  if (format > kFormatVersion) {
    return fail(Errc::newer_format,
                fmt::format("{} has format version {}; this version of Millrace reads up to {}. "
                            "Start the newer version again",
                            path.string(), format, kFormatVersion));
  }
  Manifest manifest{.uuid = std::string(string_or(*json, "uuid", ""))};
  if (format < 1 || manifest.uuid.size() != kUuidBytes ||
      int_or(*json, "partitions", 0) != kPartitionCount) {
    return fail(Errc::corrupt, fmt::format("{}: format, uuid or partitions is missing or wrong; "
                                           "put the file back from a backup",
                                           path.string()));
  }
  return manifest;
}

Result<Manifest> create_manifest(Disk& disk, const std::filesystem::path& directory) {
  Manifest manifest{.uuid = random_uuid()};
  MILLRACE_CHECK_OK(write_manifest(disk, directory, manifest));
  return manifest;
}

Result<void> write_manifest(Disk& disk, const std::filesystem::path& directory,
                            const Manifest& manifest) {
  const std::string text = fmt::format(R"({{"format":{},"uuid":"{}","partitions":{}}})",
                                       kFormatVersion, manifest.uuid, kPartitionCount);
  return write_file_durably(disk, path_in(directory), text + "\n");
}

}  // namespace millrace::log
