#include "state/sqlite_state.hpp"

#include <fmt/format.h>

#include <atomic>
#include <utility>

#include "state/sqlite_checkpointer.hpp"
#include "state/sqlite_known_keys.hpp"
#include "state/sqlite_readers.hpp"
#include "state/sqlite_schema.hpp"
#include "state/sqlite_writer.hpp"

namespace millrace {

namespace {

class SqliteStateStore final : public StateStore {
 public:
  SqliteStateStore(StateLock lock, const SqliteStateOptions& options)
      : lock_(std::move(lock)), on_fatal_(options.on_fatal), known_keys_(options.path) {}
  ~SqliteStateStore() override { close_now(); }

  Result<void> start(Connection writer, const SqliteStateOptions& options) {
    MILLRACE_TRY(readers,
                 SqliteReaders::open(options.path, options.readers, options.reader_cache_kib));
    readers_ = std::move(readers);
    MILLRACE_TRY(second, Connection::open(options.path, DatabaseMode::read_write));
    MILLRACE_CHECK_OK(second.execute("PRAGMA synchronous=FULL;PRAGMA cache_size=-64;"));
    auto checkpointer = std::make_unique<SqliteCheckpointer>(
        std::move(second), CheckpointLimits{options.wal_soft_bytes, options.wal_hard_bytes},
        [this](Error error) { fail_for_good(std::move(error)); });
    writer_ = std::make_unique<SqliteWriter>(
        std::move(writer), SqliteWriterOptions{options.commit_delay, options.rows_max}, known_keys_,
        std::move(checkpointer), [this](Error error) { fail_for_good(std::move(error)); });
    started_.store(true);
    return {};
  }

  void commit(Batch batch, Urgency urgency, Executor& home, CommitDone done) override {
    writer_->push(std::move(batch), urgency, home, std::move(done));
  }

  Result<std::optional<std::string>> get(Table table, std::string_view key) override {
    return readers_->get(table, key);
  }
  Result<std::vector<std::optional<std::string>>> get_many(
      Table table, std::span<const std::string> keys) override {
    return readers_->get_many(table, keys);
  }
  Result<std::vector<Row>> scan(Table table, std::string_view prefix, std::string_view after,
                                std::size_t rows_max) override {
    return readers_->scan(table, prefix, after, rows_max);
  }
  Result<std::uint64_t> count(Table table, std::string_view prefix) override {
    return readers_->count(table, prefix);
  }

  bool is_surely_absent(Table table, std::string_view key) override {
    return known_keys_.is_surely_absent(table, key);
  }

  StateCondition condition() const override {
    StateCondition condition;
    condition.kind = "sqlite";
    writer_->space().describe(condition);
    return condition;
  }

  void set_journal_ends(std::function<std::string()> ends) override {
    writer_->set_journal_ends(std::move(ends));
  }

  void close() override { close_now(); }

 private:
  void close_now() {
    if (!started_.load()) return;
    // Readers first: an open snapshot would keep the write-ahead log from being emptied.
    known_keys_.stop();
    readers_->close();
    writer_->close();
  }

  void fail_for_good(Error error) {
    if (failed_.exchange(true)) return;
    if (started_.load()) writer_->abandon();
    if (on_fatal_)
      on_fatal_(std::move(error));
    else
      abort_with(error.message, error.where);
  }

  StateLock lock_;  // released last
  std::function<void(Error)> on_fatal_;
  std::atomic<bool> failed_ = false;
  std::atomic<bool> started_ = false;
  SqliteKnownKeys known_keys_;
  std::unique_ptr<SqliteReaders> readers_;
  std::unique_ptr<SqliteWriter> writer_;
};

Result<Connection> open_writer(const SqliteStateOptions& options) {
  MILLRACE_TRY(connection, Connection::open(options.path, DatabaseMode::read_write));
  MILLRACE_CHECK_OK(prepare_schema(connection, options.path));
  MILLRACE_CHECK_OK(connection.execute(
      fmt::format("PRAGMA synchronous=FULL;PRAGMA wal_autocheckpoint=0;PRAGMA trusted_schema=0;"
                  "PRAGMA cache_size=-{};PRAGMA temp_store=MEMORY;PRAGMA journal_size_limit={};",
                  options.writer_cache_kib, 2 * options.wal_hard_bytes)));
  if (options.pages_max > 0)
    MILLRACE_CHECK_OK(
        connection.execute(fmt::format("PRAGMA max_page_count={};", options.pages_max)));
  // After a failed sync the kernel may call pages clean that never reached the disk. Copying the
  // whole log into the database writes them again, before anything is built on them.
  MILLRACE_TRY(progress, connection.checkpoint_truncate());
  if (progress.busy)
    return fail(Errc::locked, fmt::format("another program has state store {} open: close it "
                                          "(sqlite3 with an open transaction?)",
                                          options.path));
  return connection;
}

}  // namespace

Result<std::unique_ptr<StateStore>> open_sqlite_state(const SqliteStateOptions& options) {
  MILLRACE_TRY(lock, StateLock::acquire(options.path));
  MILLRACE_CHECK_OK(create_state_file(options.path));
  MILLRACE_TRY(writer, open_writer(options));
  auto store = std::make_unique<SqliteStateStore>(std::move(lock), options);
  MILLRACE_CHECK_OK(store->start(std::move(writer), options));
  return store;
}

}  // namespace millrace
