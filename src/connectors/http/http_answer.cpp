#include "connectors/http/http_answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>

#include "millrace/utf8.hpp"

namespace millrace::connectors {
namespace {

/// Seconds since 1970 of an IMF-fixdate ("Sun, 06 Nov 1994 08:49:37 GMT"), the one form in use.
std::optional<seconds> parse_http_date(const std::string& text) {
  std::tm when{};
  const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &when);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return seconds(timegm(&when));
}

Outcome make(Outcome::Kind kind, Outcome::Scope scope, std::string reason) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.scope = scope;
  outcome.reason = std::move(reason);
  return outcome;
}

bool is_temporary(int status) {
  return status == 408 || status == 425 || status == 429 || (status >= 500 && status <= 599);
}

std::string quoted(const HttpResponse& answer) {
  const std::string text = printable(answer.body);
  return text.empty() ? std::string() : ": " + text;
}

Outcome judge_status(const HttpResponse& answer) {
  using Kind = Outcome::Kind;
  using Scope = Outcome::Scope;
  const int status = answer.status;
  if (status >= 200 && status <= 299) return make(Kind::delivered, Scope::record, "");
  if (status == 401) {
    return make(Kind::again, Scope::target,
                "the target refuses our credential (401); check `auth` of the connection");
  }
  if (status == 407) {
    return make(Kind::again, Scope::target,
                "a proxy wants a credential (407); call the target directly or open the proxy");
  }
  if (is_temporary(status)) {
    return make(Kind::again, Scope::record,
                fmt::format("the target answered {}{}", status, quoted(answer)));
  }
  if (status >= 300 && status <= 399) {
    const auto location = header(answer.headers, "location");
    return make(Kind::rejected, Scope::record,
                fmt::format("the target answered {} to {}; redirects are not followed, write the "
                            "final address into `url`",
                            status, location ? printable(*location) : "nowhere"));
  }
  if (status >= 400 && status <= 499) {
    return make(Kind::rejected, Scope::record,
                fmt::format("the target answered {}{}", status, quoted(answer)));
  }
  return make(Kind::unknown, Scope::record,
              fmt::format("the target answered with status {}, which has no meaning here", status));
}

}  // namespace

std::string printable(std::string_view bytes, std::size_t max) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size() && text.size() < max;) {
    const auto byte = static_cast<unsigned char>(bytes[at]);
    if (byte < 0x80) {
      const bool control = byte < 0x20 || byte == 0x7F;
      if (!control) text.push_back(bytes[at]);
      if (control && !text.empty() && text.back() != ' ') text.push_back(' ');
      ++at;
      continue;
    }
    const std::size_t length = utf8_length(bytes, at);
    if (text.size() + std::max<std::size_t>(length, 1) > max) break;
    if (length == 0) {
      text.push_back('?');
    } else {
      text.append(bytes.substr(at, length));
    }
    at += std::max<std::size_t>(length, 1);
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

std::optional<milliseconds> parse_retry_after(std::string_view text, WallTime now) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  std::uint32_t count = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (end == text.data() + text.size() && !text.empty()) {
    if (problem == std::errc::result_out_of_range) return kRetryAfterMax;
    return std::min<milliseconds>(seconds(count), kRetryAfterMax);
  }
  const auto date = parse_http_date(std::string(text));
  if (!date) return std::nullopt;
  const WallTime when{std::chrono::duration_cast<microseconds>(*date)};
  const auto wait = std::chrono::duration_cast<milliseconds>(when - now);
  return std::clamp(wait, milliseconds(0), kRetryAfterMax);
}

Outcome judge_answer(HttpResponse answer, WallTime now) {
  Outcome outcome = judge_status(answer);
  if (outcome.kind == Outcome::Kind::again) {
    if (const auto after = header(answer.headers, "retry-after")) {
      outcome.retry_after = parse_retry_after(*after, now);
    }
  }
  if (answer.body.size() > kAnswerKeptBytesMax) answer.body.resize(kAnswerKeptBytesMax);
  outcome.answer = std::move(answer);
  return outcome;
}

Outcome judge_failure(const Error& error) {
  using Kind = Outcome::Kind;
  using Scope = Outcome::Scope;
  switch (error.code) {
    case Errc::not_connected:
    case Errc::name_resolution:
    case Errc::tls:
    case Errc::egress_denied:
    case Errc::timeout_before_send:
    case Errc::overloaded:
    case Errc::state_away:
    case Errc::stopping:
      return make(Kind::again, Scope::target, error.message);
    case Errc::invalid_argument:
      return make(Kind::rejected, Scope::record, error.message);
    case Errc::too_large:
      return make(Kind::unknown, Scope::record,
                  error.message + "; whether it was applied is unknown");
    default:
      return make(Kind::unknown, Scope::record, error.message);
  }
}

Outcome judge_check(HttpResponse answer, WallTime now) {
  const int status = answer.status;
  Outcome outcome = judge_answer(std::move(answer), now);
  // A gateway speaks for a target that is not there; every other answer is the target's own.
  const bool gateway = status >= 502 && status <= 504;
  if (status == 401 || status == 407) return outcome;
  outcome.kind = gateway ? Outcome::Kind::again : Outcome::Kind::delivered;
  outcome.scope = gateway ? Outcome::Scope::target : Outcome::Scope::record;
  if (!gateway) outcome.reason.clear();
  return outcome;
}

}  // namespace millrace::connectors
