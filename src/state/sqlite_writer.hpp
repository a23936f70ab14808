// The one thread that writes to the state store. It takes what is queued, in order, as one
// transaction: preconditions first, then each row's last value in key order, then the journals'
// ends, then COMMIT. Completions leave after COMMIT returned, one post per executor.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "millrace/state_store.hpp"
#include "state/commit_queue.hpp"
#include "state/sqlite_checkpointer.hpp"
#include "state/sqlite_connection.hpp"
#include "state/sqlite_known_keys.hpp"
#include "state/state_space.hpp"

namespace millrace {

struct SqliteWriterOptions {
  std::chrono::milliseconds commit_delay{50};
  std::size_t rows_max = 2000;
};

class SqliteWriter {
 public:
  using FatalHandler = std::function<void(Error)>;

  /// `known_keys` is told of every row that is written, and outlives this.
  SqliteWriter(Connection connection, SqliteWriterOptions options, SqliteKnownKeys& known_keys,
               std::unique_ptr<SqliteCheckpointer> checkpointer, FatalHandler on_fatal);
  ~SqliteWriter() { close(); }

  void push(Batch batch, Urgency urgency, Executor& home, StateStore::CommitDone done);
  void set_journal_ends(std::function<std::string()> ends);
  /// Commits what is queued and ends the thread. Idempotent; not from a completion or a fatal
  /// handler running on the writer's own thread.
  void close();
  const StateSpace& space() const { return space_; }
  /// Makes the writer stop without another completion. Thread-safe.
  void abandon();

 private:
  void run();
  /// False when the writer must end; otherwise every result of the group is set.
  bool apply(BatchGroup& group);
  Result<void> transact(BatchGroup& group);
  Result<void> begin();
  Result<bool> holds(const Precondition& precondition, const RowOverlay& overlay);
  Result<std::optional<std::string>> stored(Table table, std::string_view key);
  Result<void> write_rows(const RowOverlay& overlay);
  Result<void> write_journal_ends();
  Result<void> put(Table table, std::string_view key, const std::optional<std::string>& value);
  Result<Statement*> statement(std::array<std::optional<Statement>, kTableCount>& cache,
                               Table table, const char* sql);
  void close_database();

  Connection connection_;
  SqliteKnownKeys& known_keys_;
  // After the connection they belong to: statements go first.
  std::array<std::optional<Statement>, kTableCount> reads_;
  std::array<std::optional<Statement>, kTableCount> upserts_;
  std::array<std::optional<Statement>, kTableCount> deletes_;
  CommitQueue queue_;
  std::unique_ptr<SqliteCheckpointer> checkpointer_;
  const FatalHandler on_fatal_;
  StateSpace space_;
  std::string ends_written_;  ///< the text of the last committed journal_ends row
  std::string ends_pending_;
  std::thread thread_;
};

}  // namespace millrace
