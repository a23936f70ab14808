#include "admin/admin_token.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "millrace/ids.hpp"

namespace millrace::admin {
namespace {

constexpr std::size_t kTokenBytes = 32;
constexpr std::size_t kTokenTextMin = 32;

/// A descriptor that closes itself.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

std::unexpected<Error> cannot(std::string_view what, const std::filesystem::path& file, int error) {
  const Errc code = error == ENOENT                     ? Errc::not_found
                    : error == EACCES || error == EPERM ? Errc::forbidden
                                                        : Errc::config;
  return fail(code, fmt::format("cannot {} {}: {}", what, file.string(), std::strerror(error)));
}

Result<std::string> read_token(int descriptor, const std::filesystem::path& file) {
  char buffer[256];
  const ssize_t got = read(descriptor, buffer, sizeof buffer);
  if (got < 0) return cannot("read", file, errno);
  std::string token(buffer, static_cast<std::size_t>(got));
  while (!token.empty() && (token.back() == '\n' || token.back() == ' ')) token.pop_back();
  if (token.size() < kTokenTextMin) {
    return fail(Errc::config,
                fmt::format("{} is too short to be a token: delete it and start again, a new one "
                            "is made",
                            file.string()));
  }
  return token;
}

// A temporary file is linked under the name: nobody ever sees half a token, and of two that start
// at once the first wins.
Result<void> make_token(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / kAdminTokenFile;
  const std::filesystem::path draft = directory / fmt::format("{}.{}", kAdminTokenFile, getpid());
  const File out(open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (out.get() < 0) return cannot("create", draft, errno);
  const std::string text = random_hex(kTokenBytes) + "\n";
  const bool written =
      write(out.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      fsync(out.get()) == 0;
  const int error = errno;
  const bool linked = written && (link(draft.c_str(), file.c_str()) == 0 || errno == EEXIST);
  const int link_error = errno;
  unlink(draft.c_str());
  if (!written) return cannot("write", draft, error);
  if (!linked) return cannot("create", file, link_error);
  return {};
}

}  // namespace

Result<std::string> read_admin_token(const std::filesystem::path& file) {
  const File in(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (in.get() < 0) return cannot("read", file, errno);
  return read_token(in.get(), file);
}

Result<std::string> ensure_admin_token(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / kAdminTokenFile;
  if (access(file.c_str(), F_OK) != 0) MILLRACE_CHECK_OK(make_token(directory));
  const File in(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (in.get() < 0) return cannot("read", file, errno);
  struct stat status{};
  if (fstat(in.get(), &status) != 0) return cannot("read", file, errno);
  if ((status.st_mode & 0077) != 0) {
    return fail(Errc::config,
                fmt::format("others may read {}: run chmod 600 on it, and delete it first if "
                            "somebody may have",
                            file.string()));
  }
  return read_token(in.get(), file);
}

}  // namespace millrace::admin
