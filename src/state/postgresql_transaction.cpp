#include "state/postgresql_transaction.hpp"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "storage/postgresql_values.hpp"

namespace millrace {

namespace {

/// Bytes of keys and values in one statement, beyond which another begins.
constexpr std::size_t kStatementBytes = 4u << 20;

bool has_preconditions(const BatchGroup& group) {
  for (const auto& pending : group)
    if (!pending.batch.require.empty()) return true;
  return false;
}

/// Rows of one table on their way into one statement.
struct Rows {
  std::vector<std::string_view> keys;
  std::vector<std::string_view> values;
  std::size_t bytes = 0;

  bool empty() const { return keys.empty(); }
  void clear() { *this = {}; }
};

}  // namespace

PostgresStatement PostgresTransaction::fence(std::int64_t serial) const {
  return {fmt::format("WITH moved AS (UPDATE {} SET serial=$3::int8+1 WHERE instance=$1::text AND "
                      "session=$2::text AND serial=$3::int8 RETURNING 1) "
                      "SELECT 1/count(*) FROM moved",
                      names_.table("writer")),
          {instance_, session_, postgres_int8(serial)},
          true};
}

PostgresResult<PostgresTransaction::Stored> PostgresTransaction::read_required(
    PostgresConnection& connection, std::vector<PostgresStatement> begin, const BatchGroup& group,
    Deadline deadline) {
  Stored stored;
  for (const auto& pending : group)
    for (const auto& one : pending.batch.require) stored[{one.table, one.key}];
  const std::size_t first = begin.size();
  std::vector<Table> tables;
  std::vector<std::string_view> keys;
  for (auto row = stored.begin(); row != stored.end(); ++row) {
    keys.push_back(row->first.second);
    const auto next = std::next(row);
    if (next != stored.end() && next->first.first == row->first.first) continue;
    tables.push_back(row->first.first);
    // Others may write, too: until COMMIT they wait, so that what was required still holds then.
    begin.push_back(
        {fmt::format("SELECT key,value FROM {} WHERE key=ANY($1::bytea[]){}",
                     names_.table(row->first.first), instance_.empty() ? "" : " FOR NO KEY UPDATE"),
         {postgres_bytea_array(keys)},
         true});
    keys.clear();
  }
  auto results = connection.run(begin, deadline);
  if (!results) return std::unexpected(std::move(results).error());
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const PostgresRows& rows = (*results)[first + i];
    for (std::size_t row = 0; row < rows.size(); ++row)
      stored.find({tables[i], rows.bytes(row, 0)})->second = std::string(rows.bytes(row, 1));
  }
  return stored;
}

RowOverlay PostgresTransaction::judge(BatchGroup& group, const Stored& stored) {
  RowOverlay overlay;
  for (auto& pending : group) {
    pending.result = {};
    for (const auto& one : pending.batch.require) {
      const auto written = overlay.find({one.table, one.key});
      const auto& value =
          written != overlay.end() ? *written->second : stored.find({one.table, one.key})->second;
      if (value == one.expected) continue;
      pending.result = std::unexpected(refused(one));
      break;
    }
    if (!pending.result) continue;
    for (const auto& write : pending.batch.writes)
      overlay.insert_or_assign({write.table, write.key}, &write.value);
  }
  return overlay;
}

void PostgresTransaction::add_writes(const RowOverlay& overlay,
                                     std::vector<PostgresStatement>& statements) const {
  Rows puts;
  Rows erased;
  const auto flush = [&](Table table) {
    if (!puts.empty())
      statements.push_back(
          {fmt::format("INSERT INTO {}(key,value) SELECT * FROM unnest($1::bytea[],$2::bytea[]) "
                       "ON CONFLICT(key) DO UPDATE SET value=excluded.value",
                       names_.table(table)),
           {postgres_bytea_array(puts.keys), postgres_bytea_array(puts.values)},
           true});
    if (!erased.empty())
      statements.push_back(
          {fmt::format("DELETE FROM {} WHERE key=ANY($1::bytea[])", names_.table(table)),
           {postgres_bytea_array(erased.keys)},
           true});
    puts.clear();
    erased.clear();
  };
  for (auto row = overlay.begin(); row != overlay.end(); ++row) {
    const auto& [table, key] = row->first;
    const std::optional<std::string>& value = *row->second;
    Rows& rows = value ? puts : erased;
    rows.keys.push_back(key);
    if (value) rows.values.push_back(*value);
    rows.bytes += key.size() + (value ? value->size() : 0);
    const auto next = std::next(row);
    const bool last = next == overlay.end() || next->first.first != table;
    if (last || rows.bytes >= kStatementBytes) flush(table);
  }
}

PostgresResult<PostgresTransaction::Done> PostgresTransaction::run(
    PostgresConnection& connection, BatchGroup& group, std::int64_t serial,
    const std::optional<std::string>& journal_ends, Deadline deadline) {
  may_be_committed_ = false;
  std::vector<PostgresStatement> statements;
  Stored stored;
  if (has_preconditions(group)) {
    // What was read stays true until COMMIT, or COMMIT fails (40001) and all is tried again.
    auto read = read_required(
        connection, {{"BEGIN ISOLATION LEVEL SERIALIZABLE", {}}, fence(serial)}, group, deadline);
    if (!read) return std::unexpected(std::move(read).error());
    stored = *std::move(read);
  } else {
    statements = {{"BEGIN", {}}, fence(serial)};
  }
  const RowOverlay overlay = judge(group, stored);
  if (overlay.empty()) {
    if (!connection.in_transaction()) return Done::nothing;
    auto rolled_back = connection.run({"ROLLBACK", {}}, deadline);
    if (!rolled_back) return std::unexpected(std::move(rolled_back).error());
    return Done::nothing;
  }
  add_writes(overlay, statements);
  if (journal_ends) {
    static const std::string kKey = "journal_ends";
    const std::optional<std::string>& value = journal_ends;
    add_writes({{{Table::meta, kKey}, &value}}, statements);
  }
  statements.push_back({"COMMIT", {}});
  may_be_committed_ = true;
  auto results = connection.run(statements, deadline);
  if (!results) {
    // A server that says no has rolled back.
    may_be_committed_ = results.error().kind == PostgresError::Kind::lost;
    return std::unexpected(std::move(results).error());
  }
  may_be_committed_ = false;
  if (results->back().command() != "COMMIT")
    return std::unexpected(
        PostgresError{PostgresError::Kind::final, "",
                      "COMMIT ended as " + std::string(results->back().command())});
  return Done::committed;
}

}  // namespace millrace
