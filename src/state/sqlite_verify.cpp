#include <fmt/format.h>

#include "millrace/json.hpp"
#include "state/sqlite_connection.hpp"
#include "state/sqlite_schema.hpp"
#include "state/sqlite_state.hpp"

namespace millrace {

namespace {

constexpr std::size_t kFindingsMax = 100;
constexpr std::string_view kSound = "ok";

Result<void> check_pages(Connection& connection, std::vector<std::string>& findings) {
  MILLRACE_TRY(statement,
               connection.prepare(fmt::format("PRAGMA integrity_check({})", kFindingsMax)));
  while (true) {
    MILLRACE_TRY(found, statement.step());
    if (!found) return {};
    auto finding = statement.column(0);
    if (finding != kSound) findings.push_back(std::move(finding));
  }
}

Result<void> check_values(Connection& connection, Table table, std::vector<std::string>& findings) {
  if (table == Table::xref) return {};  // the id as the system gave it
  MILLRACE_TRY(statement,
               connection.prepare(fmt::format("SELECT key,value FROM \"{}\"", to_string(table))));
  while (findings.size() < kFindingsMax) {
    MILLRACE_TRY(found, statement.step());
    if (!found) return {};
    const auto key = statement.column(0);
    // Written as the log gives it, and opaque here.
    if (table == Table::meta && key == "journal_ends") continue;
    const auto value = parse_json(statement.column(1));
    if (!value)
      findings.push_back(fmt::format("{} {}: value is not JSON: {}", to_string(table),
                                     printable_key(key), value.error().message));
  }
  return {};
}

Result<void> check_all(Connection& connection, std::vector<std::string>& findings) {
  MILLRACE_CHECK_OK(check_pages(connection, findings));
  // Values of a damaged file say nothing more.
  if (!findings.empty()) return {};
  for (std::size_t i = 0; i < kTableCount; ++i)
    MILLRACE_CHECK_OK(check_values(connection, static_cast<Table>(i), findings));
  return {};
}

}  // namespace

Result<std::vector<std::string>> verify_sqlite_state(const std::string& path) {
  MILLRACE_TRY(connection, Connection::open(path, DatabaseMode::read_only));
  MILLRACE_CHECK_OK(check_format(connection, path));
  std::vector<std::string> findings;
  auto checked = check_all(connection, findings);
  if (checked) return findings;
  // Some damage ends the check itself; that is a finding too.
  if (checked.error().code != Errc::corrupt) return std::unexpected(std::move(checked).error());
  findings.push_back(checked.error().message);
  return findings;
}

}  // namespace millrace
