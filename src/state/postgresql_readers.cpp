#include "state/postgresql_readers.hpp"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "state/key_range.hpp"
#include "storage/postgresql_values.hpp"

namespace millrace {

namespace {

constexpr std::chrono::seconds kReadMax{60};
constexpr int kAttempts = 3;

}  // namespace

/// Holds one reader for the time of a call.
class PostgresReaders::Lease {
 public:
  explicit Lease(PostgresReaders& owner) : owner_(owner) {
    std::unique_lock lock(owner_.mutex_);
    owner_.returned_.wait(lock, [&] { return owner_.closed_ || !owner_.idle_.empty(); });
    if (owner_.closed_) return;
    reader_ = owner_.idle_.back();
    owner_.idle_.pop_back();
  }
  ~Lease() {
    if (reader_ == nullptr) return;
    const std::lock_guard lock(owner_.mutex_);
    owner_.idle_.push_back(reader_);
    owner_.returned_.notify_all();
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  /// Null after close().
  Reader* reader() { return reader_; }

 private:
  PostgresReaders& owner_;
  Reader* reader_ = nullptr;
};

PostgresReaders::PostgresReaders(const PostgresSessions& sessions, PostgresHealth& health,
                                 std::size_t count, std::function<void()> on_trouble)
    : sessions_(sessions), health_(health), on_trouble_(std::move(on_trouble)) {
  for (std::size_t i = 0; i < std::max<std::size_t>(count, 1); ++i) {
    readers_.push_back(std::make_unique<Reader>());
    idle_.push_back(readers_.back().get());
    health_.add_reader(readers_.back()->loop);
  }
}

PostgresResult<PostgresRows> PostgresReaders::try_once(Reader& reader,
                                                       const PostgresStatement& statement) {
  if (!reader.connection || reader.connection->is_lost()) {
    reader.connection.reset();
    auto connection = sessions_.open_reader(reader.loop);
    if (!connection) return std::unexpected(std::move(connection).error());
    reader.connection = *std::move(connection);
  }
  return reader.connection->run(statement, std::chrono::steady_clock::now() + kReadMax);
}

Result<PostgresRows> PostgresReaders::read(const PostgresStatement& statement) {
  Lease lease(*this);
  for (int attempt = 1;; ++attempt) {
    if (lease.reader() == nullptr) return fail(Errc::stopping, "the state store is closed");
    if (health_.is_away()) return std::unexpected(health_.error());
    auto rows = try_once(*lease.reader(), statement);
    if (rows) return *std::move(rows);
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return fail(Errc::stopping, "the state store is closed");
    }
    const auto kind = rows.error().kind;
    const bool again = kind == PostgresError::Kind::lost || kind == PostgresError::Kind::conflict;
    if (again && attempt < kAttempts) continue;
    if (kind != PostgresError::Kind::final && on_trouble_) on_trouble_();
    Error error = rows.error().to_error();
    error.message = fmt::format("the state cannot be read: PostgreSQL: {}", error.message);
    // A person's mistake too is waited for: what runs must not fall over it.
    if (error.code == Errc::config && on_trouble_) error.code = Errc::state_away;
    return std::unexpected(std::move(error));
  }
}

Result<std::optional<std::string>> PostgresReaders::get(Table table, std::string_view key) {
  MILLRACE_TRY(
      rows,
      read({fmt::format("SELECT value FROM {} WHERE key=$1::bytea", sessions_.names().table(table)),
            {std::string(key)},
            true}));
  if (rows.size() == 0) return std::optional<std::string>();
  return std::optional<std::string>(rows.bytes(0, 0));
}

Result<std::vector<std::optional<std::string>>> PostgresReaders::get_many(
    Table table, std::span<const std::string> keys) {
  std::vector<std::optional<std::string>> values;
  if (keys.empty()) return values;
  const std::vector<std::string_view> wanted(keys.begin(), keys.end());
  MILLRACE_TRY(rows, read({fmt::format("SELECT key,value FROM {} WHERE key=ANY($1::bytea[])",
                                       sessions_.names().table(table)),
                           {postgres_bytea_array(wanted)},
                           true}));
  std::map<std::string_view, std::string_view> found;
  for (std::size_t row = 0; row < rows.size(); ++row)
    found[rows.bytes(row, 0)] = rows.bytes(row, 1);
  values.reserve(keys.size());
  for (const auto& key : keys) {
    const auto at = found.find(key);
    values.push_back(at == found.end() ? std::nullopt : std::optional<std::string>(at->second));
  }
  return values;
}

Result<std::vector<Row>> PostgresReaders::scan(Table table, std::string_view prefix,
                                               std::string_view after, std::size_t rows_max) {
  const auto below = after_prefix(prefix);
  PostgresStatement statement{
      fmt::format("SELECT key,value FROM {} WHERE key>=$1::bytea{} ORDER BY key LIMIT $2::int8",
                  sessions_.names().table(table), below ? " AND key<$3::bytea" : ""),
      {lower_bound(prefix, after), postgres_int8(static_cast<std::int64_t>(rows_max))},
      true};
  if (below) statement.values.push_back(*below);
  MILLRACE_TRY(found, read(statement));
  std::vector<Row> rows;
  rows.reserve(found.size());
  for (std::size_t row = 0; row < found.size(); ++row)
    rows.push_back({std::string(found.bytes(row, 0)), std::string(found.bytes(row, 1))});
  return rows;
}

Result<std::uint64_t> PostgresReaders::count(Table table, std::string_view prefix) {
  const auto below = after_prefix(prefix);
  PostgresStatement statement{
      fmt::format("SELECT count(*)::int8 FROM {} WHERE key>=$1::bytea{}",
                  sessions_.names().table(table), below ? " AND key<$2::bytea" : ""),
      {std::string(prefix)},
      true};
  if (below) statement.values.push_back(*below);
  MILLRACE_TRY(rows, read(statement));
  return static_cast<std::uint64_t>(rows.integer(0, 0));
}

Result<void> PostgresReaders::check_format() {
  Lease lease(*this);
  auto connection = sessions_.open_reader(lease.reader()->loop);
  if (!connection) return std::unexpected(connection.error().to_error());
  lease.reader()->connection = *std::move(connection);
  MILLRACE_TRY(version, check_postgres_format(*lease.reader()->connection, sessions_.names(),
                                              std::chrono::steady_clock::now() + kReadMax));
  if (version) return {};
  return fail(Errc::not_found, fmt::format("there is no state in schema {}: millraced makes it at "
                                           "its first start",
                                           sessions_.names().schema()));
}

void PostgresReaders::close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  returned_.notify_all();
  for (const auto& reader : readers_) reader->loop.cancel();
  returned_.wait(lock, [&] { return idle_.size() == readers_.size(); });
  for (const auto& reader : readers_) reader->connection.reset();
}

}  // namespace millrace
