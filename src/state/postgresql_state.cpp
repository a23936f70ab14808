#include "state/postgresql_state.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "millrace/json.hpp"
#include "state/postgresql_group.hpp"
#include "state/postgresql_readers.hpp"
#include "state/postgresql_writer.hpp"

namespace millrace {

namespace {

constexpr std::size_t kFindingsMax = 100;
constexpr std::size_t kRowsPerScan = 1000;

class PostgresStateStore final : public StateStore {
 public:
  explicit PostgresStateStore(PostgresStateOptions options)
      : options_(std::move(options)),
        sessions_(options_),
        readers_(sessions_, health_, options_.readers, [this] { writer_.look_soon(); }),
        writer_(options_, sessions_, health_, options_.on_fatal),
        group_(sessions_, health_, readers_, writer_) {}
  ~PostgresStateStore() override { close_now(); }

  Result<void> start() {
    MILLRACE_CHECK_OK(writer_.start());
    spdlog::info("state in PostgreSQL {} schema={}{}", shown_postgres_conninfo(options_.conninfo),
                 options_.schema,
                 options_.instance.empty() ? "" : fmt::format(" instance={}", options_.instance));
    return {};
  }

  void commit(Batch batch, Urgency urgency, Executor& home, CommitDone done) override {
    writer_.push(std::move(batch), urgency, home, std::move(done));
  }
  Result<std::optional<std::string>> get(Table table, std::string_view key) override {
    return readers_.get(table, key);
  }
  Result<std::vector<std::optional<std::string>>> get_many(
      Table table, std::span<const std::string> keys) override {
    return readers_.get_many(table, keys);
  }
  Result<std::vector<Row>> scan(Table table, std::string_view prefix, std::string_view after,
                                std::size_t rows_max) override {
    return readers_.scan(table, prefix, after, rows_max);
  }
  Result<std::uint64_t> count(Table table, std::string_view prefix) override {
    return readers_.count(table, prefix);
  }
  StateCondition condition() const override {
    StateCondition condition = health_.condition();
    writer_.space().describe(condition);
    return condition;
  }
  void set_journal_ends(std::function<std::string()> ends) override {
    writer_.set_journal_ends(std::move(ends));
  }
  Group* group() override { return options_.instance.empty() ? nullptr : &group_; }
  void close() override { close_now(); }

 private:
  void close_now() {
    group_.close();
    readers_.close();
    writer_.close();
  }

  const PostgresStateOptions options_;
  PostgresHealth health_;
  PostgresSessions sessions_;
  PostgresReaders readers_;
  PostgresWriter writer_;
  PostgresGroup group_;
};

/// Readers alone, with what they need.
class PostgresStateReader final : public StateReader {
 public:
  explicit PostgresStateReader(const PostgresStateOptions& options)
      : sessions_(options), readers_(sessions_, health_, options.readers, {}) {}

  Result<void> start() { return readers_.check_format(); }

  Result<std::optional<std::string>> get(Table table, std::string_view key) override {
    return readers_.get(table, key);
  }
  Result<std::vector<std::optional<std::string>>> get_many(
      Table table, std::span<const std::string> keys) override {
    return readers_.get_many(table, keys);
  }
  Result<std::vector<Row>> scan(Table table, std::string_view prefix, std::string_view after,
                                std::size_t rows_max) override {
    return readers_.scan(table, prefix, after, rows_max);
  }
  Result<std::uint64_t> count(Table table, std::string_view prefix) override {
    return readers_.count(table, prefix);
  }

 private:
  PostgresHealth health_;
  PostgresSessions sessions_;
  PostgresReaders readers_;
};

Result<void> check_values(StateReader& reader, Table table, std::vector<std::string>& findings) {
  std::string after;
  while (findings.size() < kFindingsMax) {
    MILLRACE_TRY(rows, reader.scan(table, "", after, kRowsPerScan));
    for (const Row& row : rows) {
      // Written as the log gives it, and opaque here.
      if (table == Table::meta && row.key == "journal_ends") continue;
      const auto value = parse_json(row.value);
      if (!value)
        findings.push_back(fmt::format("{} {}: value is not JSON: {}", to_string(table),
                                       printable_key(row.key), value.error().message));
    }
    if (rows.size() < kRowsPerScan) return {};
    after = rows.back().key;
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<StateStore>> open_postgresql_state(PostgresStateOptions options) {
  MILLRACE_CHECK_OK(check_postgres_conninfo(options.conninfo));
  auto store = std::make_unique<PostgresStateStore>(std::move(options));
  MILLRACE_CHECK_OK(store->start());
  return store;
}

Result<std::unique_ptr<StateReader>> open_postgresql_reader(const PostgresStateOptions& options) {
  MILLRACE_CHECK_OK(check_postgres_conninfo(options.conninfo));
  auto reader = std::make_unique<PostgresStateReader>(options);
  MILLRACE_CHECK_OK(reader->start());
  return reader;
}

Result<std::vector<std::string>> verify_postgresql_state(const PostgresStateOptions& options) {
  MILLRACE_TRY(reader, open_postgresql_reader(options));
  std::vector<std::string> findings;
  for (std::size_t i = 0; i < kTableCount; ++i)
    MILLRACE_CHECK_OK(check_values(*reader, static_cast<Table>(i), findings));
  return findings;
}

}  // namespace millrace
