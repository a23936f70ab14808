#include "state/postgresql_group.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "storage/postgresql_values.hpp"

namespace millrace {

namespace {

using namespace std::chrono_literals;

constexpr auto kStatementMax = 5s;
/// A transaction that is under way for longer does not get to its end.
constexpr const char* kLockMax = "SET lock_timeout='1s'";

}  // namespace

PostgresGroup::PostgresGroup(const PostgresSessions& sessions, PostgresHealth& health,
                             PostgresReaders& readers, PostgresWriter& writer)
    : sessions_(sessions), health_(health), readers_(readers), writer_(writer) {
  health_.add_reader(loop_);
}

Result<std::vector<GroupMember>> PostgresGroup::members() {
  MILLRACE_TRY(rows, readers_.read({fmt::format("SELECT instance,session,serial FROM {} WHERE "
                                                "instance<>'' AND session<>'' ORDER BY instance",
                                                sessions_.names().table("writer")),
                                    {},
                                    true}));
  std::vector<GroupMember> members;
  for (std::size_t row = 0; row < rows.size(); ++row)
    members.push_back(
        {std::string(rows.bytes(row, 0)), std::string(rows.bytes(row, 1)), rows.integer(row, 2)});
  return members;
}

// The row is locked from the first statement of a transaction to its end: whoever updates it first
// is seen by the other.
PostgresResult<bool> PostgresGroup::try_to_expel(PostgresConnection& connection,
                                                 const GroupMember& member) {
  const std::vector<PostgresStatement> statements = {
      {kLockMax, {}},
      {fmt::format("UPDATE {} SET session='' WHERE instance=$1::text AND session=$2::text AND "
                   "serial=$3::int8",
                   sessions_.names().table("writer")),
       {member.instance, member.session, postgres_int8(member.serial)}}};
  auto done = connection.run(statements, std::chrono::steady_clock::now() + kStatementMax);
  if (!done) return std::unexpected(std::move(done).error());
  return done->back().affected() == 1;
}

Result<bool> PostgresGroup::expel(const GroupMember& member) {
  const std::lock_guard lock(mutex_);
  if (closed_.load()) return fail(Errc::stopping, "the state store is closed");
  if (health_.is_away()) return std::unexpected(health_.error());
  MILLRACE_TRY(connection, sessions_.open_helper(loop_));
  auto expelled = try_to_expel(*connection, member);
  if (!expelled && expelled.error().kind == PostgresError::Kind::conflict) {
    // Frozen within a transaction. The server ends it: committed, if COMMIT had come, or not.
    auto ended = connection->run({"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                                  "right(application_name,length($1::text)+1)=' '||$1::text AND "
                                  "usename=current_user",
                                  {member.session}},
                                 std::chrono::steady_clock::now() + kStatementMax);
    if (ended) expelled = try_to_expel(*connection, member);
  }
  if (!expelled) return std::unexpected(expelled.error().to_error());
  if (*expelled)
    spdlog::warn("instance expelled from the state instance={} session={} serial={}",
                 member.instance, member.session, member.serial);
  return *expelled;
}

void PostgresGroup::close() {
  closed_.store(true);
  loop_.cancel();
}

}  // namespace millrace
