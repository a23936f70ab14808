#include "state/sqlite_writer.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>

#include "state/sqlite_schema.hpp"

namespace millrace {

namespace {

/// A foreign program's write lock (an operator's open transaction) is waited for this long.
constexpr int kBeginAttemptsMax = 12;  // of 5 s each, the connection's busy timeout

constexpr std::string_view kJournalEndsKey = "journal_ends";

std::size_t rows_of(const Batch& batch) {
  return batch.writes.size() + batch.require.size();
}

/// Errors of a table's row show the key as people write it, and never the value.
Error refused(const Precondition& precondition) {
  return {
      Errc::precondition_failed,
      fmt::format("row {} {} {}", to_string(precondition.table), printable_key(precondition.key),
                  precondition.expected ? "is absent or has another value than expected"
                                        : "exists already")};
}

}  // namespace

SqliteWriter::SqliteWriter(Connection connection, SqliteWriterOptions options,
                           std::unique_ptr<SqliteCheckpointer> checkpointer, FatalHandler on_fatal)
    : connection_(std::move(connection)),
      options_(options),
      checkpointer_(std::move(checkpointer)),
      on_fatal_(std::move(on_fatal)) {
  connection_.set_wal_hook(
      [](void* self, int pages) { static_cast<SqliteCheckpointer*>(self)->note_log_pages(pages); },
      checkpointer_.get());
  thread_ = std::thread([this] { run(); });
}

void SqliteWriter::push(Batch batch, Urgency urgency, Executor& home, StateStore::CommitDone done) {
  std::unique_lock lock(mutex_);
  if (abandoned_) return;
  if (closing_) {
    lock.unlock();
    if (done)
      home.post([done = std::move(done)]() mutable {
        done(fail(Errc::stopping, "the state store is closed"));
      });
    return;
  }
  queued_rows_ += rows_of(batch);
  if (urgency == Urgency::now) ++queued_now_;
  queue_.push_back(
      {std::move(batch), urgency, &home, std::move(done), std::chrono::steady_clock::now(), {}});
  // A lazy batch behind another changes nothing for the writer, which already waits for the first.
  if (urgency == Urgency::now || queue_.size() == 1 || queued_rows_ >= options_.rows_max)
    changed_.notify_one();
}

void SqliteWriter::set_journal_ends(std::function<std::string()> ends) {
  const std::lock_guard lock(mutex_);
  journal_ends_ = std::move(ends);
}

void SqliteWriter::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    changed_.notify_one();
  }
  if (!thread_.joinable()) return;
  thread_.join();
  checkpointer_->stop();
  if (!abandoned_) close_database();
}

void SqliteWriter::abandon() {
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
  changed_.notify_one();
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
  while (true) {
    Group group = take_group();
    if (group.empty()) return;
    const bool applied = apply(group);
    {
      const std::lock_guard lock(mutex_);
      if (!applied) abandoned_ = true;
      if (abandoned_) {
        // Destroying the completions tells those who wait for one that none will come.
        queue_.clear();
        return;
      }
    }
    complete(std::move(group));
  }
}

bool SqliteWriter::due(SteadyTime now) const {
  if (queue_.empty()) return false;
  return queued_now_ > 0 || closing_ || queued_rows_ >= options_.rows_max ||
         now >= queue_.front().queued_at + options_.commit_delay;
}

SqliteWriter::Group SqliteWriter::take_group() {
  std::unique_lock lock(mutex_);
  while (!abandoned_ && !due(std::chrono::steady_clock::now())) {
    if (queue_.empty()) {
      if (closing_) return {};
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, queue_.front().queued_at + options_.commit_delay);
    }
  }
  Group group;
  if (abandoned_) {
    queue_.clear();
    return group;
  }
  std::size_t rows = 0;
  while (!queue_.empty()) {
    Pending& next = queue_.front();
    const std::size_t size = rows_of(next.batch);
    if (!group.empty() && rows + size > options_.rows_max) break;
    rows += size;
    queued_rows_ -= size;
    if (next.urgency == Urgency::now) --queued_now_;
    group.push_back(std::move(next));
    queue_.pop_front();
  }
  return group;
}

bool SqliteWriter::apply(Group& group) {
  const SqliteCheckpointer::Permit permit(*checkpointer_);
  auto done = transact(group);
  if (done) {
    ends_written_ = ends_pending_;
    if (was_full_) spdlog::info("state store accepts writes again");
    was_full_ = false;
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
  if (!was_full_) spdlog::error("state commit refused error=\"{}\"", error.message);
  was_full_ = true;
  for (auto& pending : group) pending.result = std::unexpected(error);
  return true;
}

Result<void> SqliteWriter::transact(Group& group) {
  ends_pending_ = ends_written_;
  MILLRACE_CHECK_OK(begin());
  Overlay overlay;
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
  MILLRACE_CHECK_OK(write_rows(overlay));
  MILLRACE_CHECK_OK(write_journal_ends());
  return connection_.execute("COMMIT");
}

Result<void> SqliteWriter::begin() {
  for (int attempt = 1;; ++attempt) {
    auto begun = connection_.execute("BEGIN IMMEDIATE");
    if (begun || begun.error().code != Errc::locked || attempt == kBeginAttemptsMax) return begun;
    spdlog::warn("state store is locked by another program attempt={}/{}", attempt,
                 kBeginAttemptsMax);
  }
}

Result<bool> SqliteWriter::holds(const Precondition& precondition, const Overlay& overlay) {
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
  if (value) write->bind_text(2, *value);
  MILLRACE_TRY(row, write->step());
  MILLRACE_INVARIANT(!row);
  return {};
}

Result<void> SqliteWriter::write_rows(const Overlay& overlay) {
  for (const auto& [name, value] : overlay) MILLRACE_CHECK_OK(put(name.first, name.second, *value));
  return {};
}

Result<void> SqliteWriter::write_journal_ends() {
  std::function<std::string()> ends;
  {
    const std::lock_guard lock(mutex_);
    ends = journal_ends_;
  }
  if (!ends) return {};
  ends_pending_ = ends();
  if (ends_pending_ == ends_written_) return {};
  return put(Table::meta, kJournalEndsKey, ends_pending_);
}

void SqliteWriter::complete(Group group) {
  struct Completion {
    StateStore::CommitDone done;
    Result<void> result;
  };
  struct Home {
    Executor* executor = nullptr;
    std::vector<Completion> completions;
  };
  std::vector<Home> homes;  // a handful: one per shard
  for (auto& pending : group) {
    if (!pending.done) continue;
    auto home = std::find_if(homes.begin(), homes.end(),
                             [&](const Home& entry) { return entry.executor == pending.home; });
    if (home == homes.end()) {
      homes.push_back({pending.home, {}});
      home = std::prev(homes.end());
    }
    home->completions.push_back({std::move(pending.done), std::move(pending.result)});
  }
  for (auto& home : homes)
    home.executor->post([completions = std::move(home.completions)]() mutable {
      for (auto& completion : completions) completion.done(std::move(completion.result));
    });
}

}  // namespace millrace
