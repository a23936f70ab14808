#include "state/sqlite_readers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "state/key_range.hpp"

namespace millrace {

namespace {

Error closed() {
  return {Errc::stopping, "the state store is closed"};
}

std::string sql_of(std::size_t query, Table table) {
  static constexpr std::array<const char*, 5> kSql = {
      "SELECT value FROM \"{}\" WHERE key=?1",
      "SELECT key,value FROM \"{}\" WHERE key>=?1 ORDER BY key LIMIT ?2",
      "SELECT key,value FROM \"{}\" WHERE key>=?1 AND key<?3 ORDER BY key LIMIT ?2",
      "SELECT count(*) FROM \"{}\" WHERE key>=?1",
      "SELECT count(*) FROM \"{}\" WHERE key>=?1 AND key<?3",
  };
  return fmt::format(fmt::runtime(kSql.at(query)), to_string(table));
}

}  // namespace

Result<std::unique_ptr<SqliteReaders>> SqliteReaders::open(const std::string& path,
                                                           std::size_t count,
                                                           std::size_t cache_kib) {
  auto readers = std::make_unique<SqliteReaders>();
  for (std::size_t i = 0; i < std::max<std::size_t>(count, 1); ++i) {
    MILLRACE_TRY(connection, Connection::open(path, DatabaseMode::read_write));
    MILLRACE_CHECK_OK(
        connection.execute(fmt::format("PRAGMA query_only=1;PRAGMA cache_size=-{};", cache_kib)));
    readers->idle_.push_back(std::make_unique<Reader>(std::move(connection)));
  }
  readers->open_ = readers->idle_.size();
  return readers;
}

Result<Statement*> SqliteReaders::Reader::statement(Table table, Query query) {
  auto& slot = statements[static_cast<std::size_t>(table)][query];
  if (!slot) {
    MILLRACE_TRY(prepared, connection.prepare(sql_of(query, table)));
    slot = std::move(prepared);
  }
  return &*slot;
}

SqliteReaders::Lease::Lease(SqliteReaders& owner) : owner_(owner) {
  std::unique_lock lock(owner_.mutex_);
  owner_.returned_.wait(lock, [&] { return owner_.closed_ || !owner_.idle_.empty(); });
  if (owner_.closed_) return;
  reader_ = std::move(owner_.idle_.back());
  owner_.idle_.pop_back();
}

SqliteReaders::Lease::~Lease() {
  if (!reader_) return;
  const std::lock_guard lock(owner_.mutex_);
  owner_.idle_.push_back(std::move(reader_));
  owner_.returned_.notify_all();
}

Result<std::optional<std::string>> SqliteReaders::get_with(Reader& reader, Table table,
                                                           std::string_view key) {
  MILLRACE_TRY(statement, reader.statement(table, kGet));
  const StatementScope scope(*statement);
  statement->bind_blob(1, key);
  MILLRACE_TRY(found, statement->step());
  if (!found) return std::optional<std::string>();
  return std::optional<std::string>(statement->column(0));
}

Result<std::optional<std::string>> SqliteReaders::get(Table table, std::string_view key) {
  Lease lease(*this);
  if (lease.reader() == nullptr) return std::unexpected(closed());
  return get_with(*lease.reader(), table, key);
}

Result<std::vector<std::optional<std::string>>> SqliteReaders::get_many(
    Table table, std::span<const std::string> keys) {
  Lease lease(*this);
  if (lease.reader() == nullptr) return std::unexpected(closed());
  Reader& reader = *lease.reader();
  // One snapshot for all of them, taken once.
  MILLRACE_CHECK_OK(reader.connection.execute("BEGIN"));
  std::vector<std::optional<std::string>> values;
  values.reserve(keys.size());
  std::optional<Error> error;
  for (const auto& key : keys) {
    auto value = get_with(reader, table, key);
    if (!value) {
      error = std::move(value.error());
      break;
    }
    values.push_back(*std::move(value));
  }
  auto ended = reader.connection.execute("ROLLBACK");
  if (error) return std::unexpected(*std::move(error));
  MILLRACE_CHECK_OK(std::move(ended));
  return values;
}

Result<std::vector<Row>> SqliteReaders::scan(Table table, std::string_view prefix,
                                             std::string_view after, std::size_t rows_max) {
  Lease lease(*this);
  if (lease.reader() == nullptr) return std::unexpected(closed());
  const auto below = after_prefix(prefix);
  const std::string from = lower_bound(prefix, after);
  MILLRACE_TRY(statement, lease.reader()->statement(table, below ? kScanBelow : kScan));
  const StatementScope scope(*statement);
  statement->bind_blob(1, from);
  statement->bind_int(2, static_cast<std::int64_t>(rows_max));
  if (below) statement->bind_blob(3, *below);
  std::vector<Row> rows;
  while (true) {
    MILLRACE_TRY(found, statement->step());
    if (!found) return rows;
    rows.push_back({statement->column(0), statement->column(1)});
  }
}

Result<std::uint64_t> SqliteReaders::count(Table table, std::string_view prefix) {
  Lease lease(*this);
  if (lease.reader() == nullptr) return std::unexpected(closed());
  const auto below = after_prefix(prefix);
  MILLRACE_TRY(statement, lease.reader()->statement(table, below ? kCountBelow : kCount));
  const StatementScope scope(*statement);
  statement->bind_blob(1, prefix);
  if (below) statement->bind_blob(3, *below);
  MILLRACE_TRY(found, statement->step());
  return found ? static_cast<std::uint64_t>(statement->column_int(0)) : 0;
}

void SqliteReaders::close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  returned_.notify_all();
  returned_.wait(lock, [&] { return idle_.size() == open_; });
  idle_.clear();
  open_ = 0;
}

}  // namespace millrace
