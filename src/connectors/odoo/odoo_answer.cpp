#include "connectors/odoo/odoo_answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace millrace::connectors {
namespace {

constexpr std::size_t kMessageBytesMax = 500;
constexpr int kSessionExpiredCode = 100;

// Failures of the database under Odoo, or of concurrency after Odoo's own five tries: later may
// work.
constexpr std::array<std::string_view, 11> kTemporary{"psycopg2.OperationalError",
                                                      "psycopg2.InterfaceError",
                                                      "psycopg2.pool.PoolError",
                                                      "psycopg2.errors.SerializationFailure",
                                                      "psycopg2.errors.LockNotAvailable",
                                                      "psycopg2.errors.DeadlockDetected",
                                                      "psycopg2.errors.AdminShutdown",
                                                      "psycopg2.errors.QueryCanceled",
                                                      "psycopg2.errors.TooManyConnections",
                                                      "psycopg2.errors.InFailedSqlTransaction",
                                                      "psycopg2.errors.ReadOnlySqlTransaction"};

/// One line of bounded length, cut between UTF-8 characters.
std::string shorten(std::string_view text) {
  std::string line(text.substr(0, kMessageBytesMax));
  while (!line.empty() && line.size() == kMessageBytesMax &&
         (static_cast<unsigned char>(line.back()) & 0xC0) == 0x80) {
    line.pop_back();
  }
  if (line.size() + 4 > kMessageBytesMax && !line.empty() &&
      static_cast<unsigned char>(line.back()) >= 0xC0) {
    line.pop_back();
  }
  std::replace(line.begin(), line.end(), '\n', ' ');
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

std::unexpected<OdooFault> fault(OdooFault::Kind kind, Errc code, std::string message) {
  return std::unexpected(OdooFault{kind, Error(code, std::move(message))});
}

std::unexpected<OdooFault> classify(const Json& error) {
  using Kind = OdooFault::Kind;
  const Json* data = find(error, "data");
  const std::string name(data ? string_or(*data, "name", "") : "");
  const std::string message =
      shorten(data ? string_or(*data, "message", "") : string_or(error, "message", ""));
  if (int_or(error, "code", 0) == kSessionExpiredCode ||
      name.ends_with("SessionExpiredException")) {
    return fault(Kind::session, Errc::peer_auth, "Odoo says the session has expired");
  }
  if (name == "odoo.exceptions.AccessDenied") {
    return fault(Kind::call, Errc::peer_auth,
                 "Odoo refuses the login; check `login` and `api_key` (keys can expire)");
  }
  if (name == "odoo.exceptions.AccessError") {
    return fault(Kind::access, Errc::hidden, message);
  }
  if (name == "psycopg2.OperationalError" && message.find("does not exist") != std::string::npos) {
    return fault(Kind::call, Errc::config,
                 fmt::format("Odoo cannot open the database; check `database`: {}", message));
  }
  if (name == "odoo.exceptions.UserError" && message.starts_with("Invalid language code")) {
    // Whatever record is read: halving the batch would call each of them guilty.
    return fault(Kind::call, Errc::config,
                 fmt::format("Odoo does not have our language active; activate it under Settings / "
                             "Translations / Languages, or change `language`: {}",
                             message));
  }
  if (std::find(kTemporary.begin(), kTemporary.end(), name) != kTemporary.end()) {
    return fault(Kind::call, Errc::peer_unavailable, fmt::format("{}: {}", name, message));
  }
  return fault(Kind::record, Errc::peer_rejected,
               fmt::format("{}: {}", name.empty() ? "Odoo" : name, message));
}

/// Why an answer that is not 200 is no answer of /jsonrpc.
std::unexpected<OdooFault> judge_status(const HttpResponse& answer) {
  const int status = answer.status;
  if (status == 429 || (status >= 502 && status <= 504)) {
    return fault(OdooFault::Kind::call, Errc::peer_unavailable,
                 fmt::format("Odoo, or the proxy before it, answered {}", status));
  }
  if (status >= 300 && status <= 399) {
    const auto location = header(answer.headers, "location");
    return fault(OdooFault::Kind::call, Errc::protocol,
                 fmt::format("/jsonrpc answered {} to {}; redirects are not followed, write Odoo's "
                             "own address into `url`",
                             status, location ? shorten(*location) : "nowhere"));
  }
  return fault(
      OdooFault::Kind::call, Errc::protocol,
      fmt::format("/jsonrpc answered {} where Odoo always answers 200; check `url` and the "
                  "proxy before Odoo",
                  status));
}

}  // namespace

OdooResult<Json> read_answer(const HttpResponse& answer) {
  if (answer.status != 200) return judge_status(answer);
  const auto type = header(answer.headers, "content-type");
  if (!type || !type->starts_with("application/json")) {
    return fault(OdooFault::Kind::call, Errc::protocol,
                 fmt::format("/jsonrpc answered {} instead of JSON; check `url`: this looks like a "
                             "web page or a proxy",
                             type ? shorten(*type) : "without a content type"));
  }
  auto parsed = parse_json(answer.body);
  if (!parsed) {
    return fault(OdooFault::Kind::call, Errc::protocol,
                 fmt::format("Odoo's answer cannot be read: {}", parsed.error().message));
  }
  if (const Json* error = find(*parsed, "error")) return classify(*error);
  const Json* result = find(*parsed, "result");
  if (result == nullptr) {
    return fault(OdooFault::Kind::call, Errc::protocol,
                 "Odoo's answer has neither `result` nor `error`; is this an Odoo 18?");
  }
  return std::move(*const_cast<Json*>(result));
}

}  // namespace millrace::connectors
