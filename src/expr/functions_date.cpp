#include <date/date.h>
#include <date/tz.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <ctime>

#include "expr/functions.hpp"

namespace millrace::expr {
namespace {

constexpr std::size_t kFormatBytesMax = 256;
// Years 0000 to 9999, which RFC 3339 can write.
constexpr double kSecondsMin = -62167219200.0;
constexpr double kSecondsMax = 253402300799.0;

bool format_time(Evaluation& state, const std::tm& time, const Json& format, Json& out) {
  if (!format.is_string()) return state.fail("strftime/1 requires a string format");
  const std::string pattern(view(format));
  if (pattern.size() > kFormatBytesMax || pattern.find('\0') != pattern.npos) {
    return state.fail(fmt::format("a date format has at most {} bytes", kFormatBytesMax));
  }
  if (pattern.empty()) {
    out = "";
    return true;
  }
  char buffer[16 * kFormatBytesMax];
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wformat-nonliteral"
  const std::size_t size = std::strftime(buffer, sizeof buffer, pattern.c_str(), &time);
#pragma clang diagnostic pop
  if (!state.charge(size)) return false;
  out = std::string_view(buffer, size);
  return true;
}

bool utc_parts(Evaluation& state, double seconds, std::tm& time) {
  if (seconds < kSecondsMin || seconds > kSecondsMax) {
    return state.fail("the time lies outside the years 0 to 9999");
  }
  const auto whole = static_cast<std::time_t>(std::floor(seconds));
  gmtime_r(&whole, &time);
  return true;
}

// Broken-down time as jq has it: [year, month from 0, day, hours, minutes, seconds, weekday,
// yearday].
bool time_of(Evaluation& state, const Json& input, std::string_view name, std::tm& time) {
  if (is_number(input)) return utc_parts(state, to_double(input), time);
  if (!input.is_array()) {
    return state.fail(fmt::format("{} requires a number or parsed datetime inputs", name));
  }
  const JsonArray& parts = input.get_array();
  if (parts.size() < 6) {
    return state.fail(fmt::format("{} requires array of 6 numbers", name));
  }
  for (const Json& part : parts) {
    if (!is_number(part) || std::abs(to_double(part)) > 1e6) {
      return state.fail(fmt::format("{} requires parsed datetime inputs", name));
    }
  }
  const auto part = [&](std::size_t i) { return static_cast<int>(to_integer(parts[i])); };
  std::tm given{};
  given.tm_year = part(0) - 1900;
  given.tm_mon = part(1);
  given.tm_mday = part(2);
  given.tm_hour = part(3);
  given.tm_min = part(4);
  given.tm_sec = part(5);
  const std::time_t seconds = timegm(&given);
  gmtime_r(&seconds, &time);
  return true;
}

bool strftime_utc(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  std::tm time{};
  return time_of(state, input, "strftime/1", time) && format_time(state, time, *arguments[0], out);
}

bool to_date(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  std::tm time{};
  const Json format("%Y-%m-%dT%H:%M:%SZ");
  return time_of(state, input, "strftime/1", time) && format_time(state, time, format, out);
}

JsonArray parts_of(const std::tm& time, double seconds) {
  JsonArray parts;
  for (const int part :
       {time.tm_year + 1900, time.tm_mon, time.tm_mday, time.tm_hour, time.tm_min}) {
    parts.emplace_back(part);
  }
  if (seconds == std::floor(seconds)) {
    parts.emplace_back(static_cast<std::int64_t>(seconds));
  } else {
    parts.emplace_back(seconds);
  }
  parts.emplace_back(time.tm_wday);
  parts.emplace_back(time.tm_yday);
  return parts;
}

bool gmtime_parts(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (!is_number(input)) return state.fail("gmtime() requires a number");
  std::tm time{};
  const double seconds = to_double(input);
  if (!utc_parts(state, seconds, time)) return false;
  out = parts_of(time, time.tm_sec + (seconds - std::floor(seconds)));
  return true;
}

bool mktime_utc(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  std::tm time{};
  if (!input.is_array()) return state.fail("mktime requires array of 6 numbers");
  if (!time_of(state, input, "mktime", time)) return false;
  out = static_cast<std::int64_t>(timegm(&time));
  return true;
}

bool parse_time(Evaluation& state, const Json& input, const Json& format, std::tm& time) {
  if (!input.is_string()) {
    return state.fail(
        fmt::format("strptime/1 requires string inputs and arguments, not {}", describe(input)));
  }
  if (!format.is_string()) return state.fail("strptime/1 requires string inputs and arguments");
  if (view(input).size() > kFormatBytesMax || view(format).size() > kFormatBytesMax) {
    return state.fail(fmt::format("a date and its format have at most {} bytes", kFormatBytesMax));
  }
  const std::string text(view(input));
  const std::string pattern(view(format));
  const char* end = strptime(text.c_str(), pattern.c_str(), &time);
  if (end == nullptr || *end != '\0') {
    return state.fail(fmt::format("date \"{}\" does not match format \"{}\"", text, pattern));
  }
  const std::time_t seconds = timegm(&time);
  gmtime_r(&seconds, &time);
  return true;
}

bool strptime_utc(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  std::tm time{};
  if (!parse_time(state, input, *arguments[0], time)) return false;
  out = parts_of(time, time.tm_sec);
  return true;
}

bool from_date(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  std::tm time{};
  const Json format("%Y-%m-%dT%H:%M:%SZ");
  if (!parse_time(state, input, format, time)) return false;
  out = static_cast<std::int64_t>(timegm(&time));
  return true;
}

const date::time_zone* find_zone(std::string_view name) {
  try {
    return date::locate_zone(std::string(name));
  } catch (const std::exception&) {
    return nullptr;
  }
}

bool time_from(Evaluation& state, const Json& input, std::int64_t& seconds) {
  if (is_number(input)) {
    const double number = std::floor(to_double(input));
    if (number < kSecondsMin || number > kSecondsMax) {
      return state.fail("the time lies outside the years 0 to 9999");
    }
    seconds = static_cast<std::int64_t>(number);
    return true;
  }
  if (!input.is_string()) {
    return state.fail(
        fmt::format("date needs an RFC 3339 time or a number of seconds, not {}", describe(input)));
  }
  constexpr std::size_t kTimeBytesMax = 64;
  const auto parsed = parse_rfc3339(view(input).substr(0, kTimeBytesMax));
  if (!parsed || view(input).size() > kTimeBytesMax) {
    return state.fail(fmt::format(
        "date needs an RFC 3339 time such as 2026-11-21T22:05:48Z, not {}", describe(input)));
  }
  seconds = std::chrono::floor<std::chrono::seconds>(*parsed).time_since_epoch().count();
  return true;
}

// date(format; zone): strftime of a point in time, as the clocks in the zone show it.
bool date_in_zone(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  if (input.is_null()) {
    return state.fail("date needs a time, not null; write `.time // empty` or give a default");
  }
  std::int64_t seconds = 0;
  if (!time_from(state, input, seconds)) return false;
  const Json& zone_name = *arguments[1];
  if (!zone_name.is_string()) return state.fail("date needs the name of a time zone");
  const date::time_zone* zone = find_zone(view(zone_name));
  if (zone == nullptr) {
    return state.fail(fmt::format("no time zone is called {}; write for example \"Europe/Paris\"",
                                  shown(zone_name)));
  }
  std::string abbreviation;
  std::tm time{};
  try {
    const auto info = zone->get_info(date::sys_seconds(std::chrono::seconds(seconds)));
    const std::time_t local = seconds + info.offset.count();
    gmtime_r(&local, &time);
    time.tm_gmtoff = info.offset.count();
    time.tm_isdst = info.save.count() != 0 ? 1 : 0;
    abbreviation = info.abbrev;
  } catch (const std::exception& problem) {
    return state.fail(fmt::format("the time zone cannot be read: {}", problem.what()));
  }
  time.tm_zone = abbreviation.c_str();
  return format_time(state, time, *arguments[0], out);
}

}  // namespace

std::string check_constant(const FunctionEntry& entry, std::size_t argument, const Json& value) {
  if (entry.run != date_in_zone || argument != 1) return {};
  if (value.is_string() && find_zone(view(value)) != nullptr) return {};
  return fmt::format("no time zone is called {}; write for example \"Europe/Paris\"",
                     write_json(value));
}

std::vector<FunctionEntry> date_functions() {
  return {{"todate", 0, to_date},        {"todateiso8601", 0, to_date},
          {"fromdate", 0, from_date},    {"fromdateiso8601", 0, from_date},
          {"strftime", 1, strftime_utc}, {"strptime", 1, strptime_utc},
          {"gmtime", 0, gmtime_parts},   {"mktime", 0, mktime_utc},
          {"date", 2, date_in_zone}};
}

}  // namespace millrace::expr
