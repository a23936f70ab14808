// StateStore: cursors, projections, doorbells, parked rows, the identity map, keys, audit. Rows of
// (table, key) -> value; values are JSON text, so that an operator can read them with sqlite3 or
// psql. Promise: commit(Batch) applies all of a batch or nothing, and its completion means durable
// (semantics 4). A store on another machine may be *away*: commits wait for it, in their order,
// and none is applied twice; reads say Errc::state_away at once, and their callers come again
// (net's offload_until_back).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/clock.hpp"
#include "millrace/executor.hpp"
#include "millrace/group.hpp"
#include "millrace/result.hpp"

namespace millrace {

enum class Table : std::uint8_t {
  meta,         ///< format, installation, environment, log UUID, journals' ends, incarnation
  cursors,      ///< "<owner>\0<partition>" -> progress
  projections,  ///< "<entity>\0<record>" -> last emitted or baselined data
  doorbells,    ///< "<connection>\0<model>\0<id>" -> row waiting to be read
  parked,       ///< rows that left the happy path, dead letters among them
  outbox,       ///< announcements to append to the log (topic `dead`)
  xref,         ///< "<entity>\0<system>\0<record>" -> external id
  xref_by_id,   ///< "<entity>\0<system>\0<external id>\0<record>"
  names,        ///< "<name>\0<entity>\0<record>" -> since
  programs,     ///< hash -> text of read + map + functions + tables
  routes,       ///< generation boundaries, pauses, texts by hash
  marks,        ///< sweep and baseline marks
  keys,         ///< API keys, hashed
  audit,        ///< who did what, numbered
  generations   ///< configuration contents by generation
};
inline constexpr std::size_t kTableCount = 15;
std::string_view to_string(Table table);

struct Row {
  std::string key;
  std::string value;
};

struct Write {
  Table table = Table::meta;
  std::string key;
  std::optional<std::string> value;  ///< nullopt deletes the row
};

/// The batch is refused whole unless the row's value equals `expected` (nullopt: row is absent).
struct Precondition {
  Table table = Table::meta;
  std::string key;
  std::optional<std::string> expected;
};

struct Batch {
  std::vector<Precondition> require;
  std::vector<Write> writes;  ///< applied in order; the last write of a key wins

  void put(Table table, std::string key, std::string value) {
    writes.push_back({table, std::move(key), std::move(value)});
  }
  void erase(Table table, std::string key) { writes.push_back({table, std::move(key), {}}); }
};

enum class Urgency : std::uint8_t {
  now,  ///< commit as soon as the writer is free
  soon  ///< may ride with the next commit, within 50 ms
};

/// Where the state lies: `state: { sqlite: ... }` or `state: { postgresql: ..., schema: ... }`.
struct StateChoice {
  std::string sqlite_path;   ///< absolute; empty: PostgreSQL
  std::string postgresql;    ///< a connection string of libpq; empty: SQLite
  std::string schema;        ///< in that database
  std::string installation;  ///< its name, for the server's list of sessions
  std::string instance;      ///< our name among several that share the store; empty: alone

  bool operator==(const StateChoice&) const = default;
  bool is_postgresql() const { return !postgresql.empty(); }
};

/// Blocking reads of committed rows: on a reader thread or during start only. Thread-safe. A store
/// that is away answers Errc::state_away, a closed one Errc::stopping.
class StateReader {
 public:
  virtual ~StateReader() = default;

  virtual Result<std::optional<std::string>> get(Table table, std::string_view key) = 0;
  /// One answer per key, in their order.
  virtual Result<std::vector<std::optional<std::string>>> get_many(
      Table table, std::span<const std::string> keys) = 0;
  /// Rows whose key starts with `prefix` and is greater than `after`, in key order.
  virtual Result<std::vector<Row>> scan(Table table, std::string_view prefix,
                                        std::string_view after, std::size_t rows_max) = 0;
  virtual Result<std::uint64_t> count(Table table, std::string_view prefix) = 0;
};

/// How a store is, for the status, the probes and the metrics.
struct StateCondition {
  std::string kind;                 ///< "sqlite", "postgresql"
  std::optional<WallTime> away_at;  ///< since when it does not answer; empty: it does
  std::string reason;               ///< why it is away, in words
  std::optional<WallTime> full_at;  ///< since when it has no space for a commit; empty: it has
  std::string full_reason;          ///< what refused it, in words
  std::string warning;              ///< what its operator should change; empty: nothing
  std::uint64_t outages = 0;        ///< how often it was away since the start
  std::uint64_t repeats = 0;        ///< transactions tried again (conflicts, outages)
};

class StateStore : public StateReader {
 public:
  using CommitDone = std::move_only_function<void(Result<void>)>;

  /// Queues the batch; batches are applied in the order queued and several may share a transaction.
  /// `done` runs on `home` when the batch is durable, or with Errc::precondition_failed, disk_full
  /// or too_large (a key beyond kStateKeyBytesMax): nothing of it was applied. While the store is
  /// away it is not called. Any other failure is final.
  virtual void commit(Batch batch, Urgency urgency, Executor& home, CommitDone done) = 0;

  /// True: no committed row has this key, which is known without reading. False: whoever wants to
  /// know reads; a store may say no more than that. Thread-safe, and never waits for the store.
  virtual bool is_surely_absent(Table /*table*/, std::string_view /*key*/) { return false; }

  /// Thread-safe, and never waits for the store.
  virtual StateCondition condition() const = 0;

  /// Called by the writer for each transaction; its text is stored as meta row "journal_ends" in
  /// that same transaction.
  virtual void set_journal_ends(std::function<std::string()> ends) = 0;

  /// Of a store that several instances share; nullptr: alone.
  virtual Group* group() { return nullptr; }

  /// Commits what is queued and stops the writer. Of a store that is away it does not wait: what
  /// is queued is as lost as in a crash, and its completions are destroyed.
  virtual void close() = 0;
};

/// Joins key parts with a zero byte: row_key("order-to-mes", "12").
template <typename... Parts>
std::string row_key(const Parts&... parts) {
  std::string key;
  ((key.append(parts), key.push_back('\0')), ...);
  key.pop_back();
  return key;
}

/// "a/b" for "a\0b": keys as messages show them.
std::string printable_key(std::string_view key);

}  // namespace millrace
