// The schema in the database: its format version, its tables, the rows that say who writes, and
// what a role must be allowed to. See docs/reference/state-format.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "millrace/state_store.hpp"
#include "storage/postgresql_connection.hpp"

namespace millrace {

/// Row of table "format". A schema with a higher one is refused (Errc::newer_format).
inline constexpr std::int64_t kPostgresFormatVersion = 2;
/// server_version_num of the oldest server that is tested.
inline constexpr std::int64_t kPostgresVersionMin = 150000;

/// Names within one schema.
class PostgresNames {
 public:
  explicit PostgresNames(std::string schema) : schema_(std::move(schema)) {}
  const std::string& schema() const { return schema_; }
  /// "millrace"."cursors"
  std::string table(std::string_view name) const;
  std::string table(Table table) const { return this->table(to_string(table)); }
  /// The number of the advisory lock that who writes to this schema holds: a daemon that runs alone
  /// for itself, instances of a group together.
  std::int64_t lock_number() const;
  /// That of the lock an instance of a group holds besides.
  std::int64_t lock_number(std::string_view instance) const;

 private:
  std::string schema_;
};

/// Reads only: is the schema there, and of a format this program knows? nullopt: nothing is there
/// yet. Errc::config names the statements that give missing rights.
Result<std::optional<std::int64_t>> check_postgres_format(PostgresConnection& connection,
                                                          const PostgresNames& names,
                                                          PostgresConnection::Deadline deadline);

/// While nobody else writes: refuses as check_postgres_format does, lays out the tables of an empty
/// schema, and brings those of an older format to this one; in one transaction.
Result<void> prepare_postgres_schema(PostgresConnection& connection, const PostgresNames& names,
                                     PostgresConnection::Deadline deadline);

}  // namespace millrace
