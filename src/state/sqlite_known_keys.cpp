#include "state/sqlite_known_keys.hpp"

#include <spdlog/spdlog.h>

#include <string>
#include <utility>
#include <vector>

#include "core/thread_name.hpp"
#include "state/sqlite_connection.hpp"

namespace millrace {
namespace {

/// Read in one snapshot: a long one would keep the write-ahead log from being emptied.
constexpr std::size_t kKeysPerRead = 4096;

}  // namespace

void SqliteKnownKeys::add(Table table, std::string_view key) {
  if (table != Table::projections) return;
  const std::lock_guard lock(mutex_);
  if (given_up_) return;
  filter_.add(key);
  if (filter_.size() >= keys_max_) give_up();
}

bool SqliteKnownKeys::is_surely_absent(Table table, std::string_view key) {
  if (table != Table::projections) return false;
  const std::lock_guard lock(mutex_);
  if (given_up_) return false;
  if (complete_) return !filter_.may_hold(key);
  if (!reading_.joinable() && !stopping_) reading_ = std::thread([this] { run(); });
  return false;
}

void SqliteKnownKeys::stop() {
  stopping_ = true;
  std::thread reading;
  {
    const std::lock_guard lock(mutex_);
    reading.swap(reading_);
  }
  if (reading.joinable()) reading.join();
}

void SqliteKnownKeys::give_up() {
  given_up_ = true;
  filter_ = {};
}

void SqliteKnownKeys::run() {
  name_this_thread("state-keys");
  const auto read = read_all();
  if (!read) {
    spdlog::warn("every record is looked up in the state store, new ones too error=\"{}\"",
                 read.error().message);
  }
  const std::lock_guard lock(mutex_);
  if (!read) give_up();
  complete_ = !stopping_;
}

Result<void> SqliteKnownKeys::read_all() {
  MILLRACE_TRY(connection, Connection::open(path_, DatabaseMode::read_write));
  MILLRACE_CHECK_OK(connection.execute("PRAGMA query_only=1;PRAGMA cache_size=-64;"));
  // The index over the keys answers it: values are not touched.
  MILLRACE_TRY(
      next, connection.prepare("SELECT key FROM projections WHERE key>=?1 ORDER BY key LIMIT ?2"));
  std::string from;
  std::vector<std::string> keys;
  do {
    keys.clear();
    {
      const StatementScope scope(next);
      next.bind_blob(1, from).bind_int(2, static_cast<std::int64_t>(kKeysPerRead));
      for (;;) {
        MILLRACE_TRY(found, next.step());
        if (!found) break;
        keys.push_back(next.column(0));
      }
    }
    for (const std::string& key : keys) add(Table::projections, key);
    if (!keys.empty()) from = keys.back() + '\0';
  } while (keys.size() == kKeysPerRead && !stopping_);
  return {};
}

}  // namespace millrace
