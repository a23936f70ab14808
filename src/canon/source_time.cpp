#include "canon/source_time.hpp"

namespace millrace::canon {
namespace {

constexpr std::size_t kLength = 19;  // "2026-11-21 22:05:48"
constexpr std::size_t kSeparator = 10;

}  // namespace

std::string whole_seconds(std::string_view source_time) {
  if (source_time.size() < kLength) return "";
  std::string text(source_time.substr(0, kLength));
  text[kSeparator] = ' ';
  return text;
}

Result<WallTime> parse_source_time(std::string_view source_time) {
  std::string text = whole_seconds(source_time);
  if (text.empty()) return fail(Errc::malformed, "a source's time is too short");
  text[kSeparator] = 'T';
  return parse_rfc3339(text + "Z");
}

std::string to_source_time(WallTime time) {
  return whole_seconds(to_rfc3339(std::chrono::floor<seconds>(time)));
}

}  // namespace millrace::canon
