#include "storage/backup_file.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "storage/crc32c.hpp"

namespace millrace {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

/// Reads `bytes` of `from`, and writes them to `to` unless it is nullptr.
Result<FileSum> pass_through(const File& from, File* to, std::uint64_t bytes,
                             const std::filesystem::path& path) {
  FileSum sum;
  std::string chunk(kChunkBytes, '\0');
  while (sum.bytes < bytes) {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(kChunkBytes, bytes - sum.bytes));
    MILLRACE_TRY(read, from.read_at(sum.bytes, std::span(chunk.data(), wanted)));
    if (read == 0) {
      return fail(Errc::corrupt, fmt::format("{} ends at byte {}, {} are expected", path.string(),
                                             sum.bytes, bytes));
    }
    const std::string_view part(chunk.data(), read);
    if (to != nullptr) MILLRACE_CHECK_OK(to->write_at(sum.bytes, part));
    sum.crc32c = crc32c(part, sum.crc32c);
    sum.bytes += read;
  }
  return sum;
}

}  // namespace

Result<FileSum> copy_file(Disk& disk, const std::filesystem::path& from,
                          const std::filesystem::path& to, std::uint64_t bytes) {
  MILLRACE_TRY(source, disk.open(from, OpenMode::read));
  MILLRACE_TRY(copy, disk.open(to, OpenMode::create));
  MILLRACE_TRY(sum, pass_through(*source, copy.get(), bytes, from));
  MILLRACE_CHECK_OK(copy->sync_data());
  return sum;
}

Result<FileSum> sum_file(Disk& disk, const std::filesystem::path& path) {
  MILLRACE_TRY(file, disk.open(path, OpenMode::read));
  MILLRACE_TRY(size, file->size());
  return pass_through(*file, nullptr, size, path);
}

}  // namespace millrace
