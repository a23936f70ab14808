#include "storage/postgresql_error.hpp"

#include <algorithm>
#include <array>

namespace millrace {

namespace {

// https://www.postgresql.org/docs/15/errcodes-appendix.html
constexpr std::array<std::string_view, 3> kConflicts = {"40001", "40P01", "55P03"};

// Classes and codes that end by themselves or by a person's hand on the server: a restart (57P01 to
// 57P03), a standby (25006), a right that was taken (42501), tables that were renamed away (42P01,
// 3F000), no free slot or memory (53), a cancelled statement (57014), a failing disk (58).
constexpr std::array<std::string_view, 7> kAwayCodes = {"25006", "42501", "42P01", "3F000",
                                                        "57014", "25P02", "25P03"};
constexpr std::array<std::string_view, 3> kAwayClasses = {"53", "57", "58"};

constexpr std::array<std::string_view, 6> kSetupTexts = {
    "password authentication failed", "no password supplied",      "does not exist",
    "no pg_hba.conf entry",           "certificate verify failed", "authentication failed"};

template <typename List>
bool is_among(const List& list, std::string_view what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

}  // namespace

PostgresError::Kind kind_of_sqlstate(std::string_view sqlstate) {
  using Kind = PostgresError::Kind;
  if (is_among(kConflicts, sqlstate)) return Kind::conflict;
  if (sqlstate == "53100") return Kind::full;
  // The server closes the connection after these.
  if (sqlstate == "57P01" || sqlstate == "57P02" || sqlstate == "57P03" || sqlstate == "57P05" ||
      sqlstate == "25P03" || sqlstate.starts_with("08"))
    return Kind::lost;
  if (is_among(kAwayCodes, sqlstate) || is_among(kAwayClasses, sqlstate.substr(0, 2)))
    return Kind::away;
  return Kind::final;
}

PostgresError::Kind kind_of_connect_failure(std::string_view message) {
  const bool setup = std::any_of(kSetupTexts.begin(), kSetupTexts.end(), [&](auto text) {
    return message.find(text) != std::string_view::npos;
  });
  return setup ? PostgresError::Kind::setup : PostgresError::Kind::away;
}

std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool space = c == '\n' || c == '\r' || c == '\t' || c == ' ';
    if (!space)
      out.push_back(c);
    else if (!out.empty() && out.back() != ' ')
      out.push_back(' ');
  }
  // libpq's guess at why a server closed a connection tells an operator nothing.
  out.resize(std::min(out.find(" This probably means"), out.size()));
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

Error PostgresError::to_error() const {
  switch (kind) {
    case Kind::lost:
    case Kind::conflict:
    case Kind::away:
      return {Errc::state_away, message};
    case Kind::full:
      return {Errc::disk_full, message};
    case Kind::setup:
      return {Errc::config, message};
    case Kind::final:
      break;
  }
  return {Errc::internal, sqlstate.empty() ? message : message + " (SQLSTATE " + sqlstate + ")"};
}

}  // namespace millrace
