// A strict JSON reader that builds boost::json values. Boost's own parser keeps the last of two
// equal keys and turns integers beyond uint64 into doubles; order ids and amounts must not change
// silently.
#include <fmt/core.h>

#include <boost/json/value.hpp>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>

#include "core/byte_scan.hpp"
#include "millrace/json.hpp"

namespace millrace {
namespace {

// Most objects have at most so many members; growing one by one moves them again and again.
constexpr std::size_t kMembersExpected = 16;
constexpr std::size_t kMembersExpectedDeeper = 4;

class Parser {
 public:
  Parser(std::string_view text, JsonLimits limits)
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()), limits_(limits) {}

  Result<Json> run(JsonMemory memory) {
    skip_space();
    Json value(std::move(memory));
    if (!parse_value(value, 0)) return std::unexpected(std::move(*error_));
    skip_space();
    if (at_ != end_) {
      report(Errc::malformed, "something follows the JSON value");
      return std::unexpected(std::move(*error_));
    }
    return value;
  }

 private:
  bool report(Errc code, std::string_view what) {
    if (!error_) error_.emplace(code, fmt::format("{} at byte {}", what, at_ - begin_));
    return false;
  }

  void skip_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }

  bool literal(std::string_view word) {
    if (static_cast<std::size_t>(end_ - at_) < word.size() ||
        std::memcmp(at_, word.data(), word.size()) != 0) {
      return report(Errc::malformed, "unknown literal");
    }
    at_ += word.size();
    return true;
  }

  bool parse_value(Json& out, std::size_t depth) {
    if (at_ == end_) return report(Errc::malformed, "the text ends where a value should stand");
    switch (*at_) {
      case '{':
        return parse_object(out, depth + 1);
      case '[':
        return parse_array(out, depth + 1);
      case '"':
        return parse_string(out.emplace_string());
      case 't':
        out = true;
        return literal("true");
      case 'f':
        out = false;
        return literal("false");
      case 'n':
        out = nullptr;
        return literal("null");
      default:
        return parse_number(out);
    }
  }

  bool parse_object(Json& out, std::size_t depth) {
    if (depth > limits_.depth_max) {
      return report(Errc::too_deep, fmt::format("nested deeper than {}", limits_.depth_max));
    }
    JsonObject& object = out.emplace_object();
    ++at_;
    skip_space();
    if (at_ != end_ && *at_ == '}') return ++at_, true;
    boost::json::string key;
    object.reserve(depth <= 2 ? kMembersExpected : kMembersExpectedDeeper);
    for (;;) {
      skip_space();
      if (at_ == end_ || *at_ != '"') return report(Errc::malformed, "expected a quoted key");
      key.clear();
      if (!parse_string(key)) return false;
      skip_space();
      if (at_ == end_ || *at_ != ':') return report(Errc::malformed, "expected ':'");
      ++at_;
      skip_space();
      const auto [member, inserted] = object.emplace(key, nullptr);
      if (!inserted)
        return report(Errc::malformed, fmt::format("duplicate key \"{}\"", key.c_str()));
      if (!parse_value(member->value(), depth)) return false;
      skip_space();
      if (at_ != end_ && *at_ == ',') {
        ++at_;
        continue;
      }
      if (at_ != end_ && *at_ == '}') return ++at_, true;
      return report(Errc::malformed, "expected ',' or '}'");
    }
  }

  bool parse_array(Json& out, std::size_t depth) {
    if (depth > limits_.depth_max) {
      return report(Errc::too_deep, fmt::format("nested deeper than {}", limits_.depth_max));
    }
    JsonArray& array = out.emplace_array();
    ++at_;
    skip_space();
    if (at_ != end_ && *at_ == ']') return ++at_, true;
    for (;;) {
      skip_space();
      if (!parse_value(array.emplace_back(nullptr), depth)) return false;
      skip_space();
      if (at_ != end_ && *at_ == ',') {
        ++at_;
        continue;
      }
      if (at_ != end_ && *at_ == ']') return ++at_, true;
      return report(Errc::malformed, "expected ',' or ']'");
    }
  }

  bool parse_number(Json& out) {
    const char* start = at_;
    if (at_ != end_ && *at_ == '-') ++at_;
    if (at_ == end_ || *at_ < '0' || *at_ > '9') return report(Errc::malformed, "expected a value");
    if (*at_ == '0') {
      ++at_;
    } else {
      while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
    }
    bool integral = true;
    if (at_ != end_ && *at_ == '.') {
      integral = false;
      if (!digits_after()) return false;
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
      integral = false;
      if (at_ + 1 != end_ && (at_[1] == '+' || at_[1] == '-')) ++at_;
      if (!digits_after()) return false;
    }
    return integral ? store_integer(start, out) : store_double(start, out);
  }

  // Steps over one character and at least one digit.
  bool digits_after() {
    ++at_;
    if (at_ == end_ || *at_ < '0' || *at_ > '9') return report(Errc::malformed, "expected a digit");
    while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
    return true;
  }

  bool store_integer(const char* start, Json& out) {
    std::int64_t number = 0;
    if (std::from_chars(start, at_, number).ec == std::errc{}) {
      out = number;
      return true;
    }
    std::uint64_t large = 0;
    if (*start != '-' && std::from_chars(start, at_, large).ec == std::errc{}) {
      out = large;
      return true;
    }
    return report(Errc::malformed,
                  "an integer beyond 64 bits would lose digits; send it as a string");
  }

  bool store_double(const char* start, Json& out) {
    double number = 0;
    const auto parsed = std::from_chars(start, at_, number);
    if (parsed.ec == std::errc::result_out_of_range) {
      // Too small for a double is zero; too large is refused.
      const std::string_view text(start, static_cast<std::size_t>(at_ - start));
      if (text.find("e-") == text.npos && text.find("E-") == text.npos) {
        return report(Errc::malformed, "a number beyond the range of a double");
      }
      number = *start == '-' ? -0.0 : 0.0;
    }
    out = number;
    return true;
  }

  bool parse_string(boost::json::string& out) {
    ++at_;
    for (;;) {
      const char* run = at_;
      at_ += find_special<true, '"', '\\'>({at_, static_cast<std::size_t>(end_ - at_)});
      if (at_ != run) out.append({run, static_cast<std::size_t>(at_ - run)});
      if (at_ == end_) return report(Errc::malformed, "the text ends inside a string");
      if (*at_ == '"') return ++at_, true;
      if (*at_ == '\\') {
        if (!parse_escape(out)) return false;
      } else if (*at_ == '\x7F') {  // the one control character that JSON allows
        out.push_back(*at_++);
      } else if (static_cast<unsigned char>(*at_) < 0x20) {
        return report(Errc::malformed, "a control character inside a string");
      } else if (!copy_utf8(out)) {
        return false;
      }
    }
  }

  bool parse_escape(boost::json::string& out) {
    if (++at_ == end_) return report(Errc::malformed, "the text ends inside an escape");
    switch (const char c = *at_++; c) {
      case '"':
      case '\\':
      case '/':
        out.push_back(c);
        return true;
      case 'b':
        out.push_back('\b');
        return true;
      case 'f':
        out.push_back('\f');
        return true;
      case 'n':
        out.push_back('\n');
        return true;
      case 'r':
        out.push_back('\r');
        return true;
      case 't':
        out.push_back('\t');
        return true;
      case 'u':
        return parse_unicode(out);
      default:
        return report(Errc::malformed, "unknown escape");
    }
  }

  bool hex4(std::uint32_t& code) {
    if (end_ - at_ < 4) return report(Errc::malformed, "the text ends inside an escape");
    const auto parsed = std::from_chars(at_, at_ + 4, code, 16);
    if (parsed.ec != std::errc{} || parsed.ptr != at_ + 4) {
      return report(Errc::malformed, "expected four hex digits");
    }
    at_ += 4;
    return true;
  }

  bool parse_unicode(boost::json::string& out) {
    std::uint32_t code = 0;
    if (!hex4(code)) return false;
    if (code >= 0xDC00 && code <= 0xDFFF) return report(Errc::malformed, "a lone surrogate");
    if (code >= 0xD800 && code <= 0xDBFF) {
      if (end_ - at_ < 6 || at_[0] != '\\' || at_[1] != 'u') {
        return report(Errc::malformed, "a lone surrogate");
      }
      at_ += 2;
      std::uint32_t low = 0;
      if (!hex4(low)) return false;
      if (low < 0xDC00 || low > 0xDFFF) return report(Errc::malformed, "a lone surrogate");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_code_point(out, code);
    return true;
  }

  static void append_code_point(boost::json::string& out, std::uint32_t code) {
    const auto byte = [&out](std::uint32_t value) { out.push_back(static_cast<char>(value)); };
    if (code < 0x80) {
      byte(code);
    } else if (code < 0x800) {
      byte(0xC0 | code >> 6);
      byte(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      byte(0xE0 | code >> 12);
      byte(0x80 | (code >> 6 & 0x3F));
      byte(0x80 | (code & 0x3F));
    } else {
      byte(0xF0 | code >> 18);
      byte(0x80 | (code >> 12 & 0x3F));
      byte(0x80 | (code >> 6 & 0x3F));
      byte(0x80 | (code & 0x3F));
    }
  }

  // One multi-byte character, checked for overlong forms, surrogates and range (RFC 3629).
  bool copy_utf8(boost::json::string& out) {
    const auto first = static_cast<unsigned char>(*at_);
    const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4 || end_ - at_ <= more) {
      return report(Errc::malformed, "invalid UTF-8");
    }
    std::uint32_t code = first & (0x3F >> more);
    for (int i = 1; i <= more; ++i) {
      const auto next = static_cast<unsigned char>(at_[i]);
      if ((next & 0xC0) != 0x80) return report(Errc::malformed, "invalid UTF-8");
      code = code << 6 | (next & 0x3F);
    }
    const bool overlong = (more == 2 && code < 0x800) || (more == 3 && code < 0x10000);
    if (overlong || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
      return report(Errc::malformed, "invalid UTF-8");
    }
    out.append({at_, static_cast<std::size_t>(more + 1)});
    at_ += more + 1;
    return true;
  }

  const char* begin_;
  const char* at_;
  const char* end_;
  JsonLimits limits_;
  std::optional<Error> error_;
};

}  // namespace

Result<Json> parse_json(std::string_view text, JsonLimits limits, JsonMemory memory) {
  return Parser(text, limits).run(std::move(memory));
}

}  // namespace millrace
