// Committed rows, read from any thread through a small pool of connections. A caller waits while
// all are busy; none of them ever waits for the writer.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/state_store.hpp"
#include "state/sqlite_connection.hpp"

namespace millrace {

class SqliteReaders final : public StateReader {
 public:
  static Result<std::unique_ptr<SqliteReaders>> open(const std::string& path, std::size_t count,
                                                     std::size_t cache_kib);

  Result<std::optional<std::string>> get(Table table, std::string_view key) override;
  Result<std::vector<std::optional<std::string>>> get_many(
      Table table, std::span<const std::string> keys) override;
  Result<std::vector<Row>> scan(Table table, std::string_view prefix, std::string_view after,
                                std::size_t rows_max) override;
  Result<std::uint64_t> count(Table table, std::string_view prefix) override;

  /// Waits for running reads and closes the connections; later reads fail with Errc::stopping.
  void close();

 private:
  enum Query : std::size_t { kGet, kScan, kScanBelow, kCount, kCountBelow, kQueryCount };

  struct Reader {
    explicit Reader(Connection opened) : connection(std::move(opened)) {}
    Connection connection;
    // Prepared on first use. After `connection`, because statements go first.
    std::array<std::array<std::optional<Statement>, kQueryCount>, kTableCount> statements;

    Result<Statement*> statement(Table table, Query query);
  };

  /// Holds one reader for the time of a call.
  class Lease {
   public:
    explicit Lease(SqliteReaders& owner);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    /// Null after close().
    Reader* reader() { return reader_.get(); }

   private:
    SqliteReaders& owner_;
    std::unique_ptr<Reader> reader_;
  };

  static Result<std::optional<std::string>> get_with(Reader& reader, Table table,
                                                     std::string_view key);

  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Reader>> idle_;
  std::size_t open_ = 0;  ///< idle and leased
  bool closed_ = false;
};

}  // namespace millrace
