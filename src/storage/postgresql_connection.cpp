#include "storage/postgresql_connection.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "storage/postgresql_values.hpp"

namespace millrace {

namespace {

constexpr int kBinary = 1;

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using Options = std::unique_ptr<PQconninfoOption, FreeOptions>;

Options parse(const std::string& conninfo, std::string& problem) {
  char* message = nullptr;
  Options options(PQconninfoParse(conninfo.c_str(), &message));
  if (message != nullptr) {
    problem = one_line(message);
    PQfreemem(message);
  }
  return options;
}

// What the operator did not say: a peer that is silent is given up after about 15 s.
constexpr std::array<std::pair<const char*, const char*>, 5> kDefaults{{
    {"keepalives", "1"},
    {"keepalives_idle", "5"},
    {"keepalives_interval", "3"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "15000"},
}};

}  // namespace

void PostgresRows::Clear::operator()(pg_result* result) const {
  PQclear(result);
}
std::size_t PostgresRows::size() const {
  return static_cast<std::size_t>(PQntuples(result_.get()));
}
bool PostgresRows::is_null(std::size_t row, int column) const {
  return PQgetisnull(result_.get(), static_cast<int>(row), column) != 0;
}
std::string_view PostgresRows::bytes(std::size_t row, int column) const {
  return {PQgetvalue(result_.get(), static_cast<int>(row), column),
          static_cast<std::size_t>(PQgetlength(result_.get(), static_cast<int>(row), column))};
}
std::int64_t PostgresRows::integer(std::size_t row, int column) const {
  return integer_of(bytes(row, column));
}
bool PostgresRows::boolean(std::size_t row, int column) const {
  const auto value = bytes(row, column);
  return value.size() == 1 && value.front() != 0;
}
std::size_t PostgresRows::affected() const {
  const std::string_view text = PQcmdTuples(result_.get());
  std::size_t rows = 0;
  std::from_chars(text.data(), text.data() + text.size(), rows);
  return rows;
}
std::string_view PostgresRows::command() const {
  return PQcmdStatus(result_.get());
}

Result<void> check_postgres_conninfo(const std::string& conninfo) {
  std::string problem;
  if (parse(conninfo, problem)) return {};
  return fail(Errc::config,
              fmt::format("`state.postgresql` is no connection string: {}; write for example "
                          "\"host=db.example.com dbname=millrace user=millrace\"",
                          problem));
}

std::string shown_postgres_conninfo(const std::string& conninfo) {
  std::string problem;
  const auto options = parse(conninfo, problem);
  if (!options) return "(unreadable)";
  std::string shown;
  for (const auto* option = options.get(); option->keyword != nullptr; ++option) {
    const std::string_view key = option->keyword;
    if (option->val == nullptr || key.find("password") != key.npos || key == "sslkey") continue;
    shown += fmt::format("{}{}={}", shown.empty() ? "" : " ", key, option->val);
  }
  return shown;
}

PostgresResult<std::unique_ptr<PostgresConnection>> PostgresConnection::open(
    SocketLoop& loop, const std::string& conninfo, const std::string& application_name,
    Deadline deadline) {
  std::string problem;
  const auto options = parse(conninfo, problem);
  if (!options)
    return std::unexpected(PostgresError{PostgresError::Kind::setup, "", std::move(problem)});
  std::vector<const char*> keys;
  std::vector<const char*> values;
  const auto add = [&](const char* key, const char* value) {
    keys.push_back(key);
    values.push_back(value);
  };
  const auto said = [&](std::string_view key) {
    for (const auto* option = options.get(); option->keyword != nullptr; ++option)
      if (key == option->keyword) return option->val != nullptr;
    return false;
  };
  for (const auto& [key, value] : kDefaults)
    if (!said(key)) add(key, value);
  for (const auto* option = options.get(); option->keyword != nullptr; ++option)
    if (option->val != nullptr) add(option->keyword, option->val);
  add("application_name", application_name.c_str());
  add(nullptr, nullptr);
  pg_conn* pg = PQconnectStartParams(keys.data(), values.data(), 0);
  if (pg == nullptr)
    return std::unexpected(PostgresError{PostgresError::Kind::away, "", "out of memory"});
  std::unique_ptr<PostgresConnection> made(new PostgresConnection(loop, pg));
  auto connected = made->finish_connecting(deadline);
  if (!connected) return std::unexpected(std::move(connected).error());
  return made;
}

PostgresConnection::~PostgresConnection() {
  loop_.watch(-1);
  PQfinish(pg_);
}

PostgresResult<void> PostgresConnection::finish_connecting(Deadline deadline) {
  const auto failed = [&](std::string message) {
    const auto kind = kind_of_connect_failure(message);
    lost_ = true;
    return std::unexpected(PostgresError{kind, "", std::move(message)});
  };
  if (PQstatus(pg_) == CONNECTION_BAD) return failed(one_line(PQerrorMessage(pg_)));
  PostgresPollingStatusType step = PGRES_POLLING_WRITING;
  while (step != PGRES_POLLING_OK) {
    // libpq may close the socket and open another one for the next address.
    loop_.watch(PQsocket(pg_));
    const auto woken = [&] {
      while (true) {
        const auto how = loop_.wait(step == PGRES_POLLING_WRITING, deadline);
        if (how != SocketLoop::Woken::woken) return how;
      }
    }();
    loop_.watch(-1);
    if (woken == SocketLoop::Woken::cancelled) return failed("the wait was called off");
    if (woken == SocketLoop::Woken::timed_out)
      return failed(fmt::format("no answer while connecting to {}",
                                PQhost(pg_) != nullptr ? PQhost(pg_) : "the server"));
    step = PQconnectPoll(pg_);
    if (step == PGRES_POLLING_FAILED) return failed(one_line(PQerrorMessage(pg_)));
  }
  loop_.watch(PQsocket(pg_));
  // The server's notices would go to stderr.
  PQsetNoticeReceiver(pg_, [](void*, const PGresult*) {}, nullptr);
  if (PQsetnonblocking(pg_, 1) != 0 || PQenterPipelineMode(pg_) != 1)
    return failed(one_line(PQerrorMessage(pg_)));
  return {};
}

PostgresError PostgresConnection::lost(std::string message) {
  lost_ = true;
  return {PostgresError::Kind::lost, "", std::move(message)};
}

PostgresError PostgresConnection::error_of(const pg_result* result) const {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  PostgresError error;
  error.sqlstate = state == nullptr ? "" : state;
  error.message = one_line(text == nullptr ? PQresultErrorMessage(result) : text);
  // Without a SQLSTATE the error is libpq's own: the connection.
  error.kind =
      error.sqlstate.empty() ? PostgresError::Kind::lost : kind_of_sqlstate(error.sqlstate);
  return error;
}

PostgresResult<void> PostgresConnection::wait(bool for_writing, Deadline deadline) {
  while (true) {
    switch (loop_.wait(for_writing, deadline)) {
      case SocketLoop::Woken::ready:
        return {};
      case SocketLoop::Woken::woken:
        continue;
      case SocketLoop::Woken::cancelled:
        return std::unexpected(lost("the wait was called off"));
      case SocketLoop::Woken::timed_out:
        return std::unexpected(lost("the server does not answer"));
    }
  }
}

PostgresResult<void> PostgresConnection::send(const PostgresStatement& statement) {
  std::vector<const char*> values;
  std::vector<int> lengths;
  std::vector<int> formats(statement.values.size(), kBinary);
  for (const auto& value : statement.values) {
    values.push_back(value.data());
    lengths.push_back(static_cast<int>(value.size()));
  }
  const int count = static_cast<int>(values.size());
  const auto check = [&](int sent) -> PostgresResult<void> {
    if (sent == 1) return {};
    return std::unexpected(lost(one_line(PQerrorMessage(pg_))));
  };
  if (!statement.is_kept) {
    expected_.push_back({});
    return check(PQsendQueryParams(pg_, statement.sql.c_str(), count, nullptr, values.data(),
                                   lengths.data(), formats.data(), kBinary));
  }
  auto kept = kept_.find(statement.sql);
  if (kept == kept_.end()) {
    kept = kept_.emplace(statement.sql, fmt::format("s{}", ++names_)).first;
    expected_.push_back({true, statement.sql});
    auto prepared =
        check(PQsendPrepare(pg_, kept->second.c_str(), statement.sql.c_str(), 0, nullptr));
    if (!prepared) return prepared;
  }
  expected_.push_back({});
  return check(PQsendQueryPrepared(pg_, kept->second.c_str(), count, values.data(), lengths.data(),
                                   formats.data(), kBinary));
}

PostgresResult<void> PostgresConnection::flush(Deadline deadline) {
  while (true) {
    const int left = PQflush(pg_);
    if (left == 0) return {};
    if (left < 0) return std::unexpected(lost(one_line(PQerrorMessage(pg_))));
    auto ready = wait(true, deadline);
    if (!ready) return ready;
    // What the server says meanwhile is taken in, or both sides would wait for each other.
    if (PQconsumeInput(pg_) == 0) return std::unexpected(lost(one_line(PQerrorMessage(pg_))));
  }
}

PostgresResult<pg_result*> PostgresConnection::next(Deadline deadline) {
  while (PQisBusy(pg_) != 0) {
    auto ready = wait(false, deadline);
    if (!ready) return std::unexpected(std::move(ready).error());
    if (PQconsumeInput(pg_) == 0) return std::unexpected(lost(one_line(PQerrorMessage(pg_))));
  }
  return PQgetResult(pg_);
}

PostgresResult<std::vector<PostgresRows>> PostgresConnection::run(
    std::span<const PostgresStatement> statements, Deadline deadline) {
  if (lost_) return std::unexpected(lost("the connection is gone"));
  expected_.clear();
  for (const auto& statement : statements) {
    auto sent = send(statement);
    if (!sent) return std::unexpected(std::move(sent).error());
  }
  if (PQpipelineSync(pg_) != 1) return std::unexpected(lost(one_line(PQerrorMessage(pg_))));
  auto flushed = flush(deadline);
  if (!flushed) return std::unexpected(std::move(flushed).error());
  return collect(statements, deadline);
}

PostgresResult<std::vector<PostgresRows>> PostgresConnection::collect(
    std::span<const PostgresStatement> statements, Deadline deadline) {
  std::vector<PostgresRows> rows;
  rows.reserve(statements.size());
  std::optional<PostgresError> error;
  for (const Expected& expected : expected_) {
    bool good = false;
    while (true) {
      auto result = next(deadline);
      if (!result) {
        // An administrator's words say more than "the connection was closed".
        if (error && error->kind == PostgresError::Kind::lost) break;
        return std::unexpected(std::move(result).error());
      }
      if (*result == nullptr) break;
      PostgresRows one(*result);
      const auto status = PQresultStatus(*result);
      if (status == PGRES_FATAL_ERROR && !error) error = error_of(*result);
      good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
      if (good && !expected.is_prepare) rows.push_back(std::move(one));
      if (PQstatus(pg_) == CONNECTION_BAD) break;
    }
    if (expected.is_prepare && !good) kept_.erase(expected.sql);
    if (PQstatus(pg_) == CONNECTION_BAD || (error && error->kind == PostgresError::Kind::lost)) {
      const std::string why = error ? error->message : one_line(PQerrorMessage(pg_));
      return std::unexpected(lost(why));
    }
  }
  auto synced = next(deadline);
  if (!synced) return std::unexpected(std::move(synced).error());
  PostgresRows sync(*synced);
  if (error) return std::unexpected(*std::move(error));
  if (*synced == nullptr || PQresultStatus(*synced) != PGRES_PIPELINE_SYNC)
    return std::unexpected(lost("the server lost its place in the pipeline"));
  return rows;
}

PostgresResult<PostgresRows> PostgresConnection::run(PostgresStatement statement,
                                                     Deadline deadline) {
  auto rows = run(std::span(&statement, 1), deadline);
  if (!rows) return std::unexpected(std::move(rows).error());
  return std::move(rows->front());
}

SocketLoop::Woken PostgresConnection::idle(Deadline deadline) {
  const auto woken = loop_.wait(false, deadline);
  if (woken != SocketLoop::Woken::ready) return woken;
  if (PQconsumeInput(pg_) == 0 || PQstatus(pg_) == CONNECTION_BAD) {
    lost_ = true;
    return SocketLoop::Woken::ready;
  }
  return SocketLoop::Woken::woken;  // a notice, or a changed setting
}

bool PostgresConnection::in_transaction() const {
  const auto status = PQtransactionStatus(pg_);
  return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

int PostgresConnection::backend_pid() const {
  return PQbackendPID(pg_);
}

std::string PostgresConnection::server_version() const {
  const char* version = PQparameterStatus(pg_, "server_version");
  return version == nullptr ? "" : version;
}

}  // namespace millrace
