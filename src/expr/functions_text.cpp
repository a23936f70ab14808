#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "expr/arithmetic.hpp"
#include "expr/functions.hpp"
#include "expr/unicode.hpp"

namespace millrace::expr {
namespace {

bool give_text(Evaluation& state, std::string_view text, Json& out) {
  if (!state.charge(text.size())) return false;
  out = text;
  return true;
}

bool to_string(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (input.is_string()) return state.copy(input, out);
  std::string text;
  return append_text(state, input, text) && give_text(state, text, out);
}

bool to_json(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  std::string text;
  append_json(text, input);
  return state.steps(text.size() / 64) && give_text(state, text, out);
}

bool from_json(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (!input.is_string()) {
    return state.fail(fmt::format("{} only strings can be parsed", describe(input)));
  }
  if (!state.steps(view(input).size() / 16)) return false;
  auto parsed = parse_json(view(input));
  if (!parsed) {
    return state.fail(
        fmt::format("{} (while parsing '{}')", parsed.error().message, view(input).substr(0, 64)));
  }
  return state.take(*parsed, nullptr, out);
}

bool parse_number(std::string_view text, Json& out) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (text.find_first_of(".eE") == text.npos) {
    std::int64_t integer = 0;
    auto read = std::from_chars(begin, end, integer);
    if (read.ec == std::errc{} && read.ptr == end) {
      out = integer;
      return true;
    }
    std::uint64_t wide = 0;
    read = std::from_chars(begin, end, wide);
    if (read.ec == std::errc{} && read.ptr == end) {
      out = wide;
      return true;
    }
    return false;
  }
  double number = 0;
  const auto read = std::from_chars(begin, end, number);
  if (read.ec != std::errc{} || read.ptr != end || !std::isfinite(number)) return false;
  out = number;
  return true;
}

bool to_number(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (is_number(input)) {
    out = input;
    return true;
  }
  if (!input.is_string()) {
    return state.fail(fmt::format("{} cannot be parsed as a number", describe(input)));
  }
  std::string_view text = view(input);
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  const auto digit = text.find_first_not_of('-');
  const bool starts_well = digit != text.npos && digit <= 1 &&
                           ((text[digit] >= '0' && text[digit] <= '9') || text[digit] == '.');
  if (starts_well && parse_number(text, out)) return true;
  return state.fail(fmt::format("{} cannot be parsed as a number", describe(input)));
}

template <char From, char To, int Shift>
bool change_case(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (!input.is_string()) {
    return state.fail(From == 'A' ? "ascii_downcase input must be a string"
                                  : "ascii_upcase input must be a string");
  }
  std::string text(view(input));
  for (char& c : text) {
    if (c >= From && c <= To) c = static_cast<char>(c + Shift);
  }
  return give_text(state, text, out);
}

bool starts_with(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  if (!input.is_string() || !arguments[0]->is_string()) {
    return state.fail("startswith() requires string inputs");
  }
  out = view(input).starts_with(view(*arguments[0]));
  return true;
}

bool ends_with(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  if (!input.is_string() || !arguments[0]->is_string()) {
    return state.fail("endswith() requires string inputs");
  }
  out = view(input).ends_with(view(*arguments[0]));
  return true;
}

template <bool Left>
bool trim_string(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  const Json& part = *arguments[0];
  if (!input.is_string() || !part.is_string()) return state.copy(input, out);
  std::string_view text = view(input);
  if (Left && text.starts_with(view(part))) text.remove_prefix(view(part).size());
  if (!Left && text.ends_with(view(part))) text.remove_suffix(view(part).size());
  return give_text(state, text, out);
}

template <bool Left, bool Right>
bool trim_blanks(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (!input.is_string()) {
    return state.fail(fmt::format("{} cannot be trimmed", describe(input)));
  }
  const auto blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  std::string_view text = view(input);
  while (Left && !text.empty() && blank(text.front())) text.remove_prefix(1);
  while (Right && !text.empty() && blank(text.back())) text.remove_suffix(1);
  return give_text(state, text, out);
}

bool split(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  if (!input.is_string() || !arguments[0]->is_string()) {
    return state.fail("split input and separator must be strings");
  }
  return split_text(state, view(input), view(*arguments[0]), out);
}

bool join(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  const Json& separator = *arguments[0];
  if (!input.is_array()) {
    return state.fail(fmt::format("Cannot iterate over {}", describe(input)));
  }
  const JsonArray& items = input.get_array();
  if (items.empty()) return give_text(state, "", out);
  if (!separator.is_string() && !separator.is_null()) {
    return state.fail(fmt::format("string (\"\") and {} cannot be added", describe(separator)));
  }
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0 && separator.is_string()) text += view(separator);
    if (items[i].is_structured()) {
      return state.fail(
          fmt::format("string ({}) and {} cannot be added", shown(Json(text)), describe(items[i])));
    }
    if (!items[i].is_null() && !append_text(state, items[i], text)) return false;
    if (!state.step() || text.size() > state.context().budget.output_bytes_max) {
      return state.failed() ? false : state.charge(text.size());
    }
  }
  return give_text(state, text, out);
}

bool explode(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (!input.is_string()) return state.fail("explode input must be a string");
  JsonArray codes;
  const std::string_view text = view(input);
  for (std::size_t at = 0; at < text.size();) {
    if (!state.step() || !state.charge(kSlotBytes)) return false;
    codes.emplace_back(static_cast<std::int64_t>(next_character(text, at)));
  }
  out = std::move(codes);
  return true;
}

bool implode(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (!input.is_array()) return state.fail("implode input must be an array");
  std::string text;
  for (const Json& code : input.get_array()) {
    if (!is_number(code)) {
      return state.fail("Unicode codepoints must be numeric");
    }
    if (!state.step()) return false;
    const std::int64_t value = to_integer(code);
    const bool valid = value >= 0 && value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF);
    append_utf8(text, valid ? static_cast<char32_t>(value) : kReplacement);
  }
  return give_text(state, text, out);
}

bool byte_length(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (!input.is_string()) {
    return state.fail(fmt::format("{} only strings have UTF-8 byte length", describe(input)));
  }
  out = static_cast<std::int64_t>(view(input).size());
  return true;
}

bool ascii(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (!is_number(input) || to_integer(input) < 0 || to_integer(input) > 127) {
    return state.fail(fmt::format("{} is no ASCII code", describe(input)));
  }
  out = std::string(1, static_cast<char>(to_integer(input)));
  return true;
}

}  // namespace

std::vector<FunctionEntry> text_functions() {
  return {{"tostring", 0, to_string},
          {"tojson", 0, to_json},
          {"fromjson", 0, from_json},
          {"tonumber", 0, to_number},
          {"ascii_downcase", 0, change_case<'A', 'Z', 32>},
          {"ascii_upcase", 0, change_case<'a', 'z', -32>},
          {"startswith", 1, starts_with},
          {"endswith", 1, ends_with},
          {"ltrimstr", 1, trim_string<true>},
          {"rtrimstr", 1, trim_string<false>},
          {"trim", 0, trim_blanks<true, true>},
          {"ltrim", 0, trim_blanks<true, false>},
          {"rtrim", 0, trim_blanks<false, true>},
          {"split", 1, split},
          {"join", 1, join},
          {"explode", 0, explode},
          {"implode", 0, implode},
          {"utf8bytelength", 0, byte_length},
          {"ascii", 0, ascii}};
}

}  // namespace millrace::expr
