// What an answer, or the lack of one, means for a delivery (semantics 5, "Answers").
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "millrace/connector.hpp"

namespace millrace::connectors {

/// Longest Retry-After believed; beyond it the target is probed like any other.
inline constexpr milliseconds kRetryAfterMax{std::chrono::hours(1)};
/// Part of an answer's body that is kept with the outcome.
inline constexpr std::size_t kAnswerKeptBytesMax = 64 * 1024;
/// Part of an answer's body that a reason quotes.
inline constexpr std::size_t kReasonQuoteMax = 200;

/// Seconds or an HTTP date (RFC 9110, 10.2.3) as time from `now`, within [0, kRetryAfterMax].
std::optional<milliseconds> parse_retry_after(std::string_view text, WallTime now);

/// The outcome of a request that was answered.
Outcome judge_answer(HttpResponse answer, WallTime now);
/// The outcome of a request that was not, or not wholly.
Outcome judge_failure(const Error& error);
/// The outcome of a check: any answer of the application shows that it is there.
Outcome judge_check(HttpResponse answer, WallTime now);

/// At most `max` bytes as one printable line: control characters become spaces, and invalid UTF-8
/// becomes '?'.
std::string printable(std::string_view bytes, std::size_t max = kReasonQuoteMax);

}  // namespace millrace::connectors
