#include "state/postgresql_schema.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "millrace/ids.hpp"
#include "storage/postgresql_values.hpp"

namespace millrace {

namespace {

/// What an administrator runs once: a role that owns its schema and nothing else.
std::string advice(const PostgresNames& names, std::string_view role, bool exists) {
  const auto schema = quoted_identifier(names.schema());
  const auto owner = quoted_identifier(role);
  if (exists)
    return fmt::format("as its owner or an administrator: ALTER SCHEMA {} OWNER TO {};", schema,
                       owner);
  return fmt::format("as an administrator of this database: CREATE SCHEMA {} AUTHORIZATION {};",
                     schema, owner);
}

// Rows that change often leave room on their page, so that a change need not touch the index.
bool changes_often(Table table) {
  return table == Table::meta || table == Table::cursors || table == Table::projections ||
         table == Table::marks || table == Table::routes;
}

std::vector<PostgresStatement> layout(const PostgresNames& names, bool schema_exists) {
  std::vector<PostgresStatement> statements;
  const auto add = [&](std::string sql) { statements.push_back({std::move(sql), {}}); };
  add("BEGIN");
  if (!schema_exists) add(fmt::format("CREATE SCHEMA {}", quoted_identifier(names.schema())));
  add(fmt::format("CREATE TABLE {}(version bigint NOT NULL)", names.table("format")));
  add(fmt::format("INSERT INTO {} VALUES({})", names.table("format"), kPostgresFormatVersion));
  // A row for each instance ('': who runs alone): its session, the number of its last transaction.
  add(
      fmt::format("CREATE TABLE {}(instance text PRIMARY KEY,"
                  "session text NOT NULL, serial bigint NOT NULL, since timestamptz NOT NULL)"
                  " WITH (fillfactor=10)",
                  names.table("writer")));
  std::string readable;
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const auto table = static_cast<Table>(i);
    // Rows that come and go are cleared away before they slow down reads in key order.
    add(
        fmt::format("CREATE TABLE {}(key bytea NOT NULL PRIMARY KEY, value bytea NOT NULL)"
                    " WITH (autovacuum_vacuum_scale_factor=0.05,"
                    "autovacuum_analyze_scale_factor=0.05{})",
                    names.table(table), changes_often(table) ? ",fillfactor=80" : ""));
    readable += fmt::format(
        "{}SELECT '{}'::text AS \"table\",encode(key,'escape') AS key,"
        "convert_from(value,'UTF8') AS value FROM {}",
        i == 0 ? "" : " UNION ALL ", to_string(table), names.table(table));
  }
  add(fmt::format("CREATE VIEW {} AS {}", names.table("readable"), readable));
  add("COMMIT");
  return statements;
}

/// From format 1, in which table writer had one row.
std::vector<PostgresStatement> migration(const PostgresNames& names) {
  const auto writer = names.table("writer");
  return {
      {"BEGIN", {}},
      {fmt::format("ALTER TABLE {} DROP COLUMN id, ADD COLUMN instance text NOT NULL DEFAULT "
                   "'', ADD PRIMARY KEY(instance)",
                   writer),
       {}},
      {fmt::format("ALTER TABLE {} ALTER COLUMN instance DROP DEFAULT", writer), {}},
      {fmt::format("UPDATE {} SET version={}", names.table("format"), kPostgresFormatVersion), {}},
      {"COMMIT", {}}};
}

struct Found {
  bool exists = false;
  bool may_use = false;
  bool may_create = false;
  bool has_format = false;
  bool may_read = false;
  bool may_make_schemas = false;
  std::string role;
};

Result<Found> look(PostgresConnection& connection, const PostgresNames& names,
                   PostgresConnection::Deadline deadline) {
  auto rows = connection.run(
      {"SELECT n.oid IS NOT NULL, coalesce(has_schema_privilege(n.oid,'USAGE'),false),"
       "coalesce(has_schema_privilege(n.oid,'CREATE'),false), c.oid IS NOT NULL,"
       "coalesce(has_table_privilege(c.oid,'SELECT'),false),"
       "has_database_privilege(current_database(),'CREATE'), current_user::text "
       "FROM (SELECT 1) AS one LEFT JOIN pg_namespace n ON n.nspname=$1::text "
       "LEFT JOIN pg_class c ON c.relnamespace=n.oid AND c.relname='format'",
       {names.schema()}},
      deadline);
  if (!rows) return std::unexpected(rows.error().to_error());
  return Found{.exists = rows->boolean(0, 0),
               .may_use = rows->boolean(0, 1),
               .may_create = rows->boolean(0, 2),
               .has_format = rows->boolean(0, 3),
               .may_read = rows->boolean(0, 4),
               .may_make_schemas = rows->boolean(0, 5),
               .role = std::string(rows->bytes(0, 6))};
}

Result<std::optional<std::int64_t>> check_found(PostgresConnection& connection,
                                                const PostgresNames& names, const Found& found,
                                                PostgresConnection::Deadline deadline) {
  if (!found.has_format) return std::optional<std::int64_t>();
  if (!found.may_use || !found.may_read)
    return fail(Errc::config, fmt::format("role {} may not read schema {}: run {}", found.role,
                                          names.schema(), advice(names, found.role, true)));
  auto rows =
      connection.run({fmt::format("SELECT version FROM {}", names.table("format")), {}}, deadline);
  if (!rows) return std::unexpected(rows.error().to_error());
  if (rows->size() != 1)
    return fail(Errc::corrupt, fmt::format("schema {} has a table format that is not of Millrace; "
                                           "`state.schema` must name a schema of its own",
                                           names.schema()));
  const auto version = rows->integer(0, 0);
  if (version > kPostgresFormatVersion)
    return fail(Errc::newer_format,
                fmt::format("the state in schema {} has format {}, this program knows up to {}: "
                            "start the newer version again, or restore the dump made before the "
                            "upgrade",
                            names.schema(), version, kPostgresFormatVersion));
  if (version < 1)
    return fail(Errc::corrupt,
                fmt::format("the state in schema {} has format {}", names.schema(), version));
  return std::optional(version);
}

}  // namespace

std::string PostgresNames::table(std::string_view name) const {
  return quoted_identifier(schema_) + "." + quoted_identifier(name);
}

std::int64_t PostgresNames::lock_number() const {
  return static_cast<std::int64_t>(hash64("millrace state " + schema_));
}

std::int64_t PostgresNames::lock_number(std::string_view instance) const {
  return static_cast<std::int64_t>(
      hash64(fmt::format("millrace instance {}\n{}", schema_, instance)));
}

Result<std::optional<std::int64_t>> check_postgres_format(PostgresConnection& connection,
                                                          const PostgresNames& names,
                                                          PostgresConnection::Deadline deadline) {
  MILLRACE_TRY(found, look(connection, names, deadline));
  return check_found(connection, names, found, deadline);
}

Result<void> prepare_postgres_schema(PostgresConnection& connection, const PostgresNames& names,
                                     PostgresConnection::Deadline deadline) {
  MILLRACE_TRY(found, look(connection, names, deadline));
  MILLRACE_TRY(version, check_found(connection, names, found, deadline));
  if (version == kPostgresFormatVersion) return {};
  if (version) {
    auto migrated = connection.run(migration(names), deadline);
    if (!migrated) return std::unexpected(migrated.error().to_error());
    spdlog::info("state migrated schema={} from={} format={}", names.schema(), *version,
                 kPostgresFormatVersion);
    return {};
  }
  if (found.exists && (!found.may_use || !found.may_create))
    return fail(Errc::config,
                fmt::format("role {} may not create tables in schema {}: run {}", found.role,
                            names.schema(), advice(names, found.role, true)));
  if (!found.exists && !found.may_make_schemas)
    return fail(Errc::config,
                fmt::format("there is no schema {} and role {} may not create it: "
                            "run {}",
                            names.schema(), found.role, advice(names, found.role, false)));
  auto made = connection.run(layout(names, found.exists), deadline);
  if (!made) return std::unexpected(made.error().to_error());
  spdlog::info("state laid out schema={} format={}", names.schema(), kPostgresFormatVersion);
  return {};
}

}  // namespace millrace
