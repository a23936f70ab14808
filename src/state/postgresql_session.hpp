// A connection of the state store, ready for use: settings made, the server's promises checked, and
// for the writer the locks that keep others away: whoever runs alone from everybody, instances of a
// group from one of their own name and from whoever runs alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "state/postgresql_schema.hpp"
#include "state/postgresql_state.hpp"
#include "storage/postgresql_connection.hpp"

namespace millrace {

/// What a writer holds once its session is established.
struct WriterSession {
  std::unique_ptr<PostgresConnection> connection;
  std::int64_t serial = 0;  ///< of the last transaction that was committed
  std::string warning;      ///< what the server's operator should change; empty: nothing
};

class PostgresSessions {
 public:
  using Deadline = PostgresConnection::Deadline;

  explicit PostgresSessions(const PostgresStateOptions& options);

  /// A connection that reads.
  PostgresResult<std::unique_ptr<PostgresConnection>> open_reader(SocketLoop& loop) const;

  /// The first session of this run: lays out the schema, takes the locks, claims its row.
  Result<WriterSession> begin(SocketLoop& loop) const;
  /// The session after a lost one. Errc::locked: ours was taken meanwhile (`taken`).
  /// Errc::state_away: try again.
  Result<WriterSession> resume(SocketLoop& loop) const;
  /// A connection that may write, without locks or a row: for a statement or two.
  Result<std::unique_ptr<PostgresConnection>> open_helper(SocketLoop& loop) const;

  const PostgresNames& names() const { return names_; }
  /// Among those that share the store; empty: alone.
  const std::string& instance() const { return options_.instance; }
  /// Who this run is, in its row.
  const std::string& id() const { return id_; }
  /// Why this run must end: its row is another's, or nobody's.
  Error taken() const;

 private:
  /// Who else may write meanwhile: nobody, or the other instances.
  enum class Lock : std::uint8_t { alone, shared };
  using Try = std::function<Result<bool>()>;

  Result<WriterSession> connect_writer(SocketLoop& loop, const std::string& application) const;
  Lock own_lock() const { return instance().empty() ? Lock::alone : Lock::shared; }
  /// True when it is held. Our own session that the server still keeps is ended by it.
  Result<bool> try_lock(PostgresConnection& connection, Lock lock) const;
  /// Tries until it is true, for lock_wait; then Errc::locked, naming who holds `lock`.
  Result<void> wait_for(PostgresConnection& connection, SocketLoop& loop, Lock lock,
                        const Try& attempt) const;
  Result<void> wait_for_lock(PostgresConnection& connection, SocketLoop& loop) const;
  /// False while others write, whom a schema that changes would break.
  Result<bool> try_to_prepare(PostgresConnection& connection) const;
  Result<std::int64_t> claim(PostgresConnection& connection) const;
  Error in_use(PostgresConnection& connection, Lock lock) const;
  Deadline soon() const;

  const PostgresStateOptions options_;
  const PostgresNames names_;
  const std::string id_;
  const std::string application_;
};

}  // namespace millrace
