// A copy of a state store beside its writer: one snapshot, written anew, so that it has no
// write-ahead log and no free pages.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "state/sqlite_connection.hpp"
#include "state/sqlite_schema.hpp"
#include "state/sqlite_state.hpp"

namespace millrace {
namespace {

Result<void> sync_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return fail(Errc::disk_failed, fmt::format("cannot open {}", path));
  const bool synced = ::fsync(descriptor) == 0;
  ::close(descriptor);
  if (synced) return {};
  return fail(Errc::disk_failed, fmt::format("{} cannot be made durable", path));
}

}  // namespace

Result<void> copy_sqlite_state(const std::string& from, const std::string& to) {
  if (to.find('\'') != to.npos) {
    return fail(Errc::invalid_argument, fmt::format("{}: no quotes in the path, please", to));
  }
  MILLRACE_TRY(connection, Connection::open(from, DatabaseMode::read_only));
  MILLRACE_CHECK_OK(check_format(connection, from));
  MILLRACE_CHECK_OK(connection.execute(fmt::format("VACUUM INTO '{}'", to)));
  return sync_file(to);
}

}  // namespace millrace
