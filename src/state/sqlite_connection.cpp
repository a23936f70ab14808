#include "state/sqlite_connection.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "state/sqlite_turns.hpp"

namespace millrace {

namespace {

constexpr int kBusyTimeoutMs = 5000;

/// SQLite binds NULL for a null pointer, also when the length is 0.
const char* not_null(std::string_view bytes) {
  return bytes.data() == nullptr ? "" : bytes.data();
}

Errc meaning(int extended_code, int system_errno) {
  switch (extended_code & 0xff) {
    case SQLITE_FULL:
      return Errc::disk_full;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Errc::locked;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Errc::corrupt;
    case SQLITE_IOERR:
      break;
    default:
      return Errc::disk_failed;
  }
  // The unix VFS reports ENOSPC of a write as SQLITE_FULL, but a quota as a plain write error.
  const bool no_space = system_errno == ENOSPC || system_errno == EDQUOT;
  const bool wrote = extended_code == SQLITE_IOERR_WRITE ||
                     extended_code == SQLITE_IOERR_TRUNCATE ||
                     extended_code == SQLITE_IOERR_SHMSIZE;
  return wrote && no_space ? Errc::disk_full : Errc::disk_failed;
}

std::string advice(Errc code) {
  switch (code) {
    case Errc::disk_full:
      return "; free space on its file system";
    case Errc::locked:
      return "; another program holds a lock on it: close it (sqlite3 with an open transaction?)";
    case Errc::corrupt:
      return "; run `millrace state verify`, then restore it from a backup or `millrace state "
             "adopt`";
    default:
      return "; check the disk and the kernel's messages before starting again";
  }
}

}  // namespace

Error sqlite_error(sqlite3* database, std::string_view doing) {
  const int code = sqlite3_extended_errcode(database);
  const int system_errno = sqlite3_system_errno(database);
  const Errc errc = meaning(code, system_errno);
  const char* path = sqlite3_db_filename(database, "main");
  std::string reason = sqlite3_errmsg(database);
  if ((code & 0xff) == SQLITE_IOERR && system_errno != 0)
    reason += fmt::format(": {}", std::generic_category().message(system_errno));
  return Error(errc, fmt::format("cannot {} state store {}: {} (SQLite {}){}", doing,
                                 path == nullptr ? "" : path, reason, code, advice(errc)));
}

Statement::Statement(sqlite3* database, sqlite3_stmt* statement)
    : database_(database), statement_(statement) {}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Statement& Statement::bind_blob(int index, std::string_view bytes) {
  const int code =
      sqlite3_bind_blob64(statement_.get(), index, not_null(bytes), bytes.size(), SQLITE_STATIC);
  MILLRACE_INVARIANT(code == SQLITE_OK || code == SQLITE_TOOBIG);
  return *this;
}

Statement& Statement::bind_text(int index, std::string_view text) {
  const int code = sqlite3_bind_text64(statement_.get(), index, not_null(text), text.size(),
                                       SQLITE_STATIC, SQLITE_UTF8);
  MILLRACE_INVARIANT(code == SQLITE_OK || code == SQLITE_TOOBIG);
  return *this;
}

Statement& Statement::bind_int(int index, std::int64_t number) {
  const int code = sqlite3_bind_int64(statement_.get(), index, number);
  MILLRACE_INVARIANT(code == SQLITE_OK);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return std::unexpected(
      sqlite_error(database_, sqlite3_stmt_readonly(statement_.get()) != 0 ? "read" : "write to"));
}

std::string Statement::column(int index) const {
  const void* bytes = sqlite3_column_blob(statement_.get(), index);
  const int size = sqlite3_column_bytes(statement_.get(), index);
  if (bytes == nullptr || size <= 0) return {};
  return {static_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

std::int64_t Statement::column_int(int index) const {
  return sqlite3_column_int64(statement_.get(), index);
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

void Connection::Close::operator()(sqlite3* database) const {
  sqlite3_close_v2(database);
}

Result<Connection> Connection::open(const std::string& path, DatabaseMode mode) {
  WritesInTurn::watch_pages();
  sqlite3* database = nullptr;
  const int flags =
      (mode == DatabaseMode::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &database, flags, nullptr);
  Connection connection(database);
  if (code != SQLITE_OK) {
    if (database == nullptr) return fail(Errc::internal, "no memory to open the state store");
    return fail(meaning(code, sqlite3_system_errno(database)),
                fmt::format("cannot open state store {}: {}", path, sqlite3_errmsg(database)));
  }
  sqlite3_busy_timeout(database, kBusyTimeoutMs);
  connection.allow_checkpoint_on_close(false);
  return connection;
}

Result<void> Connection::execute(const std::string& sql) {
  if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return std::unexpected(sqlite_error(database_.get(), fmt::format("run {} on", sql)));
}

Result<Statement> Connection::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK)
    return std::unexpected(sqlite_error(database_.get(), fmt::format("prepare {} for", sql)));
  return Statement(database_.get(), statement);
}

Result<std::string> Connection::query_text(const std::string& sql) {
  MILLRACE_TRY(statement, prepare(sql));
  MILLRACE_TRY(found, statement.step());
  return found ? statement.column(0) : std::string();
}

Result<std::int64_t> Connection::query_int(const std::string& sql) {
  MILLRACE_TRY(statement, prepare(sql));
  MILLRACE_TRY(found, statement.step());
  return found ? statement.column_int(0) : 0;
}

bool Connection::in_transaction() const {
  return sqlite3_get_autocommit(database_.get()) == 0;
}

Result<Connection::CheckpointProgress> Connection::checkpoint(int mode) {
  int log_pages = 0;
  int copied_pages = 0;
  const int code =
      sqlite3_wal_checkpoint_v2(database_.get(), "main", mode, &log_pages, &copied_pages);
  if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY)
    return std::unexpected(sqlite_error(database_.get(), "checkpoint"));
  CheckpointProgress progress;
  progress.log_pages = log_pages;
  progress.copied_pages = copied_pages;
  progress.busy = code != SQLITE_OK;
  return progress;
}

Result<Connection::CheckpointProgress> Connection::checkpoint_passive() {
  return checkpoint(SQLITE_CHECKPOINT_PASSIVE);
}

Result<Connection::CheckpointProgress> Connection::checkpoint_truncate() {
  return checkpoint(SQLITE_CHECKPOINT_TRUNCATE);
}

void Connection::allow_checkpoint_on_close(bool allow) {
  sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, allow ? 0 : 1, nullptr);
}

void Connection::set_wal_hook(WalHook hook, void* context) {
  hook_ = std::make_unique<Hook>(Hook{hook, context});
  sqlite3_wal_hook(
      database_.get(),
      [](void* self, sqlite3*, const char*, int pages) {
        const auto* target = static_cast<const Hook*>(self);
        target->call(target->context, pages);
        return SQLITE_OK;
      },
      hook_.get());
}

}  // namespace millrace
