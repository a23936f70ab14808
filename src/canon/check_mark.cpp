#include "canon/check_mark.hpp"

#include <algorithm>

#include "millrace/json.hpp"

namespace millrace::canon {
namespace {

std::string_view to_string(CheckMark::Asked asked) {
  switch (asked) {
    case CheckMark::Asked::recent:
      return "recent";
    case CheckMark::Asked::whole:
      return "whole";
    default:
      return "";
  }
}

}  // namespace

std::int64_t deletes_max(std::int64_t stored) {
  return std::clamp<std::int64_t>(stored / 100, 10, 100);
}

std::string check_prefix() {
  return std::string("check") + '\0';
}

std::string check_key(const std::string& model_key) {
  return check_prefix() + model_key;
}

std::string encode(const CheckMark& mark) {
  return write_json(Json(JsonObject{{"connection", mark.connection},
                                    {"model", mark.model},
                                    {"recent_at", to_rfc3339(mark.recent_at)},
                                    {"whole_at", to_rfc3339(mark.whole_at)},
                                    {"asked", to_string(mark.asked)},
                                    {"held", mark.held},
                                    {"of", mark.of},
                                    {"accepted", mark.accepted}}));
}

Result<CheckMark> decode_check(std::string_view text) {
  MILLRACE_TRY(json, parse_json(text));
  CheckMark mark;
  mark.connection = string_or(json, "connection", "");
  mark.model = string_or(json, "model", "");
  MILLRACE_TRY(recent_at, parse_rfc3339(string_or(json, "recent_at", "")));
  MILLRACE_TRY(whole_at, parse_rfc3339(string_or(json, "whole_at", "")));
  mark.recent_at = recent_at;
  mark.whole_at = whole_at;
  const std::string_view asked = string_or(json, "asked", "");
  if (asked == "recent") mark.asked = CheckMark::Asked::recent;
  if (asked == "whole") mark.asked = CheckMark::Asked::whole;
  mark.held = int_or(json, "held", 0);
  mark.of = int_or(json, "of", 0);
  mark.accepted = bool_or(json, "accepted", false);
  return mark;
}

}  // namespace millrace::canon
