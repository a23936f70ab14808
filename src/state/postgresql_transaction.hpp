// One group of batches as one transaction. Every transaction raises the serial in the writer's own
// row, and fails when that row is not as this run left it: that is the proof, after a lost
// connection, of whether it was committed, and the fence against a daemon that lost the store
// without noticing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "state/commit_queue.hpp"
#include "state/postgresql_schema.hpp"
#include "storage/postgresql_connection.hpp"

namespace millrace {

class PostgresTransaction {
 public:
  using Deadline = PostgresConnection::Deadline;

  /// `instance`: empty when it writes alone. All three outlive the transaction.
  PostgresTransaction(const PostgresNames& names, const std::string& instance,
                      const std::string& session)
      : names_(names), instance_(instance), session_(session) {}

  enum class Done : std::uint8_t { nothing, committed };

  /// Tries once. Sets every result of the group unless it fails as a whole, and then says in
  /// `may_be_committed` whether COMMIT was under way. `serial` is that of the last transaction.
  PostgresResult<Done> run(PostgresConnection& connection, BatchGroup& group, std::int64_t serial,
                           const std::optional<std::string>& journal_ends, Deadline deadline);

  bool may_be_committed() const { return may_be_committed_; }

  /// SQLSTATE of the fence: 22012, a division by the number of rows it moved.
  static bool is_fenced(const PostgresError& error) { return error.sqlstate == "22012"; }

 private:
  using Stored = std::map<RowName, std::optional<std::string>>;

  PostgresStatement fence(std::int64_t serial) const;
  /// The rows that preconditions of the group name, as they are in the store.
  PostgresResult<Stored> read_required(PostgresConnection& connection,
                                       std::vector<PostgresStatement> begin,
                                       const BatchGroup& group, Deadline deadline);
  static RowOverlay judge(BatchGroup& group, const Stored& stored);
  void add_writes(const RowOverlay& overlay, std::vector<PostgresStatement>& statements) const;

  const PostgresNames& names_;
  const std::string& instance_;
  const std::string& session_;
  bool may_be_committed_ = false;
};

}  // namespace millrace
