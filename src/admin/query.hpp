// Query strings and path segments.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::admin {

/// %XX decoded, and '+' to a space where `plus_is_space`; nullopt for a broken escape.
std::optional<std::string> decode_component(std::string_view text, bool plus_is_space);

/// "a=1&b=x%20y" as pairs in order; a name without '=' has the value "". nullopt for broken
/// escapes.
std::optional<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view query);

}  // namespace millrace::admin
