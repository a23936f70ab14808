// The one thread that writes to the state store. It takes what is queued, in order, as one
// transaction: preconditions first, then each row's last value in key order, then the journals'
// ends, then COMMIT. Completions leave after COMMIT returned, one post per executor.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "millrace/state_store.hpp"
#include "state/sqlite_checkpointer.hpp"
#include "state/sqlite_connection.hpp"

namespace millrace {

struct SqliteWriterOptions {
  std::chrono::milliseconds commit_delay{50};
  std::size_t rows_max = 2000;
};

class SqliteWriter {
 public:
  using FatalHandler = std::function<void(Error)>;

  SqliteWriter(Connection connection, SqliteWriterOptions options,
               std::unique_ptr<SqliteCheckpointer> checkpointer, FatalHandler on_fatal);
  ~SqliteWriter() { close(); }

  void push(Batch batch, Urgency urgency, Executor& home, StateStore::CommitDone done);
  void set_journal_ends(std::function<std::string()> ends);
  /// Commits what is queued and ends the thread. Idempotent; not from a completion or a fatal
  /// handler running on the writer's own thread.
  void close();
  /// Makes the writer stop without another completion. Thread-safe.
  void abandon();

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  using RowName = std::pair<Table, std::string_view>;
  /// The last value of each row written by this transaction, in key order; nullopt deletes.
  using Overlay = std::map<RowName, const std::optional<std::string>*>;

  struct Pending {
    Batch batch;
    Urgency urgency = Urgency::now;
    Executor* home = nullptr;
    StateStore::CommitDone done;
    SteadyTime queued_at;
    Result<void> result;
  };
  using Group = std::vector<Pending>;

  void run();
  /// Waits until something must be written; empty when the writer is to end.
  Group take_group();
  bool due(SteadyTime now) const;
  /// False when the writer must end; otherwise every result of the group is set.
  bool apply(Group& group);
  Result<void> transact(Group& group);
  Result<void> begin();
  Result<bool> holds(const Precondition& precondition, const Overlay& overlay);
  Result<std::optional<std::string>> stored(Table table, std::string_view key);
  Result<void> write_rows(const Overlay& overlay);
  Result<void> write_journal_ends();
  Result<void> put(Table table, std::string_view key, const std::optional<std::string>& value);
  Result<Statement*> statement(std::array<std::optional<Statement>, kTableCount>& cache,
                               Table table, const char* sql);
  static void complete(Group group);
  void close_database();

  Connection connection_;
  // After the connection they belong to: statements go first.
  std::array<std::optional<Statement>, kTableCount> reads_;
  std::array<std::optional<Statement>, kTableCount> upserts_;
  std::array<std::optional<Statement>, kTableCount> deletes_;
  const SqliteWriterOptions options_;
  std::unique_ptr<SqliteCheckpointer> checkpointer_;
  const FatalHandler on_fatal_;
  std::string ends_written_;  ///< the text of the last committed journal_ends row
  std::string ends_pending_;
  bool was_full_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Pending> queue_;
  std::size_t queued_rows_ = 0;
  std::size_t queued_now_ = 0;  ///< batches of Urgency::now in the queue
  std::function<std::string()> journal_ends_;
  bool closing_ = false;
  bool abandoned_ = false;
  std::thread thread_;
};

}  // namespace millrace
