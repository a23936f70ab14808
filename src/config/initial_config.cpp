#include "config/initial_config.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "millrace/ids.hpp"

namespace millrace::config {
namespace {

namespace fs = std::filesystem;

struct InitialSecret {
  std::string_view name;
  std::string_view placeholder;  ///< empty: a random token
};
constexpr std::array<InitialSecret, 4> kSecrets{{{"odoo_api_key", "replace-with-an-odoo-api-key"},
                                                 {"odoo_hook", ""},
                                                 {"mes_token", ""},
                                                 {"wms_token", ""}}};

Result<void> write_file(const fs::path& path, std::string_view content, mode_t mode) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  const auto failed = [&] {
    return fail(Errc::config,
                fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
  };
  if (descriptor < 0) return failed();
  std::size_t written = 0;
  while (written < content.size()) {
    const ssize_t count = ::write(descriptor, content.data() + written, content.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      auto error = failed();
      ::close(descriptor);
      return error;
    }
    written += static_cast<std::size_t>(count);
  }
  if (::close(descriptor) != 0) return failed();
  return {};
}

Result<void> make_directory(const fs::path& path, mode_t mode) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return fail(Errc::config, fmt::format("cannot make {}: {}", path.string(), std::strerror(errno)));
}

}  // namespace

Result<void> write_initial_config(const std::string& directory) {
  const fs::path root = fs::path(directory).lexically_normal();
  std::error_code error;
  if (fs::exists(root, error) && (!fs::is_directory(root, error) || !fs::is_empty(root, error))) {
    return fail(Errc::conflict, fmt::format("{} is not empty: name a new directory", directory));
  }
  MILLRACE_CHECK_OK(make_directory(root, 0755));
  for (const InitialFile& file : initial_files()) {
    const fs::path path = root / file.path;
    fs::create_directories(path.parent_path(), error);
    MILLRACE_CHECK_OK(write_file(path, file.content, 0644));
  }
  MILLRACE_CHECK_OK(make_directory(root / "secrets", 0700));
  for (const InitialSecret& secret : kSecrets) {
    const std::string value =
        secret.placeholder.empty() ? random_hex(24) : std::string(secret.placeholder);
    MILLRACE_CHECK_OK(write_file(root / "secrets" / secret.name, value + "\n", 0600));
  }
  return {};
}

}  // namespace millrace::config
