#include "expr/evaluation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace millrace::expr {

bool Evaluation::out_of_budget(bool steps) {
  if (failed_) return false;
  if (steps) {
    return fail(Error(Errc::budget_exceeded,
                      fmt::format("the expression needs more than {} steps; bound its loops",
                                  context_.budget.steps_max)));
  }
  return fail(Error(Errc::budget_exceeded, "the expression nests too deeply; bound its recursion"));
}

bool Evaluation::out_of_bytes() {
  return fail(Error(Errc::budget_exceeded,
                    fmt::format("the expression builds more than {} bytes; take less of its input",
                                context_.budget.output_bytes_max)));
}

bool Evaluation::enter() {
  if (++depth_ <= context_.budget.depth_max) return step();
  return fail(Error(Errc::budget_exceeded, fmt::format("functions nest deeper than {} levels",
                                                       context_.budget.depth_max)));
}

bool Evaluation::weigh(const Json& value, std::size_t depth) {
  if (depth > kValueDepthMax) {
    return fail(Error(Errc::budget_exceeded,
                      fmt::format("the value nests deeper than {} levels", kValueDepthMax)));
  }
  if (const auto* text = value.if_string()) return charge(text->size());
  if (const auto* array = value.if_array()) {
    if (!charge(kSlotBytes * (array->size() + 1))) return false;
    return std::ranges::all_of(*array, [&](const Json& item) { return weigh(item, depth + 1); });
  }
  if (const auto* object = value.if_object()) {
    if (!charge(kSlotBytes)) return false;
    for (const auto& member : *object) {
      if (!charge(2 * kSlotBytes + member.key().size())) return false;
      if (!weigh(member.value(), depth + 1)) return false;
    }
  }
  return true;
}

bool Evaluation::copy(const Json& value, Json& out) {
  if (value.is_structured() || value.is_string()) {
    if (!weigh(value, 1)) return false;
  }
  out = value;
  return true;
}

namespace {

std::size_t size_of(const Json& value) {
  if (const auto* text = value.if_string()) return text->size() / 64 + 1;
  std::size_t size = 1;
  if (const auto* array = value.if_array()) {
    for (const Json& item : *array) size += size_of(item);
  } else if (const auto* object = value.if_object()) {
    for (const auto& member : *object) size += size_of(member.value());
  }
  return size;
}

}  // namespace

bool Evaluation::compare(const Json& left, const Json& right, int& order) {
  if (left.is_int64() && right.is_int64()) {
    order = left.get_int64() < right.get_int64() ? -1 : left.get_int64() > right.get_int64();
    return true;
  }
  if (left.is_string() && right.is_string()) {
    if (!steps(std::min(left.get_string().size(), right.get_string().size()) / 64)) return false;
    order = view(left).compare(view(right));
    return true;
  }
  if (left.is_structured() && left.kind() == right.kind()) {
    if (!steps(std::min(size_of(left), size_of(right)))) return false;
  }
  order = compare_json(left, right);
  return true;
}

bool Evaluation::fail(std::string message) {
  return fail_with(Json(message));
}

bool Evaluation::fail_with(Json value) {
  failed_ = true;
  code_ = Errc::expression_failed;
  value_ = std::move(value);
  return false;
}

bool Evaluation::fail(Error error) {
  failed_ = true;
  code_ = error.code;
  message_ = std::move(error.message);
  if (code_ == Errc::expression_failed) value_ = message_;
  return false;
}

Json Evaluation::catch_failure() {
  failed_ = false;
  return std::move(value_);
}

Error Evaluation::error() const {
  if (code_ != Errc::expression_failed) return {code_, message_};
  if (value_.is_string()) return {code_, std::string(view(value_))};
  return {code_, "(not a string): " + write_json(value_)};
}

const Json& null_value() {
  static const Json value;
  return value;
}

std::string_view type_name(const Json& value) {
  switch (value.kind()) {
    case boost::json::kind::null:
      return "null";
    case boost::json::kind::bool_:
      return "boolean";
    case boost::json::kind::int64:
    case boost::json::kind::uint64:
    case boost::json::kind::double_:
      return "number";
    case boost::json::kind::string:
      return "string";
    case boost::json::kind::array:
      return "array";
    case boost::json::kind::object:
      return "object";
  }
  return "null";
}

bool is_true(const Json& value) {
  if (value.is_bool()) return value.get_bool();
  return !value.is_null();
}

double to_double(const Json& number) {
  if (number.is_double()) return number.get_double();
  if (number.is_int64()) return static_cast<double>(number.get_int64());
  return static_cast<double>(number.get_uint64());
}

std::int64_t to_integer(const Json& number) {
  if (number.is_int64()) return number.get_int64();
  if (number.is_uint64()) return INT64_MAX;  // a uint64 is only used beyond int64
  const double value = number.get_double();
  if (value >= 9223372036854775807.0) return INT64_MAX;
  if (value <= -9223372036854775808.0) return INT64_MIN;
  return static_cast<std::int64_t>(value);
}

bool set_number(Evaluation& state, double number, Json& out) {
  if (!std::isfinite(number)) return state.fail("the result is not a finite number");
  out = number;
  return true;
}

namespace {

constexpr std::size_t kShownBytes = 14;

// Writes the beginning of a value's JSON, so that showing a large value costs no more than a small.
void append_start(std::string& out, const Json& value) {
  if (out.size() > kShownBytes) return;
  if (const auto* text = value.if_string()) {
    append_json_string(out, std::string_view(*text).substr(0, 2 * kShownBytes));
  } else if (const auto* array = value.if_array()) {
    out += '[';
    for (std::size_t i = 0; i < array->size() && out.size() <= kShownBytes; ++i) {
      if (i > 0) out += ',';
      append_start(out, (*array)[i]);
    }
    out += ']';
  } else if (const auto* object = value.if_object()) {
    out += '{';
    for (const auto& member : *object) {
      if (out.size() > kShownBytes) break;
      if (out.back() != '{') out += ',';
      append_json_string(out, std::string_view(member.key()).substr(0, 2 * kShownBytes));
      out += ':';
      append_start(out, member.value());
    }
    out += '}';
  } else {
    append_json(out, value);
  }
}

}  // namespace

std::string shown(const Json& value) {
  std::string text;
  append_start(text, value);
  if (text.size() <= kShownBytes) return text;
  std::size_t cut = kShownBytes - 3;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
  return text.substr(0, cut) + "...";
}

std::string describe(const Json& value) {
  return fmt::format("{} ({})", type_name(value), shown(value));
}

}  // namespace millrace::expr
