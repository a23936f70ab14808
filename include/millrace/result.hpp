// Expected failures are values: Result<T> carries T or an Error an operator can act on.
// Exceptions are for start-up that cannot go on and as the net under each task.
#pragma once

#include <cstdint>
#include <expected>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

namespace millrace {

/// What went wrong, in one closed list. `retryable` says whether trying again can help.
enum class Errc : std::uint8_t {
  invalid_argument,     ///< the caller's input does not have the required form
  malformed,            ///< bytes that cannot be parsed
  too_deep,             ///< nesting beyond the limit
  too_large,            ///< beyond a named size limit
  unauthorized,         ///< no or wrong credential
  forbidden,            ///< known, but not allowed
  not_found,            ///< no such object
  conflict,             ///< contradicts what is already there
  schema_violation,     ///< does not fit the entity's schema
  not_supported,        ///< known to the design, not built yet
  config,               ///< a configuration problem
  expression_compile,   ///< an expression that cannot be loaded
  expression_failed,    ///< an expression that failed at run time (also `error(...)`)
  budget_exceeded,      ///< steps, depth or output size of an evaluation
  needs_lookup,         ///< evaluation needs a state row that is not in memory; fetch and repeat
  missing_reference,    ///< `xref` or `lookup` with `missing: park` found nothing
  precondition_failed,  ///< a state batch whose precondition does not hold
  disk_full,            ///< no space left; nothing was written
  disk_failed,          ///< write or fsync failed; final, the process stops
  corrupt,              ///< data on disk fails its checks
  locked,               ///< another process holds the directory
  wrong_environment,    ///< state or log of another installation or environment
  newer_format,         ///< data written by a newer version
  stopping,             ///< the process or object is shutting down
  overloaded,           ///< a named bound is reached; try later
  state_away,           ///< the state store does not answer; it is waited for
  not_connected,        ///< connection refused or lost before anything was sent
  name_resolution,      ///< DNS failure
  tls,                  ///< TLS handshake or verification failure
  egress_denied,        ///< the egress gate does not allow the address
  timeout_before_send,  ///< deadline reached before the request was sent
  unanswered,           ///< sent, at least in part, and no full answer: outcome unknown
  protocol,             ///< the peer broke its protocol
  peer_rejected,        ///< the peer understood and refused; repeating changes nothing
  peer_unavailable,     ///< the peer asks to come back later
  peer_auth,            ///< the peer refuses our credential
  hidden,               ///< the record exists, but our login may not read it
  internal              ///< a broken expectation inside Millrace
};

/// The code's name as operators see it in logs and JSON, e.g. "disk_full".
std::string_view to_string(Errc code);

/// Whether repeating the same call later can succeed without anyone changing anything.
bool is_retryable(Errc code);

/// An expected failure: code, a sentence for the operator, and where it arose.
struct Error {
  Errc code = Errc::internal;
  std::string message;
  std::source_location where;

  Error(Errc error_code, std::string text,
        std::source_location location = std::source_location::current())
      : code(error_code), message(std::move(text)), where(location) {}
};

template <typename T>
using Result = std::expected<T, Error>;

/// Makes the unexpected side of a Result: `return fail(Errc::not_found, "...")`.
inline std::unexpected<Error> fail(
    Errc code, std::string message,
    std::source_location location = std::source_location::current()) {
  return std::unexpected<Error>(Error(code, std::move(message), location));
}

/// Prints the message with file and line and aborts. For broken invariants, in release too.
[[noreturn]] void abort_with(std::string_view message,
                             std::source_location location = std::source_location::current());

}  // namespace millrace

#define MILLRACE_CONCAT_(a, b) a##b
#define MILLRACE_CONCAT(a, b) MILLRACE_CONCAT_(a, b)

/// `MILLRACE_TRY(name, expression);` declares `name` or returns the error.
#define MILLRACE_TRY(name, ...)                                                    \
  auto MILLRACE_CONCAT(result_, __LINE__) = (__VA_ARGS__);                         \
  if (!MILLRACE_CONCAT(result_, __LINE__))                                         \
    return std::unexpected(std::move(MILLRACE_CONCAT(result_, __LINE__)).error()); \
  auto name = *std::move(MILLRACE_CONCAT(result_, __LINE__))

/// `MILLRACE_CHECK_OK(expression);` returns the error of a Result<void>.
#define MILLRACE_CHECK_OK(...)                                                    \
  do {                                                                            \
    auto check_result_ = (__VA_ARGS__);                                           \
    if (!check_result_) return std::unexpected(std::move(check_result_).error()); \
  } while (false)

/// The same two for coroutines that return awaitable<Result<...>>.
#define MILLRACE_CO_TRY(name, ...)                                                    \
  auto MILLRACE_CONCAT(result_, __LINE__) = (__VA_ARGS__);                            \
  if (!MILLRACE_CONCAT(result_, __LINE__))                                            \
    co_return std::unexpected(std::move(MILLRACE_CONCAT(result_, __LINE__)).error()); \
  auto name = *std::move(MILLRACE_CONCAT(result_, __LINE__))

#define MILLRACE_CO_CHECK_OK(...)                                                    \
  do {                                                                               \
    auto check_result_ = (__VA_ARGS__);                                              \
    if (!check_result_) co_return std::unexpected(std::move(check_result_).error()); \
  } while (false)

/// An invariant that holds in release builds too.
#define MILLRACE_INVARIANT(condition)                                          \
  do {                                                                         \
    if (!(condition)) ::millrace::abort_with("broken invariant: " #condition); \
  } while (false)
