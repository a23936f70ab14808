#include "state/sqlite_writer.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <thread>

#include "core/thread_name.hpp"
#include "state/sqlite_turns.hpp"

namespace millrace {

namespace {

/// A foreign program's write lock (an operator's open transaction) is waited for this long.
constexpr int kBeginAttemptsMax = 12;  // of 5 s each, the connection's busy timeout

/// Of one transaction. Where every core is busy each turn of the others takes milliseconds, and
/// what comes in meanwhile makes the next transaction larger.
constexpr std::chrono::milliseconds kGivesWayFor{50};

constexpr std::string_view kJournalEndsKey = "journal_ends";

}  // namespace

SqliteWriter::SqliteWriter(Connection connection, SqliteWriterOptions options,
                           SqliteKnownKeys& known_keys,
                           std::unique_ptr<SqliteCheckpointer> checkpointer, FatalHandler on_fatal)
    : connection_(std::move(connection)),
      known_keys_(known_keys),
      queue_({options.commit_delay, options.rows_max, {}}),
      checkpointer_(std::move(checkpointer)),
      on_fatal_(std::move(on_fatal)) {
  connection_.set_wal_hook(
      [](void* self, int pages) { static_cast<SqliteCheckpointer*>(self)->note_log_pages(pages); },
      checkpointer_.get());
  thread_ = std::thread([this] { run(); });
}

void SqliteWriter::push(Batch batch, Urgency urgency, Executor& home, StateStore::CommitDone done) {
  queue_.push(std::move(batch), urgency, home, std::move(done));
}

void SqliteWriter::set_journal_ends(std::function<std::string()> ends) {
  queue_.set_journal_ends(std::move(ends));
}

void SqliteWriter::close() {
  queue_.close();
  if (!thread_.joinable()) return;
  thread_.join();
  checkpointer_->stop();
  if (!queue_.abandoned()) close_database();
}

void SqliteWriter::abandon() {
  queue_.abandon();
}

void SqliteWriter::close_database() {
  // Leaves one whole file behind, so that it can be copied as it is.
  const auto progress = connection_.checkpoint_truncate();
  if (!progress) {
    spdlog::warn("state store not compacted on close error=\"{}\"", progress.error().message);
    return;
  }
  connection_.allow_checkpoint_on_close(true);
}

void SqliteWriter::run() {
  name_this_thread("state");
  while (true) {
    BatchGroup group = queue_.take();
    if (group.empty()) return;
    if (!apply(group)) queue_.abandon();
    // Destroying the completions tells those who wait for one that none will come.
    if (queue_.abandoned()) return;
    CommitQueue::complete(std::move(group));
  }
}

bool SqliteWriter::apply(BatchGroup& group) {
  const SqliteCheckpointer::Permit permit(*checkpointer_);
  auto done = transact(group);
  if (done) {
    ends_written_ = ends_pending_;
    return true;
  }
  Error error = std::move(done.error());
  if (connection_.in_transaction()) {
    auto rolled_back = connection_.execute("ROLLBACK");
    if (!rolled_back) error.code = Errc::disk_failed;
  }
  if (error.code != Errc::disk_full) {
    if (error.code == Errc::locked) error.code = Errc::disk_failed;
    on_fatal_(std::move(error));
    return false;
  }
  space_.note_full(error.message);
  for (auto& pending : group) pending.result = std::unexpected(error);
  return true;
}

Result<void> SqliteWriter::transact(BatchGroup& group) {
  ends_pending_ = ends_written_;
  MILLRACE_CHECK_OK(begin());
  RowOverlay overlay;
  for (auto& pending : group) {
    for (const auto& precondition : pending.batch.require) {
      MILLRACE_TRY(satisfied, holds(precondition, overlay));
      if (satisfied) continue;
      pending.result = std::unexpected(refused(precondition));
      break;
    }
    if (!pending.result) continue;
    for (const auto& write : pending.batch.writes)
      overlay.insert_or_assign({write.table, write.key}, &write.value);
  }
  if (overlay.empty()) return connection_.execute("ROLLBACK");
  const bool awaited =
      std::ranges::find(group, Urgency::now, &PendingBatch::urgency) != group.end();
  const auto patient_until = std::chrono::steady_clock::now() + kGivesWayFor;
  const WritesInTurn in_turn([&] {
    return !awaited && std::chrono::steady_clock::now() < patient_until && !queue_.hurries();
  });
  MILLRACE_CHECK_OK(write_rows(overlay));
  MILLRACE_CHECK_OK(write_journal_ends());
  MILLRACE_CHECK_OK(connection_.execute("COMMIT"));
  space_.note_stored();
  return {};
}

Result<void> SqliteWriter::begin() {
  for (int attempt = 1;; ++attempt) {
    auto begun = connection_.execute("BEGIN IMMEDIATE");
    if (begun || begun.error().code != Errc::locked || attempt == kBeginAttemptsMax) return begun;
    spdlog::warn("state store is locked by another program attempt={}/{}", attempt,
                 kBeginAttemptsMax);
  }
}

Result<bool> SqliteWriter::holds(const Precondition& precondition, const RowOverlay& overlay) {
  const auto written = overlay.find({precondition.table, precondition.key});
  if (written != overlay.end()) return *written->second == precondition.expected;
  MILLRACE_TRY(value, stored(precondition.table, precondition.key));
  return value == precondition.expected;
}

Result<Statement*> SqliteWriter::statement(std::array<std::optional<Statement>, kTableCount>& cache,
                                           Table table, const char* sql) {
  auto& slot = cache[static_cast<std::size_t>(table)];
  if (!slot) {
    MILLRACE_TRY(prepared, connection_.prepare(fmt::format(fmt::runtime(sql), to_string(table))));
    slot = std::move(prepared);
  }
  return &*slot;
}

Result<std::optional<std::string>> SqliteWriter::stored(Table table, std::string_view key) {
  MILLRACE_TRY(read, statement(reads_, table, "SELECT value FROM \"{}\" WHERE key=?1"));
  const StatementScope scope(*read);
  read->bind_blob(1, key);
  MILLRACE_TRY(found, read->step());
  if (!found) return std::optional<std::string>();
  return std::optional<std::string>(read->column(0));
}

Result<void> SqliteWriter::put(Table table, std::string_view key,
                               const std::optional<std::string>& value) {
  MILLRACE_TRY(write, value ? statement(upserts_, table,
                                        "INSERT INTO \"{}\"(key,value) VALUES(?1,?2) "
                                        "ON CONFLICT(key) DO UPDATE SET value=excluded.value")
                            : statement(deletes_, table, "DELETE FROM \"{}\" WHERE key=?1"));
  const StatementScope scope(*write);
  write->bind_blob(1, key);
  if (value) {
    write->bind_text(2, *value);
    known_keys_.add(table, key);
  }
  MILLRACE_TRY(row, write->step());
  MILLRACE_INVARIANT(!row);
  return {};
}

Result<void> SqliteWriter::write_rows(const RowOverlay& overlay) {
  for (const auto& [name, value] : overlay) {
    MILLRACE_CHECK_OK(put(name.first, name.second, *value));
    WritesInTurn::wrote();
  }
  return {};
}

Result<void> SqliteWriter::write_journal_ends() {
  auto ends = queue_.journal_ends();
  if (!ends) return {};
  ends_pending_ = *std::move(ends);
  if (ends_pending_ == ends_written_) return {};
  return put(Table::meta, kJournalEndsKey, ends_pending_);
}

}  // namespace millrace
