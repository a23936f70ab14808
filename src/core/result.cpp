#include "millrace/result.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace millrace {
namespace {

struct CodeInfo {
  Errc code;
  std::string_view name;
  bool retryable;
};

// Whether to try again is a property of the code and stands here only.
constexpr std::array kCodes{
    CodeInfo{Errc::invalid_argument, "invalid_argument", false},
    CodeInfo{Errc::malformed, "malformed", false},
    CodeInfo{Errc::too_deep, "too_deep", false},
    CodeInfo{Errc::too_large, "too_large", false},
    CodeInfo{Errc::unauthorized, "unauthorized", false},
    CodeInfo{Errc::forbidden, "forbidden", false},
    CodeInfo{Errc::not_found, "not_found", false},
    CodeInfo{Errc::conflict, "conflict", false},
    CodeInfo{Errc::schema_violation, "schema_violation", false},
    CodeInfo{Errc::not_supported, "not_supported", false},
    CodeInfo{Errc::config, "config", false},
    CodeInfo{Errc::expression_compile, "expression_compile", false},
    CodeInfo{Errc::expression_failed, "expression_failed", false},
    CodeInfo{Errc::budget_exceeded, "budget_exceeded", false},
    CodeInfo{Errc::needs_lookup, "needs_lookup", true},
    CodeInfo{Errc::missing_reference, "missing_reference", false},
    CodeInfo{Errc::precondition_failed, "precondition_failed", false},
    CodeInfo{Errc::disk_full, "disk_full", true},
    CodeInfo{Errc::disk_failed, "disk_failed", false},
    CodeInfo{Errc::corrupt, "corrupt", false},
    CodeInfo{Errc::locked, "locked", false},
    CodeInfo{Errc::wrong_environment, "wrong_environment", false},
    CodeInfo{Errc::newer_format, "newer_format", false},
    CodeInfo{Errc::stopping, "stopping", true},
    CodeInfo{Errc::overloaded, "overloaded", true},
    CodeInfo{Errc::state_away, "state_away", true},
    CodeInfo{Errc::not_connected, "not_connected", true},
    CodeInfo{Errc::name_resolution, "name_resolution", true},
    CodeInfo{Errc::tls, "tls", true},
    CodeInfo{Errc::egress_denied, "egress_denied", false},
    CodeInfo{Errc::timeout_before_send, "timeout_before_send", true},
    CodeInfo{Errc::unanswered, "unanswered", true},
    CodeInfo{Errc::protocol, "protocol", true},
    CodeInfo{Errc::peer_rejected, "peer_rejected", false},
    CodeInfo{Errc::peer_unavailable, "peer_unavailable", true},
    CodeInfo{Errc::peer_auth, "peer_auth", true},
    CodeInfo{Errc::hidden, "hidden", false},
    CodeInfo{Errc::internal, "internal", false},
};
static_assert(kCodes.size() == std::to_underlying(Errc::internal) + 1u);

}  // namespace

std::string_view to_string(Errc code) {
  return kCodes.at(std::to_underlying(code)).name;
}

bool is_retryable(Errc code) {
  return kCodes.at(std::to_underlying(code)).retryable;
}

void abort_with(std::string_view message, std::source_location location) {
  std::fprintf(stderr, "millrace: %.*s (%s:%u)\n", static_cast<int>(message.size()), message.data(),
               location.file_name(), location.line());
  std::abort();
}

}  // namespace millrace
