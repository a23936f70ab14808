#include "storage/disk.hpp"

#include <fmt/format.h>

namespace millrace {

Result<std::string> read_file(Disk& disk, const std::filesystem::path& path,
                              std::size_t bytes_max) {
  MILLRACE_TRY(file, disk.open(path, OpenMode::read));
  MILLRACE_TRY(size, file->size());
  if (size > bytes_max) {
    return fail(Errc::too_large, fmt::format("{} has {} bytes; at most {} are expected there",
                                             path.string(), size, bytes_max));
  }
  std::string contents(static_cast<std::size_t>(size), '\0');
  MILLRACE_TRY(read, file->read_at(0, contents));
  contents.resize(read);
  return contents;
}

Result<void> write_file_durably(Disk& disk, const std::filesystem::path& path,
                                std::string_view contents) {
  std::filesystem::path temporary = path;
  temporary += ".new";
  if (auto removed = disk.remove(temporary); !removed && removed.error().code != Errc::not_found) {
    return removed;
  }
  {
    MILLRACE_TRY(file, disk.open(temporary, OpenMode::create));
    MILLRACE_CHECK_OK(file->write_at(0, contents));
    MILLRACE_CHECK_OK(file->sync_data());
  }
  MILLRACE_CHECK_OK(disk.rename(temporary, path));
  return disk.sync_directory(path.parent_path());
}

}  // namespace millrace
