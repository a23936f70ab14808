// One connection to PostgreSQL over libpq, never blocking inside it: every wait has a deadline and
// can be cut short through the SocketLoop. Statements go out together (pipeline mode): one round
// trip for all of a transaction. Used by one thread at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "storage/postgresql_error.hpp"
#include "storage/socket_loop.hpp"

struct pg_conn;
struct pg_result;

namespace millrace {

struct PostgresStatement {
  std::string sql;
  std::vector<std::string> values;  ///< $1, $2, ... in binary form
  bool is_kept = false;             ///< planned once per connection, for texts that come again
};

/// The rows a statement returned, in binary form.
class PostgresRows {
 public:
  explicit PostgresRows(pg_result* result) : result_(result) {}
  std::size_t size() const;
  bool is_null(std::size_t row, int column) const;
  std::string_view bytes(std::size_t row, int column) const;
  std::int64_t integer(std::size_t row, int column) const;
  bool boolean(std::size_t row, int column) const;
  /// Rows inserted, updated or deleted.
  std::size_t affected() const;
  /// What was done, as "COMMIT".
  std::string_view command() const;

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

/// A connection string, checked: keywords and values or a URI, as libpq takes them.
Result<void> check_postgres_conninfo(const std::string& conninfo);
/// The string without its password, for messages and logs.
std::string shown_postgres_conninfo(const std::string& conninfo);

class PostgresConnection {
 public:
  using Deadline = SocketLoop::Deadline;

  /// `conninfo` as libpq takes it. Time-outs of TCP that it does not set are set: a silent peer is
  /// noticed within about 15 s. `loop` outlives the connection and serves only it.
  static PostgresResult<std::unique_ptr<PostgresConnection>> open(
      SocketLoop& loop, const std::string& conninfo, const std::string& application_name,
      Deadline deadline);
  ~PostgresConnection();
  PostgresConnection(const PostgresConnection&) = delete;
  PostgresConnection& operator=(const PostgresConnection&) = delete;

  /// All of them in one round trip; those behind the first that fails are not carried out. After
  /// Kind::lost the connection is of no more use. A wait that meets its deadline is Kind::lost too.
  PostgresResult<std::vector<PostgresRows>> run(std::span<const PostgresStatement> statements,
                                                Deadline deadline);
  PostgresResult<PostgresRows> run(PostgresStatement statement, Deadline deadline);

  /// Waits without work: SocketLoop::Woken::ready means that the connection is gone.
  SocketLoop::Woken idle(Deadline deadline);

  bool in_transaction() const;
  bool is_lost() const { return lost_; }
  int backend_pid() const;
  std::string server_version() const;

 private:
  PostgresConnection(SocketLoop& loop, pg_conn* connection) : loop_(loop), pg_(connection) {}

  PostgresResult<void> finish_connecting(Deadline deadline);
  PostgresResult<void> send(const PostgresStatement& statement);
  PostgresResult<void> flush(Deadline deadline);
  PostgresResult<void> wait(bool for_writing, Deadline deadline);
  /// The next result; null between two statements.
  PostgresResult<pg_result*> next(Deadline deadline);
  PostgresResult<std::vector<PostgresRows>> collect(std::span<const PostgresStatement> statements,
                                                    Deadline deadline);
  PostgresError lost(std::string message);
  PostgresError error_of(const pg_result* result) const;

  struct Expected {
    bool is_prepare = false;
    std::string sql;  ///< kept once its preparation succeeded
  };

  SocketLoop& loop_;
  pg_conn* pg_;
  bool lost_ = false;
  std::unordered_map<std::string, std::string> kept_;  ///< sql -> name on the server
  std::vector<Expected> expected_;
  std::size_t names_ = 0;
};

}  // namespace millrace
