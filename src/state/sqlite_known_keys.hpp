// Which projections a state store on SQLite may have, in memory: a record that is new need not be
// looked up. What the store had when it was opened is read beside everything else, on a thread of
// its own; until that is done every row may be there.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "millrace/state_store.hpp"
#include "state/key_filter.hpp"
#include "state/sqlite_connection.hpp"

namespace millrace {

class SqliteKnownKeys {
 public:
  /// 24 MB of filter; a store with more rows is always looked up.
  static constexpr std::size_t kKeysMax = std::size_t{1} << 24;

  ~SqliteKnownKeys() { stop(); }

  /// Before the first commit: what is written from now on is added by whoever writes it.
  void start(const std::string& path);
  /// Before its transaction is committed.
  void add(Table table, std::string_view key);
  /// True: no committed row has this key.
  bool is_surely_absent(Table table, std::string_view key) const;
  /// Idempotent.
  void stop();

 private:
  void run(const std::string& path);
  Result<void> read_all(const std::string& path);
  void give_up();

  mutable std::mutex mutex_;  // guards what follows
  KeyFilter filter_;
  bool complete_ = false;
  bool given_up_ = false;

  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace millrace
