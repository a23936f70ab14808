// The instances that share a store in PostgreSQL: each has a row of table "writer", which every one
// of its transactions moves. Who changes the session in that row ends the session.
#pragma once

#include <mutex>

#include "millrace/group.hpp"
#include "state/postgresql_health.hpp"
#include "state/postgresql_readers.hpp"
#include "state/postgresql_session.hpp"
#include "state/postgresql_writer.hpp"

namespace millrace {

class PostgresGroup final : public Group {
 public:
  /// All four outlive it.
  PostgresGroup(const PostgresSessions& sessions, PostgresHealth& health, PostgresReaders& readers,
                PostgresWriter& writer);

  std::string instance() const override { return sessions_.instance(); }
  std::string session() const override { return sessions_.id(); }
  Result<std::vector<GroupMember>> members() override;
  Result<bool> expel(const GroupMember& member) override;
  Result<void> leave() override { return writer_.leave(); }
  std::optional<BootTime> confirmed_at() const override { return writer_.confirmed_at(); }

  /// Calls a running expel off; later ones fail with Errc::stopping.
  void close();

 private:
  PostgresResult<bool> try_to_expel(PostgresConnection& connection, const GroupMember& member);

  const PostgresSessions& sessions_;
  PostgresHealth& health_;
  PostgresReaders& readers_;
  PostgresWriter& writer_;
  SocketLoop loop_;
  std::mutex mutex_;  ///< one expel at a time
  std::atomic<bool> closed_{false};
};

}  // namespace millrace
