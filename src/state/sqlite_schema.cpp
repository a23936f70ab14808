#include "state/sqlite_schema.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace millrace {

namespace {

// Positions in the 100-byte header of a SQLite database (https://sqlite.org/fileformat.html 1.3).
constexpr std::size_t kHeaderSize = 100;
constexpr std::size_t kUserVersionAt = 60;
constexpr std::size_t kApplicationIdAt = 68;
constexpr std::string_view kMagic{"SQLite format 3\0", 16};

std::string system_reason() {
  return std::generic_category().message(errno);
}

std::int64_t big_endian_32(const std::array<unsigned char, kHeaderSize>& bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) number = (number << 8) | bytes[at + i];
  return static_cast<std::int32_t>(number);
}

Result<void> check_version(std::int64_t application, std::int64_t version,
                           const std::string& path) {
  if (application != kStateApplicationId)
    return fail(Errc::corrupt,
                fmt::format("{} is not a Millrace state store; `state.sqlite` must name its own "
                            "file",
                            path));
  if (version > kStateFormatVersion)
    return fail(Errc::newer_format,
                fmt::format("state store {} has format {}, this program knows up to {}: start the "
                            "newer version again, or restore the backup made before the upgrade",
                            path, version, kStateFormatVersion));
  if (version < 1)
    return fail(Errc::corrupt, fmt::format("state store {} has format {}", path, version));
  return {};
}

/// Reads the header as bytes, because opening a database, even to read, may create files beside it.
/// Only called while no connection of this process is open: closing any descriptor of a file drops
/// the process's POSIX locks on it, SQLite's among them.
Result<void> check_header(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    if (errno == ENOENT) return {};
    return fail(Errc::disk_failed, fmt::format("cannot read {}: {}", path, system_reason()));
  }
  std::array<unsigned char, kHeaderSize> header{};
  const ssize_t size = ::pread(descriptor, header.data(), header.size(), 0);
  const std::string reason = system_reason();
  ::close(descriptor);
  if (size < 0) return fail(Errc::disk_failed, fmt::format("cannot read {}: {}", path, reason));
  if (size == 0) return {};  // just created
  if (size < static_cast<ssize_t>(kHeaderSize) ||
      !std::equal(kMagic.begin(), kMagic.end(), header.begin()))
    return fail(Errc::corrupt, fmt::format("{} is not an SQLite database", path));
  return check_version(big_endian_32(header, kApplicationIdAt),
                       big_endian_32(header, kUserVersionAt), path);
}

Result<void> sync_directory(const std::string& path) {
  auto directory = std::filesystem::path(path).parent_path();
  if (directory.empty()) directory = ".";
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0)
    return fail(Errc::disk_failed,
                fmt::format("cannot open {}: {}", directory.string(), system_reason()));
  const int synced = ::fsync(descriptor);
  const std::string reason = system_reason();
  ::close(descriptor);
  if (synced != 0)
    return fail(Errc::disk_failed, fmt::format("cannot sync {}: {}", directory.string(), reason));
  return {};
}

Result<void> lock_descriptor(int descriptor, const std::string& path) {
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return {};
  if (errno != EWOULDBLOCK)
    return fail(Errc::disk_failed, fmt::format("cannot lock {}.lock: {}", path, system_reason()));
  std::array<char, 24> text{};
  const ssize_t size = ::pread(descriptor, text.data(), text.size() - 1, 0);
  std::string holder(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  std::erase(holder, '\n');
  return fail(Errc::locked,
              fmt::format("state store {} is in use by another process{} (lock {}.lock): stop it "
                          "first, or give this instance its own `state.sqlite`",
                          path, holder.empty() ? "" : fmt::format(" with id {}", holder), path));
}

/// Rows that stay below about 200 bytes live in the key's own tree (WITHOUT ROWID): one tree to
/// write instead of two. Larger rows would leave room for five to a page in every level of that
/// tree; at 700 bytes an upsert then costs twice as much as with a tree of keys beside the table.
bool has_short_rows(Table table) {
  switch (table) {
    case Table::meta:
    case Table::doorbells:
    case Table::xref:
    case Table::xref_by_id:
    case Table::names:
    case Table::marks:
    case Table::keys:
      return true;
    case Table::cursors:
    case Table::projections:
    case Table::parked:
    case Table::outbox:
    case Table::programs:
    case Table::routes:
    case Table::audit:
    case Table::generations:
      return false;
  }
  return false;
}

std::string schema_sql() {
  std::string sql = "BEGIN IMMEDIATE;";
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const auto table = static_cast<Table>(i);
    sql += fmt::format(
        "CREATE TABLE \"{}\"(key BLOB NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT{};",
        to_string(table), has_short_rows(table) ? ", WITHOUT ROWID" : "");
  }
  sql += fmt::format("PRAGMA application_id={};PRAGMA user_version={};COMMIT;", kStateApplicationId,
                     kStateFormatVersion);
  return sql;
}

}  // namespace

Result<StateLock> StateLock::acquire(const std::string& path) {
  const std::string lock_path = path + ".lock";
  // Where a lock file exists its holder may have the database open, so the lock comes before the
  // look at the header; where none exists nobody has, and a refusal leaves no lock file behind.
  int descriptor = ::open(lock_path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) {
    MILLRACE_CHECK_OK(check_header(path));
    descriptor = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0)
      return fail(Errc::disk_failed,
                  fmt::format("cannot create {}: {}; does its directory exist, and may this user "
                              "write there?",
                              lock_path, system_reason()));
  }
  StateLock lock(descriptor);
  MILLRACE_CHECK_OK(lock_descriptor(descriptor, path));
  MILLRACE_CHECK_OK(check_header(path));
  // The number only helps people; the lock is the kernel's. A full disk must not stop a start.
  const std::string holder = fmt::format("{}\n", ::getpid());
  if (::ftruncate(descriptor, 0) == 0 && ::pwrite(descriptor, holder.data(), holder.size(), 0) < 0)
    return lock;
  return lock;
}

StateLock::StateLock(StateLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

StateLock& StateLock::operator=(StateLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

StateLock::~StateLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> create_state_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    if (errno == EEXIST) return {};
    return fail(errno == ENOSPC ? Errc::disk_full : Errc::disk_failed,
                fmt::format("cannot create {}: {}", path, system_reason()));
  }
  ::close(descriptor);
  return sync_directory(path);
}

Result<void> check_format(Connection& connection, const std::string& path) {
  MILLRACE_TRY(application, connection.query_int("PRAGMA application_id"));
  MILLRACE_TRY(version, connection.query_int("PRAGMA user_version"));
  return check_version(application, version, path);
}

Result<void> prepare_schema(Connection& connection, const std::string& path) {
  MILLRACE_TRY(objects, connection.query_int("SELECT count(*) FROM sqlite_schema"));
  if (objects == 0) {
    // Laid out under the rollback journal, so that the header of the file itself carries the format
    // version from the first moment and older programs can refuse it without opening it.
    MILLRACE_CHECK_OK(connection.execute("PRAGMA page_size=4096;PRAGMA synchronous=FULL;"));
    MILLRACE_CHECK_OK(connection.execute(schema_sql()));
  }
  MILLRACE_CHECK_OK(check_format(connection, path));
  MILLRACE_TRY(mode, connection.query_text("PRAGMA journal_mode=WAL"));
  if (mode != "wal")
    return fail(Errc::not_supported,
                fmt::format("the file system of {} does not support SQLite's write-ahead log (it "
                            "needs shared memory: no network file systems)",
                            path));
  return {};
}

}  // namespace millrace
