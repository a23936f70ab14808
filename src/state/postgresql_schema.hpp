// The schema in the database: its format version, its tables, the row that says who writes, and
// what a role must be allowed to. See docs/reference/state-format.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "millrace/state_store.hpp"
#include "storage/postgresql_connection.hpp"

namespace millrace {

/// Row of table "format". A schema with a higher one is refused (Errc::newer_format).
inline constexpr std::int64_t kPostgresFormatVersion = 1;
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
  /// The number of the advisory lock that the writer of this schema holds.
  std::int64_t lock_number() const;

 private:
  std::string schema_;
};

/// Reads only: is the schema there, and of a format this program knows? nullopt: nothing is there
/// yet. Errc::config names the statements that give missing rights.
Result<std::optional<std::int64_t>> check_postgres_format(PostgresConnection& connection,
                                                          const PostgresNames& names,
                                                          PostgresConnection::Deadline deadline);

/// Under the writer's lock: refuses as check_postgres_format does, and lays out the tables of an
/// empty schema in one transaction.
Result<void> prepare_postgres_schema(PostgresConnection& connection, const PostgresNames& names,
                                     PostgresConnection::Deadline deadline);

}  // namespace millrace
