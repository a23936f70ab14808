#include "millrace/json.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "core/byte_scan.hpp"

namespace millrace {
namespace {

constexpr double kExactIntegers = 9007199254740992.0;  // 2^53

bool is_integral(double number) {
  return std::abs(number) < kExactIntegers && number == std::trunc(number);
}

void append_double(std::string& out, double number) {
  if (!std::isfinite(number)) {
    // JSON has no infinities; jq prints the largest double instead.
    number = std::isnan(number) ? 0 : std::copysign(1.7976931348623157e308, number);
  }
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, number).ptr;
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  out += text;
  if (text.find_first_of(".e") == text.npos) out += ".0";
}

template <typename Integer>
void append_integer(std::string& out, Integer number) {
  char buffer[24];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, number).ptr);
}

std::vector<const JsonObject::value_type*> sorted_members(const JsonObject& object) {
  std::vector<const JsonObject::value_type*> members;
  members.reserve(object.size());
  for (const auto& member : object) members.push_back(&member);
  std::ranges::sort(members, [](auto* left, auto* right) { return left->key() < right->key(); });
  return members;
}

template <bool Canonical>
void append(std::string& out, const Json& value) {
  switch (value.kind()) {
    case boost::json::kind::null:
      out += "null";
      return;
    case boost::json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      return;
    case boost::json::kind::int64:
      append_integer(out, value.get_int64());
      return;
    case boost::json::kind::uint64:
      append_integer(out, value.get_uint64());
      return;
    case boost::json::kind::double_: {
      const double number = value.get_double();
      if (Canonical && is_integral(number)) {
        append_integer(out, static_cast<std::int64_t>(number));
      } else {
        append_double(out, number);
      }
      return;
    }
    case boost::json::kind::string:
      append_json_string(out, value.get_string());
      return;
    case boost::json::kind::array: {
      char separator = '[';
      for (const Json& element : value.get_array()) {
        out.push_back(separator);
        append<Canonical>(out, element);
        separator = ',';
      }
      if (separator == '[') out.push_back('[');
      out.push_back(']');
      return;
    }
    case boost::json::kind::object: {
      char separator = '{';
      const auto member = [&](std::string_view key, const Json& element) {
        out.push_back(separator);
        append_json_string(out, key);
        out.push_back(':');
        append<Canonical>(out, element);
        separator = ',';
      };
      if constexpr (Canonical) {
        for (const auto* entry : sorted_members(value.get_object())) {
          member(entry->key(), entry->value());
        }
      } else {
        for (const auto& entry : value.get_object()) member(entry.key(), entry.value());
      }
      if (separator == '{') out.push_back('{');
      out.push_back('}');
      return;
    }
  }
}

int rank(const Json& value) {
  switch (value.kind()) {
    case boost::json::kind::null:
      return 0;
    case boost::json::kind::bool_:
      return value.get_bool() ? 2 : 1;
    case boost::json::kind::int64:
    case boost::json::kind::uint64:
    case boost::json::kind::double_:
      return 3;
    case boost::json::kind::string:
      return 4;
    case boost::json::kind::array:
      return 5;
    case boost::json::kind::object:
      return 6;
  }
  return 7;
}

template <typename T>
int sign_of(const T& left, const T& right) {
  return left < right ? -1 : right < left ? 1 : 0;
}

// Compares an integer with a double without rounding the integer.
int compare_exact(__int128 integer, double number) {
  if (number >= 1e20) return -1;
  if (number <= -1e20) return 1;
  const double whole = std::trunc(number);
  const auto truncated = static_cast<__int128>(whole);
  if (integer != truncated) return integer < truncated ? -1 : 1;
  return number > whole ? -1 : number < whole ? 1 : 0;
}

__int128 integer_of(const Json& value) {
  return value.is_int64() ? static_cast<__int128>(value.get_int64())
                          : static_cast<__int128>(value.get_uint64());
}

int compare_numbers(const Json& left, const Json& right) {
  if (left.is_int64() && right.is_int64()) return sign_of(left.get_int64(), right.get_int64());
  if (left.is_double() && right.is_double()) return sign_of(left.get_double(), right.get_double());
  if (left.is_double()) return -compare_exact(integer_of(right), left.get_double());
  if (right.is_double()) return compare_exact(integer_of(left), right.get_double());
  return sign_of(integer_of(left), integer_of(right));
}

int compare_objects(const JsonObject& left, const JsonObject& right) {
  const auto left_members = sorted_members(left);
  const auto right_members = sorted_members(right);
  const std::size_t common = std::min(left_members.size(), right_members.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (const int order = left_members[i]->key().compare(right_members[i]->key()); order != 0) {
      return order;
    }
  }
  if (left_members.size() != right_members.size()) {
    return sign_of(left_members.size(), right_members.size());
  }
  for (std::size_t i = 0; i < common; ++i) {
    if (const int order = compare_json(left_members[i]->value(), right_members[i]->value())) {
      return order;
    }
  }
  return 0;
}

int compare_arrays(const JsonArray& left, const JsonArray& right) {
  for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    if (const int order = compare_json(left[i], right[i])) return order;
  }
  return sign_of(left.size(), right.size());
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::size_t special = find_special<false, '"', '\\'>(text);
  if (special == text.size()) {
    const std::size_t before = out.size();
    const std::size_t after = before + text.size() + 2;
    // libstdc++ 12 says its capacity, not the size asked for.
    out.resize_and_overwrite(after, [&](char* data, std::size_t) {
      data[before] = '"';
      text.copy(data + before + 1, text.size());
      data[after - 1] = '"';
      return after;
    });
    return;
  }
  out.push_back('"');
  std::size_t run = 0;
  for (; special < text.size(); special = find_special<false, '"', '\\'>(text, run)) {
    out.append(text, run, special - run);
    run = special + 1;
    switch (const auto c = static_cast<unsigned char>(text[special]); c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        out += "\\u00";
        out.push_back(kHex[c >> 4]);
        out.push_back(kHex[c & 15]);
    }
  }
  out.append(text, run);
  out.push_back('"');
}

void append_json(std::string& out, const Json& value) {
  append<false>(out, value);
}

std::string write_json(const Json& value) {
  std::string out;
  out.reserve(256);
  append<false>(out, value);
  return out;
}

std::string canonical_json(const Json& value) {
  std::string out;
  out.reserve(256);
  append<true>(out, value);
  return out;
}

int compare_json(const Json& left, const Json& right) {
  const int left_rank = rank(left);
  const int right_rank = rank(right);
  if (left_rank != right_rank) return left_rank < right_rank ? -1 : 1;
  if (left_rank == 3) return compare_numbers(left, right);
  if (left_rank == 4) {
    return std::string_view(left.get_string()).compare(std::string_view(right.get_string()));
  }
  if (left_rank == 5) return compare_arrays(left.get_array(), right.get_array());
  if (left_rank == 6) return compare_objects(left.get_object(), right.get_object());
  return 0;
}

const Json* find(const Json& value, std::string_view key) {
  const JsonObject* object = value.if_object();
  return object ? object->if_contains(key) : nullptr;
}

std::string_view string_or(const Json& value, std::string_view key, std::string_view otherwise) {
  const Json* member = find(value, key);
  return member && member->is_string() ? std::string_view(member->get_string()) : otherwise;
}

std::int64_t int_or(const Json& value, std::string_view key, std::int64_t otherwise) {
  const Json* member = find(value, key);
  return member && member->is_int64() ? member->get_int64() : otherwise;
}

bool bool_or(const Json& value, std::string_view key, bool otherwise) {
  const Json* member = find(value, key);
  return member && member->is_bool() ? member->get_bool() : otherwise;
}

}  // namespace millrace
