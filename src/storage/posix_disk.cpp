#include "storage/posix_disk.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

namespace millrace {
namespace {

namespace fs = std::filesystem;

Errc code_of(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return Errc::disk_full;
    case ENOENT:
      return Errc::not_found;
    case EEXIST:
      return Errc::conflict;
    case EMFILE:
    case ENFILE:
      return Errc::overloaded;  // nothing is wrong with the file
    default:
      return Errc::disk_failed;
  }
}

std::unexpected<Error> failed(std::string_view what, const fs::path& path, int error) {
  return fail(code_of(error), fmt::format("cannot {} {}: {}", what, path.string(),
                                          std::generic_category().message(error)));
}

/// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

class PosixFile final : public File {
 public:
  PosixFile(Descriptor fd, fs::path path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) const override {
    std::size_t done = 0;
    while (done < buffer.size()) {
      const ssize_t got = ::pread(fd_.get(), buffer.data() + done, buffer.size() - done,
                                  static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failed("read", path_, errno);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Result<void> write_at(std::uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t put =
          ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return failed("write", path_, errno);
      bytes.remove_prefix(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return {};
  }

  Result<void> sync_data() override {
    // Not repeated, not even on EINTR: a second call may return success with the data gone.
    if (::fdatasync(fd_.get()) != 0) return failed("sync", path_, errno);
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
      return failed("truncate", path_, errno);
    }
    return {};
  }

  Result<void> allocate(std::uint64_t size) override {
    // Not posix_fallocate: where the file system cannot reserve, that writes every block.
    if (::fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)) == 0) return {};
    if (errno != EOPNOTSUPP && errno != ENOSYS) return failed("allocate", path_, errno);
    MILLRACE_TRY(now, this->size());
    if (now >= size) return {};
    return truncate(size);
  }

  Result<std::uint64_t> size() const override {
    struct stat status{};
    if (::fstat(fd_.get(), &status) != 0) return failed("stat", path_, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

 private:
  Descriptor fd_;
  fs::path path_;
};

class PosixLock final : public FileLock {
 public:
  explicit PosixLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  Descriptor fd_;
};

std::string holder_of(int fd) {
  std::array<char, 32> text{};
  const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
  std::string pid(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  while (!pid.empty() && pid.back() == '\n') pid.pop_back();
  return pid.empty() ? "another process" : "process " + pid;
}

}  // namespace

Result<std::unique_ptr<File>> PosixDisk::open(const fs::path& path, OpenMode mode) {
  int flags = O_CLOEXEC;
  if (mode == OpenMode::read) flags |= O_RDONLY;
  if (mode == OpenMode::write) flags |= O_RDWR;
  if (mode == OpenMode::create) flags |= O_RDWR | O_CREAT | O_EXCL;
  Descriptor fd(::open(path.c_str(), flags, 0640));
  if (fd.get() < 0) return failed("open", path, errno);
  return std::make_unique<PosixFile>(std::move(fd), path);
}

Result<void> PosixDisk::create_directories(const fs::path& path) {
  std::vector<fs::path> missing;
  struct stat status{};
  for (fs::path at = path; !at.empty() && ::stat(at.c_str(), &status) != 0; at = at.parent_path()) {
    if (errno != ENOENT) return failed("look at", at, errno);
    missing.push_back(at);
    if (at == at.parent_path()) break;
  }
  std::reverse(missing.begin(), missing.end());
  for (const fs::path& directory : missing) {
    if (::mkdir(directory.c_str(), 0750) != 0 && errno != EEXIST) {
      return failed("make directory", directory, errno);
    }
    const fs::path parent = directory.parent_path();
    MILLRACE_CHECK_OK(sync_directory(parent.empty() ? "." : parent));
  }
  return {};
}

Result<void> PosixDisk::sync_directory(const fs::path& path) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return failed("open directory", path, errno);
  if (::fsync(fd.get()) != 0) return failed("sync directory", path, errno);
  return {};
}

Result<void> PosixDisk::rename(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return failed("rename", from, errno);
  return {};
}

Result<void> PosixDisk::remove(const fs::path& path) {
  if (::unlink(path.c_str()) != 0) return failed("remove", path, errno);
  return {};
}

Result<std::vector<std::string>> PosixDisk::list(const fs::path& path) {
  std::error_code error;
  std::vector<std::string> names;
  for (auto it = fs::directory_iterator(path, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) return failed("list", path, error.value());
  std::sort(names.begin(), names.end());
  return names;
}

Result<DiskSpace> PosixDisk::space(const fs::path& path) {
  struct statvfs status{};
  if (::statvfs(path.c_str(), &status) != 0) return failed("look at", path, errno);
  // As df counts: what is kept back for root is neither free nor ours.
  const std::uint64_t used = status.f_blocks - status.f_bfree;
  return DiskSpace{.free_bytes = std::uint64_t{status.f_bavail} * status.f_frsize,
                   .total_bytes = (used + status.f_bavail) * status.f_frsize};
}

Result<std::unique_ptr<FileLock>> PosixDisk::lock(const fs::path& path) {
  Descriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (fd.get() < 0) return failed("open", path, errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed("lock", path, errno);
    return fail(Errc::locked,
                fmt::format("{} is in use by {}; stop it first, or use another directory",
                            path.parent_path().string(), holder_of(fd.get())));
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd.get(), 0) != 0) return failed("write", path, errno);
  if (::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) return failed("write", path, errno);
  return std::make_unique<PosixLock>(std::move(fd));
}

}  // namespace millrace
