#include "state/open_state.hpp"

#include <utility>

#include "state/postgresql_state.hpp"
#include "state/sqlite_readers.hpp"
#include "state/sqlite_state.hpp"

namespace millrace {

namespace {

constexpr std::size_t kReaderCacheKib = 4096;

PostgresStateOptions postgresql_options(const StateChoice& choice) {
  PostgresStateOptions options;
  options.conninfo = choice.postgresql;
  options.schema = choice.schema;
  options.name = choice.installation;
  options.instance = choice.instance;
  return options;
}

}  // namespace

Result<std::unique_ptr<StateStore>> open_state(const StateChoice& choice,
                                               std::function<void(Error)> on_fatal) {
  if (choice.is_postgresql()) {
    auto options = postgresql_options(choice);
    options.on_fatal = std::move(on_fatal);
    return open_postgresql_state(std::move(options));
  }
  if (!choice.instance.empty())
    return fail(Errc::config, "several instances need `state.postgresql`: SQLite serves one alone");
  SqliteStateOptions options;
  options.path = choice.sqlite_path;
  options.on_fatal = std::move(on_fatal);
  return open_sqlite_state(options);
}

Result<std::unique_ptr<StateReader>> open_state_reader(const StateChoice& choice) {
  if (choice.is_postgresql()) return open_postgresql_reader(postgresql_options(choice));
  return SqliteReaders::open(choice.sqlite_path, 1, kReaderCacheKib);
}

Result<std::vector<std::string>> verify_state(const StateChoice& choice) {
  if (choice.is_postgresql()) return verify_postgresql_state(postgresql_options(choice));
  return verify_sqlite_state(choice.sqlite_path);
}

}  // namespace millrace
