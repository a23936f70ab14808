// A connection of the state store, ready for use: settings made, the server's promises checked, and
// for the writer the lock that keeps a second daemon away.
#pragma once

#include <cstdint>
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

  /// The first session of this run: takes the lock, lays out the schema, claims the writer's row.
  Result<WriterSession> begin(SocketLoop& loop) const;
  /// The session after a lost one. Errc::locked: another daemon has claimed the store meanwhile.
  /// Errc::state_away: try again.
  Result<WriterSession> resume(SocketLoop& loop) const;

  const PostgresNames& names() const { return names_; }
  /// Who this run is, in the writer's row.
  const std::string& id() const { return id_; }

 private:
  Result<WriterSession> connect_writer(SocketLoop& loop) const;
  /// True when it is held. Our own session that the server still keeps is ended by it.
  Result<bool> try_lock(PostgresConnection& connection) const;
  Result<void> wait_for_lock(PostgresConnection& connection, SocketLoop& loop) const;
  /// Who holds it, in words.
  std::string holder(PostgresConnection& connection) const;
  Deadline soon() const;

  const PostgresStateOptions options_;
  const PostgresNames names_;
  const std::string id_;
  const std::string application_;
};

}  // namespace millrace
