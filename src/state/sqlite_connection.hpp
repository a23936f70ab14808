// SQLite's C API behind two owners, Connection and Statement, and one place that says what each of
// its errors means to us. Neither is thread-safe: a connection belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "millrace/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace millrace {

/// A prepared statement. Parameters and columns count as SQLite counts them: from 1 and from 0.
class Statement {
 public:
  Statement() = default;
  Statement(sqlite3* database, sqlite3_stmt* statement);

  /// The bytes must stay alive until `reset`; they are not copied.
  Statement& bind_blob(int index, std::string_view bytes);
  Statement& bind_text(int index, std::string_view text);
  Statement& bind_int(int index, std::int64_t number);

  /// True while there is a row.
  Result<bool> step();
  std::string column(int index) const;
  std::int64_t column_int(int index) const;
  void reset();

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  sqlite3* database_ = nullptr;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// Resets a statement when the scope ends: an unfinished one keeps its read snapshot open.
class StatementScope {
 public:
  explicit StatementScope(Statement& statement) : statement_(statement) {}
  ~StatementScope() { statement_.reset(); }
  StatementScope(const StatementScope&) = delete;
  StatementScope& operator=(const StatementScope&) = delete;

 private:
  Statement& statement_;
};

enum class DatabaseMode : std::uint8_t {
  read_only,  ///< an existing file
  read_write  ///< an existing or empty file
};

class Connection {
 public:
  /// Errors carry the path. Waits up to 5 s where another connection holds a lock.
  static Result<Connection> open(const std::string& path, DatabaseMode mode);

  Result<void> execute(const std::string& sql);
  Result<Statement> prepare(std::string_view sql);
  /// The first column of the first row; empty when there is no row.
  Result<std::string> query_text(const std::string& sql);
  Result<std::int64_t> query_int(const std::string& sql);
  bool in_transaction() const;

  struct CheckpointProgress {
    std::int64_t log_pages = 0;     ///< in the write-ahead log
    std::int64_t copied_pages = 0;  ///< of these, already in the database
    bool busy = false;              ///< a reader or writer kept it from finishing
  };
  /// Copies what can be copied without making anyone wait.
  Result<CheckpointProgress> checkpoint_passive();
  /// Copies everything and empties the write-ahead log; waits for readers.
  Result<CheckpointProgress> checkpoint_truncate();

  /// Whether closing the last connection may copy the write-ahead log and delete it. Off from the
  /// start, so that nothing is written after a failed sync.
  void allow_checkpoint_on_close(bool allow);

  using WalHook = void (*)(void* context, int log_pages);
  /// `hook` runs on the writing thread after each commit; `context` must outlive the connection.
  void set_wal_hook(WalHook hook, void* context);

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  struct Hook {
    WalHook call = nullptr;
    void* context = nullptr;
  };

  explicit Connection(sqlite3* database) : database_(database) {}
  Result<CheckpointProgress> checkpoint(int mode);

  std::unique_ptr<Hook> hook_;  // outlives the connection that calls it
  std::unique_ptr<sqlite3, Close> database_;
};

/// What the last failure of `database` means: disk_full (nothing of the transaction is applied and
/// later ones may succeed), locked (another connection holds a lock), corrupt, or disk_failed.
Error sqlite_error(sqlite3* database, std::string_view doing);

}  // namespace millrace
