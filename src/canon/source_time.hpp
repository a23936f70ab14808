// Times as a source shows them: "2026-11-21 22:05:48", UTC; hooks add a fraction, readings do not.
#pragma once

#include <string>
#include <string_view>

#include "millrace/clock.hpp"

namespace millrace::canon {

/// The first 19 characters with a space between date and time; empty when there are fewer. Such
/// texts order as their times do.
std::string whole_seconds(std::string_view source_time);

/// Errc::malformed when it is no time.
Result<WallTime> parse_source_time(std::string_view source_time);
/// Whole seconds, rounded down.
std::string to_source_time(WallTime time);

}  // namespace millrace::canon
