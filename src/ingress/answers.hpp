// The answers of the data plane that several endpoints give, and small readers of requests.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "millrace/http.hpp"
#include "millrace/result.hpp"
#include "net/problem.hpp"

namespace millrace::ingress {

/// 200 {} as application/json.
HttpResponse accepted_hook();
/// The same for everything that does not exist and everything nobody may know of.
HttpResponse not_found();
HttpResponse method_not_allowed(std::string_view allow);
/// The answer to an error of Intake: 503 with Retry-After, or 413 for Errc::too_large.
HttpResponse refusal(const Error& error);

/// %XX decoded; nullopt for a broken escape. '+' stays a plus.
std::optional<std::string> percent_decode(std::string_view text);

}  // namespace millrace::ingress
