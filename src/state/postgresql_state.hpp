// The StateStore in a schema of a PostgreSQL database (15 or later). Promise: a completion means
// that COMMIT returned under synchronous_commit=on. A connection that is lost is made again; what
// became of a COMMIT that was not answered is read from the store, so that no batch is applied
// twice or lost.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "millrace/state_store.hpp"

namespace millrace {

struct PostgresStateOptions {
  std::string conninfo;             ///< as libpq takes it
  std::string schema = "millrace";  ///< several installations share a database by this
  std::string name;                 ///< of the installation, for the server's list of sessions
  std::string instance;             ///< among several that share the store; empty: alone
  /// Called at most once, on the writer's thread, when going on would be wrong: another daemon has
  /// the store, this instance was expelled, it went back in time, its format is newer. It must not
  /// call the store.
  std::function<void(Error)> on_fatal;
  /// How long a batch of Urgency::soon may wait for company.
  std::chrono::milliseconds commit_delay{50};
  /// Rows (and preconditions) in one transaction; a larger single batch goes alone, whole.
  std::size_t rows_max = 2000;
  std::size_t readers = 2;                       ///< connections that serve reads
  std::chrono::milliseconds start_wait{30'000};  ///< for a server that does not answer at the start
  std::chrono::milliseconds lock_wait{5'000};    ///< for the session of a daemon that just died
  std::chrono::milliseconds answer_max{15'000};  ///< a server that is silent for longer is away
  std::chrono::milliseconds heartbeat{5'000};    ///< between signs of life without work
};

/// Opens the store, creating its tables in an empty schema and migrating those of an older format.
/// Errc::locked: another daemon has it, alone or under this instance's name, or instances share it.
/// Errc::newer_format: nothing was touched. Errc::config: a person must act (password, database,
/// rights; the message has the statements to run). Errc::state_away: no answer within start_wait.
Result<std::unique_ptr<StateStore>> open_postgresql_state(PostgresStateOptions options);

/// Committed rows alone, also beside a running daemon.
Result<std::unique_ptr<StateReader>> open_postgresql_reader(const PostgresStateOptions& options);

/// What is wrong with the values of the store, at most 100 findings, in words.
Result<std::vector<std::string>> verify_postgresql_state(const PostgresStateOptions& options);

}  // namespace millrace
