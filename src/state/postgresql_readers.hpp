// Committed rows, read from any thread through a small pool of connections. A connection that was
// lost is made again once within the read; a store that is away is not waited for.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "state/postgresql_health.hpp"
#include "state/postgresql_session.hpp"

namespace millrace {

class PostgresReaders final : public StateReader {
 public:
  /// `on_trouble` is called when a read found the server gone. All three outlive the readers.
  PostgresReaders(const PostgresSessions& sessions, PostgresHealth& health, std::size_t count,
                  std::function<void()> on_trouble);
  ~PostgresReaders() override { close(); }

  Result<std::optional<std::string>> get(Table table, std::string_view key) override;
  Result<std::vector<std::optional<std::string>>> get_many(
      Table table, std::span<const std::string> keys) override;
  Result<std::vector<Row>> scan(Table table, std::string_view prefix, std::string_view after,
                                std::size_t rows_max) override;
  Result<std::uint64_t> count(Table table, std::string_view prefix) override;

  /// What a statement that reads answers.
  Result<PostgresRows> read(const PostgresStatement& statement);

  /// Connects, and looks at the schema's format; for a reader without a writer.
  Result<void> check_format();

  /// Calls running reads off and closes the connections; later reads fail with Errc::stopping.
  void close();

 private:
  struct Reader {
    SocketLoop loop;
    std::unique_ptr<PostgresConnection> connection;
  };
  class Lease;

  PostgresResult<PostgresRows> try_once(Reader& reader, const PostgresStatement& statement);

  const PostgresSessions& sessions_;
  PostgresHealth& health_;
  const std::function<void()> on_trouble_;
  std::vector<std::unique_ptr<Reader>> readers_;

  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<Reader*> idle_;
  bool closed_ = false;
};

}  // namespace millrace
