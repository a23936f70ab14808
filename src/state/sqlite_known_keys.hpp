// Which projections a state store on SQLite may have, in memory: a record that is new need not be
// looked up. What the store had when it was opened is read once somebody asks, on a thread of its
// own; until that is done every row may be there.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "millrace/state_store.hpp"
#include "state/key_filter.hpp"

namespace millrace {

/// Thread-safe, also beside and behind stop().
class SqliteKnownKeys {
 public:
  /// 24 MB of filter; in a store with more rows every one is looked up.
  static constexpr std::size_t kKeysMax = std::size_t{1} << 24;

  explicit SqliteKnownKeys(std::string path, std::size_t keys_max = kKeysMax)
      : path_(std::move(path)), keys_max_(keys_max) {}
  ~SqliteKnownKeys() { stop(); }

  /// Of every row that is written, from the first on, before its transaction is committed.
  void add(Table table, std::string_view key);
  /// True: no committed row has this key.
  bool is_surely_absent(Table table, std::string_view key);
  /// Waits for the reading to end. Idempotent.
  void stop();

 private:
  void run();
  Result<void> read_all();
  void give_up();

  const std::string path_;
  const std::size_t keys_max_;
  std::atomic<bool> stopping_ = false;

  std::mutex mutex_;  // guards what follows
  KeyFilter filter_;
  bool complete_ = false;  ///< the filter has all there is
  bool given_up_ = false;
  std::thread reading_;
};

}  // namespace millrace
