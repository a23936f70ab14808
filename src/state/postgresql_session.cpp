#include "state/postgresql_session.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "millrace/ids.hpp"
#include "storage/postgresql_values.hpp"

namespace millrace {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kConnectMax{5'000};
constexpr milliseconds kLockPause{200};
constexpr std::size_t kNameMax = 18;  // of an installation and of an instance: 63 bytes in all

// All queries go by the key: a plan that reads a whole table is never the better one, whatever the
// statistics of a fresh table say. A client that is gone frees its locks within 14 s.
constexpr const char* kSettings =
    "SELECT set_config('enable_seqscan','off',false),set_config('jit','off',false),"
    "set_config('client_min_messages','error',false),set_config('bytea_output','hex',false),"
    "set_config('tcp_keepalives_idle','5',false),set_config('tcp_keepalives_interval','3',false),"
    "set_config('tcp_keepalives_count','3',false),set_config('TimeZone','UTC',false),"
    "set_config('lock_timeout','5s',false),set_config('default_transaction_isolation',"
    "'read committed',false)";

// A frozen daemon must not hold rows for ever. `remote_apply` is stronger than `on`, and stays.
constexpr const char* kWriterSettings =
    "SELECT set_config('idle_in_transaction_session_timeout','30s',false),"
    "set_config('statement_timeout','0',false),"
    "CASE WHEN current_setting('synchronous_commit') IN ('on','remote_apply') THEN '' "
    "ELSE set_config('synchronous_commit','on',false) END";
constexpr const char* kReaderSettings =
    "SELECT set_config('default_transaction_read_only','on',false),"
    "set_config('statement_timeout','60s',false)";

constexpr const char* kFacts =
    "SELECT pg_is_in_recovery(),current_setting('transaction_read_only')='on',"
    "current_setting('synchronous_commit') IN ('on','remote_apply'),"
    "current_setting('fsync')='on',current_setting('full_page_writes')='on',"
    "current_setting('server_version_num')::int8,"
    "(SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls "
    "FROM pg_roles WHERE rolname=current_user),current_user::text";

std::string warnings(const PostgresRows& facts) {
  if (!facts.boolean(0, 3) || !facts.boolean(0, 4))
    return fmt::format(
        "PostgreSQL runs with {}=off: a power cut may take acknowledged commits and "
        "damage the database; set it to on",
        facts.boolean(0, 3) ? "full_page_writes" : "fsync");
  if (facts.boolean(0, 6))
    return fmt::format(
        "role {} may do more than keep the state (superuser, or it may create roles "
        "or databases): give it a role of its own that only owns its schema",
        facts.bytes(0, 7));
  return {};
}

/// How the server's list of sessions shows a run.
std::string shown(const PostgresStateOptions& options) {
  std::string name = options.name.substr(0, kNameMax);
  if (!options.instance.empty()) name += "/" + options.instance.substr(0, kNameMax);
  return "millrace " + name;
}

Error unreachable(const PostgresError& error) {
  auto made = error.to_error();
  made.message = fmt::format("PostgreSQL: {}", made.message);
  return made;
}

Result<void> check_facts(const PostgresRows& facts) {
  if (facts.boolean(0, 0) || facts.boolean(0, 1))
    return fail(Errc::config,
                facts.boolean(0, 0)
                    ? "PostgreSQL is a standby, which takes no writes: name the primary, or all "
                      "servers with target_session_attrs=read-write, in `state.postgresql`"
                    : "PostgreSQL takes no writes (default_transaction_read_only is on for this "
                      "role or database): ALTER ROLE ... SET default_transaction_read_only = off;");
  if (facts.integer(0, 5) < kPostgresVersionMin)
    return fail(Errc::config, fmt::format("PostgreSQL {} is too old: 15 or later is needed",
                                          facts.integer(0, 5) / 10000));
  if (!facts.boolean(0, 2))
    return fail(Errc::config, "PostgreSQL does not accept synchronous_commit=on for this session");
  return {};
}

}  // namespace

PostgresSessions::PostgresSessions(const PostgresStateOptions& options)
    : options_(options),
      names_(options.schema),
      id_(random_hex(8)),
      application_(fmt::format("{} {}", shown(options), id_)) {}

PostgresSessions::Deadline PostgresSessions::soon() const {
  return std::chrono::steady_clock::now() + options_.answer_max;
}

PostgresResult<std::unique_ptr<PostgresConnection>> PostgresSessions::open_reader(
    SocketLoop& loop) const {
  const auto deadline =
      std::chrono::steady_clock::now() + std::min(kConnectMax, options_.answer_max);
  auto connection = PostgresConnection::open(loop, options_.conninfo,
                                             fmt::format("{} reads", shown(options_)), deadline);
  if (!connection) return connection;
  const std::vector<PostgresStatement> settings = {{kSettings, {}}, {kReaderSettings, {}}};
  auto set = (*connection)->run(settings, soon());
  if (!set) return std::unexpected(std::move(set).error());
  return connection;
}

Result<WriterSession> PostgresSessions::connect_writer(SocketLoop& loop,
                                                       const std::string& application) const {
  const auto deadline =
      std::chrono::steady_clock::now() + std::min(kConnectMax, options_.answer_max);
  auto connection = PostgresConnection::open(loop, options_.conninfo, application, deadline);
  if (!connection) return std::unexpected(unreachable(connection.error()));
  const std::vector<PostgresStatement> statements = {
      {kSettings, {}}, {kWriterSettings, {}}, {kFacts, {}}};
  auto rows = (*connection)->run(statements, soon());
  if (!rows) return std::unexpected(unreachable(rows.error()));
  MILLRACE_CHECK_OK(check_facts(rows->back()));
  return WriterSession{*std::move(connection), 0, warnings(rows->back())};
}

Result<std::unique_ptr<PostgresConnection>> PostgresSessions::open_helper(SocketLoop& loop) const {
  MILLRACE_TRY(session, connect_writer(loop, shown(options_) + " helps"));
  return std::move(session.connection);
}

Result<bool> PostgresSessions::try_lock(PostgresConnection& connection, Lock lock) const {
  PostgresStatement statement{"SELECT pg_try_advisory_lock($1::int8)",
                              {postgres_int8(names_.lock_number())}};
  if (lock == Lock::shared) {
    statement.sql =
        "SELECT pg_try_advisory_lock_shared($1::int8) AND pg_try_advisory_lock($2::int8)";
    statement.values.push_back(postgres_int8(names_.lock_number(instance())));
  }
  auto locked = connection.run(std::move(statement), soon());
  if (!locked) return std::unexpected(unreachable(locked.error()));
  if (locked->boolean(0, 0)) return true;
  // The server has not noticed that our last connection is gone. What it was doing is decided once
  // it ended: committed or rolled back.
  auto ended = connection.run({"SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a "
                               "WHERE a.application_name=$1::text AND a.usename=current_user "
                               "AND a.pid<>pg_backend_pid()",
                               {application_}},
                              soon());
  if (!ended) return std::unexpected(unreachable(ended.error()));
  return false;
}

// Who holds the lock: the first of our own name, or else whoever stands in the way of all.
Error PostgresSessions::in_use(PostgresConnection& connection, Lock lock) const {
  auto rows = connection.run(
      {"SELECT a.pid::int8, coalesce(a.application_name,''), coalesce(host(a.client_addr),"
       "'this machine'), l.number=$2::int8, l.mode='ShareLock' FROM pg_stat_activity a JOIN "
       "(SELECT pid,mode,(classid::int8<<32)|objid::int8 AS number FROM pg_locks WHERE "
       "locktype='advisory' AND granted AND objsubid=1) l USING(pid) WHERE pid<>pg_backend_pid() "
       "AND ((l.number=$1::int8 AND ($3::bool OR l.mode='ExclusiveLock')) OR "
       "(l.number=$2::int8 AND NOT $3::bool)) ORDER BY 4 DESC, 1 LIMIT 1",
       {postgres_int8(names_.lock_number()), postgres_int8(names_.lock_number(instance())),
        std::string(1, lock == Lock::alone ? '\1' : '\0')}},
      soon());
  const bool known = rows && rows->size() > 0;
  const std::string holder = known
                                 ? fmt::format("session {} (\"{}\", from {})", rows->integer(0, 0),
                                               rows->bytes(0, 1), rows->bytes(0, 2))
                                 : "another session";
  if (known && rows->boolean(0, 3))
    return {Errc::locked,
            fmt::format("instance {} of the state in schema {} runs already, {}: stop it first, or "
                        "give this one another name",
                        instance(), names_.schema(), holder)};
  if (known && rows->boolean(0, 4))
    return {Errc::locked,
            fmt::format("the state in schema {} is in use by instances that share it, {} among "
                        "them: stop them first, {}",
                        names_.schema(), holder,
                        instance().empty() ? "start this one as an instance of them, or give it "
                                             "its own `state.schema`"
                                           : "its format changes")};
  return {Errc::locked, fmt::format("the state in schema {} is in use by another daemon, {}: stop "
                                    "it first, or give this instance its own `state.schema`",
                                    names_.schema(), holder)};
}

Result<void> PostgresSessions::wait_for(PostgresConnection& connection, SocketLoop& loop, Lock lock,
                                        const Try& attempt) const {
  const auto until = std::chrono::steady_clock::now() + options_.lock_wait;
  while (true) {
    MILLRACE_TRY(reached, attempt());
    if (reached) return {};
    const auto now = std::chrono::steady_clock::now();
    if (now >= until) break;
    loop.wait(false, std::min(until, now + kLockPause));
  }
  return std::unexpected(in_use(connection, lock));
}

Result<void> PostgresSessions::wait_for_lock(PostgresConnection& connection,
                                             SocketLoop& loop) const {
  return wait_for(connection, loop, own_lock(), [&] { return try_lock(connection, own_lock()); });
}

// Several that start at once on an empty schema: one lays it out, the others find it laid out.
Result<bool> PostgresSessions::try_to_prepare(PostgresConnection& connection) const {
  // A newer format is refused before anything else is asked of it.
  MILLRACE_TRY(version, check_postgres_format(connection, names_, soon()));
  if (version == kPostgresFormatVersion) return true;
  MILLRACE_TRY(locked, try_lock(connection, Lock::alone));
  if (!locked) return false;
  MILLRACE_CHECK_OK(prepare_postgres_schema(connection, names_, soon()));
  auto unlocked = connection.run(
      {"SELECT pg_advisory_unlock($1::int8)", {postgres_int8(names_.lock_number())}}, soon());
  if (!unlocked) return std::unexpected(unreachable(unlocked.error()));
  return true;
}

// Who holds the store's lock ends for ever the sessions that it excludes, should they come back.
Result<std::int64_t> PostgresSessions::claim(PostgresConnection& connection) const {
  const auto writer = names_.table("writer");
  const std::vector<PostgresStatement> statements = {
      {instance().empty()
           ? fmt::format("DELETE FROM {} WHERE instance<>''", writer)
           : fmt::format("UPDATE {} SET session='' WHERE instance='' AND session<>''", writer),
       {}},
      {fmt::format("INSERT INTO {0} AS w(instance,session,serial,since) "
                   "VALUES($1::text,$2::text,0,now()) ON CONFLICT(instance) DO UPDATE SET "
                   "session=excluded.session,since=excluded.since RETURNING w.serial",
                   writer),
       {instance(), id_}}};
  auto claimed = connection.run(statements, soon());
  if (!claimed) return std::unexpected(unreachable(claimed.error()));
  return claimed->back().integer(0, 0);
}

Result<WriterSession> PostgresSessions::begin(SocketLoop& loop) const {
  MILLRACE_TRY(session, connect_writer(loop, application_));
  PostgresConnection& connection = *session.connection;
  MILLRACE_CHECK_OK(
      wait_for(connection, loop, Lock::alone, [&] { return try_to_prepare(connection); }));
  MILLRACE_CHECK_OK(wait_for_lock(connection, loop));
  MILLRACE_TRY(serial, claim(connection));
  session.serial = serial;
  return session;
}

Result<WriterSession> PostgresSessions::resume(SocketLoop& loop) const {
  MILLRACE_TRY(session, connect_writer(loop, application_));
  MILLRACE_TRY(version, check_postgres_format(*session.connection, names_, soon()));
  if (!version) return fail(Errc::state_away, fmt::format("schema {} is gone", names_.schema()));
  auto locked = wait_for_lock(*session.connection, loop);
  auto row = session.connection->run(
      {fmt::format("SELECT session,serial FROM {} WHERE instance=$1::text", names_.table("writer")),
       {instance()}},
      soon());
  if (!row) return std::unexpected(unreachable(row.error()));
  if (row->size() != 1 || row->bytes(0, 0) != id_) return std::unexpected(taken());
  // Whoever holds it has not claimed the store: it may yet let go.
  if (!locked) return fail(Errc::state_away, locked.error().message);
  session.serial = row->integer(0, 1);
  return session;
}

Error PostgresSessions::taken() const {
  if (instance().empty())
    return {Errc::locked,
            fmt::format("another daemon took the state in schema {} while this one was cut off "
                        "from PostgreSQL",
                        names_.schema())};
  return {Errc::locked,
          fmt::format("another daemon took the place of instance {} on the state in schema {}: it "
                      "was expelled since it did not answer for so long (a frozen or overloaded "
                      "machine, a network that was cut). It stops, and may start anew",
                      instance(), names_.schema())};
}

}  // namespace millrace
