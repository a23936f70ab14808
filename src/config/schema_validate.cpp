#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "config/schema_node.hpp"
#include "millrace/clock.hpp"

namespace millrace::config {
namespace {

using Ref = SchemaNode::Ref;

std::uint8_t type_of(const Json& value) {
  switch (value.kind()) {
    case boost::json::kind::null:
      return kTypeNull;
    case boost::json::kind::bool_:
      return kTypeBoolean;
    case boost::json::kind::int64:
    case boost::json::kind::uint64:
      return kTypeInteger;
    case boost::json::kind::double_:
      // 3.0 is an integer in draft-07.
      return value.get_double() == std::trunc(value.get_double()) ? kTypeInteger : kTypeNumber;
    case boost::json::kind::string:
      return kTypeString;
    case boost::json::kind::array:
      return kTypeArray;
    case boost::json::kind::object:
      return kTypeObject;
  }
  return 0;
}

std::string_view name_of(std::uint8_t type) {
  if (type & kTypeInteger) return type & kTypeNumber ? "a number" : "an integer";
  if (type & kTypeNull) return "null";
  if (type & kTypeBoolean) return "a boolean";
  if (type & kTypeNumber) return "a number";
  if (type & kTypeString) return "a string";
  if (type & kTypeArray) return "a list";
  return "an object";
}

std::string names_of(std::uint8_t types) {
  std::string text;
  for (std::uint8_t bit = 1; bit != 128; bit = static_cast<std::uint8_t>(bit << 1)) {
    if (!(types & bit) || (bit == kTypeInteger && (types & kTypeNumber))) continue;
    if (!text.empty()) text += " or ";
    text += name_of(bit);
  }
  return text;
}

// Values in messages are shortened; strings are shown as JSON.
std::string shown(const Json& value) {
  std::string text = write_json(value);
  if (text.size() <= 60) return text;
  std::size_t end = 57;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string shown(const SchemaNode& node, const Json& value) {
  return node.classified ? "the value" : shown(value);
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

int number(std::string_view text) {
  int value = 0;
  for (const char c : text) value = value * 10 + (c - '0');
  return value;
}

bool is_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  const auto year = text.substr(0, 4), month = text.substr(5, 2), day = text.substr(8, 2);
  if (!digits(year) || !digits(month) || !digits(day)) return false;
  return std::chrono::year_month_day(std::chrono::year(number(year)),
                                     std::chrono::month(static_cast<unsigned>(number(month))),
                                     std::chrono::day(static_cast<unsigned>(number(day))))
      .ok();
}

bool has_format(SchemaFormat format, std::string_view text) {
  static const re2::RE2 uuid("(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}");
  static const re2::RE2 email("[^@\\s]+@[^@\\s]+");
  static const re2::RE2 ipv4("((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(\\.|$)){4}");
  static const re2::RE2 uri("[A-Za-z][A-Za-z0-9+.-]*:[^\\s]*");
  const auto matches = [text](const re2::RE2& pattern) {
    return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), pattern);
  };
  switch (format) {
    case SchemaFormat::none:
      return true;
    case SchemaFormat::date:
      return is_date(text);
    case SchemaFormat::time:
      return text.size() <= 40 && parse_rfc3339("2000-01-01T" + std::string(text)).has_value();
    case SchemaFormat::date_time:
      return text.size() <= 60 && parse_rfc3339(text).has_value();
    case SchemaFormat::uuid:
      return matches(uuid);
    case SchemaFormat::email:
      return matches(email);
    case SchemaFormat::ipv4:
      return matches(ipv4);
    case SchemaFormat::uri:
      return matches(uri);
  }
  return true;
}

class Validation {
 public:
  bool check(Ref node, const Json& value, std::size_t depth) {
    while (node->ref != nullptr) {
      if (++depth > kSchemaDepthMax * 4) return fail("the schema refers to itself without end");
      node = node->ref;
    }
    if (depth > kSchemaDepthMax * 4) return fail("nested too deep for the schema");
    if (node->always_false) return fail("nothing is allowed here");
    if (node->types != 0 && !(node->types & type_of(value))) {
      return fail(fmt::format("expected {}, found {}", names_of(node->types),
                              value.is_null() ? "null" : name_of(type_of(value))));
    }
    return check_value(*node, value) && check_kind(*node, value, depth) &&
           check_combinations(*node, value, depth);
  }

  std::string message() const {
    std::string pointer;
    for (const Step& step : path_) {
      pointer.push_back('/');
      if (step.key.data() == nullptr) fmt::format_to(std::back_inserter(pointer), "{}", step.index);
      for (const char c : step.key) {
        if (c == '~') pointer += "~0";
        if (c == '/') pointer += "~1";
        if (c != '~' && c != '/') pointer += c;
      }
    }
    return fmt::format("{}: {}", pointer.empty() ? "/" : pointer, message_);
  }

 private:
  /// One step of a JSON pointer: a member's name, which views into the value, or an item's index.
  struct Step {
    std::string_view key;
    std::size_t index = 0;
  };

  // Leaves the path as it is: the first failure's place is what is reported.
  bool fail(std::string message) {
    message_ = std::move(message);
    return false;
  }

  bool below(Step step, Ref node, const Json& value, std::size_t depth) {
    path_.push_back(step);
    if (!check(node, value, depth + 1)) return false;
    path_.pop_back();
    return true;
  }

  // Tries a schema without keeping its failure.
  bool holds(Ref node, const Json& value, std::size_t depth) {
    const std::size_t before = path_.size();
    const bool good = check(node, value, depth + 1);
    path_.resize(before);
    return good;
  }

  bool check_value(const SchemaNode& node, const Json& value) {
    if (node.constant && !equal_json(*node.constant, value)) {
      return fail(fmt::format("expected {}, found {}", shown(*node.constant), shown(node, value)));
    }
    if (node.enumeration.empty()) return true;
    const bool known = std::ranges::any_of(node.enumeration,
                                           [&](const Json& one) { return equal_json(one, value); });
    if (known) return true;
    const JsonArray allowed(node.enumeration.begin(), node.enumeration.end());
    return fail(fmt::format("{} is none of {}", shown(node, value), shown(allowed)));
  }

  bool check_kind(const SchemaNode& node, const Json& value, std::size_t depth) {
    if (value.is_string()) return check_string(node, value.get_string());
    if (value.is_number()) return check_number(node, value);
    if (value.is_array()) return check_array(node, value.get_array(), depth);
    if (value.is_object()) return check_object(node, value, depth);
    return true;
  }

  bool check_number(const SchemaNode& node, const Json& value) {
    if (node.minimum && compare_json(value, *node.minimum) < 0) {
      return fail(fmt::format("{} is less than {}", shown(node, value), write_json(*node.minimum)));
    }
    if (node.maximum && compare_json(value, *node.maximum) > 0) {
      return fail(fmt::format("{} is more than {}", shown(node, value), write_json(*node.maximum)));
    }
    if (node.exclusive_minimum && compare_json(value, *node.exclusive_minimum) <= 0) {
      return fail(fmt::format("{} is not more than {}", shown(node, value),
                              write_json(*node.exclusive_minimum)));
    }
    if (node.exclusive_maximum && compare_json(value, *node.exclusive_maximum) >= 0) {
      return fail(fmt::format("{} is not less than {}", shown(node, value),
                              write_json(*node.exclusive_maximum)));
    }
    if (!node.multiple_of || is_multiple(value, *node.multiple_of)) return true;
    return fail(
        fmt::format("{} is no multiple of {}", shown(node, value), write_json(*node.multiple_of)));
  }

  static bool is_multiple(const Json& value, const Json& step) {
    if (!value.is_double() && !step.is_double()) {
      const auto whole = [](const Json& number) -> __int128 {
        if (number.is_int64()) return number.get_int64();
        return number.get_uint64();
      };
      return whole(value) % whole(step) == 0;
    }
    // Decimal steps such as 0.01 are no exact doubles: the quotient may be off by a little.
    const double quotient = value.to_number<double>() / step.to_number<double>();
    return std::abs(quotient - std::round(quotient)) <= 1e-9 * std::max(1.0, std::abs(quotient));
  }

  bool check_string(const SchemaNode& node, std::string_view text) {
    if (node.length_min || node.length_max) {
      const std::size_t length = characters(text);
      if (node.length_min && length < *node.length_min) {
        return fail(fmt::format("shorter than {} characters", *node.length_min));
      }
      if (node.length_max && length > *node.length_max) {
        return fail(fmt::format("longer than {} characters", *node.length_max));
      }
    }
    if (node.pattern &&
        !re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *node.pattern)) {
      return fail(fmt::format("{} does not match {}", shown(node, Json(text)), node.pattern_text));
    }
    if (has_format(node.format, text)) return true;
    return fail(fmt::format("{} does not have the required format", shown(node, Json(text))));
  }

  bool check_array(const SchemaNode& node, const JsonArray& array, std::size_t depth) {
    if (node.items_min && array.size() < *node.items_min) {
      return fail(fmt::format("fewer than {} items", *node.items_min));
    }
    if (node.items_max && array.size() > *node.items_max) {
      return fail(fmt::format("more than {} items", *node.items_max));
    }
    for (std::size_t i = 0; i < array.size(); ++i) {
      Ref schema = node.items_all;
      if (!node.items.empty()) schema = i < node.items.size() ? node.items[i] : node.items_rest;
      if (schema && !below({.key = {}, .index = i}, schema, array[i], depth)) return false;
    }
    if (node.contains && std::ranges::none_of(array, [&](const Json& item) {
          return holds(node.contains, item, depth);
        })) {
      return fail("no item is of the required kind");
    }
    return !node.unique_items || check_unique(array);
  }

  bool check_unique(const JsonArray& array) {
    std::vector<const Json*> sorted;
    for (const Json& item : array) sorted.push_back(&item);
    const auto less = [](const Json* a, const Json* b) { return compare_json(*a, *b) < 0; };
    std::ranges::sort(sorted, less);
    const auto twice = std::ranges::adjacent_find(
        sorted, [](const Json* a, const Json* b) { return equal_json(*a, *b); });
    return twice == sorted.end() || fail(fmt::format("{} is there twice", shown(**twice)));
  }

  bool check_object(const SchemaNode& node, const Json& value, std::size_t depth) {
    const JsonObject& object = value.get_object();
    for (const std::string& key : node.required) {
      if (!object.contains(key)) return fail(fmt::format("`{}` is missing", key));
    }
    if (node.properties_min && object.size() < *node.properties_min) {
      return fail(fmt::format("fewer than {} members", *node.properties_min));
    }
    if (node.properties_max && object.size() > *node.properties_max) {
      return fail(fmt::format("more than {} members", *node.properties_max));
    }
    for (const auto& member : object) {
      if (!check_member(node, member.key(), member.value(), depth)) return false;
    }
    for (const auto& [key, needed] : node.needs_keys) {
      if (!object.contains(key)) continue;
      for (const std::string& other : needed) {
        if (!object.contains(other)) return fail(fmt::format("`{}` needs `{}`", key, other));
      }
    }
    for (const auto& [key, schema] : node.needs_schema) {
      if (object.contains(key) && !check(schema, value, depth + 1)) return false;
    }
    return true;
  }

  bool check_member(const SchemaNode& node, std::string_view key, const Json& value,
                    std::size_t depth) {
    if (node.property_names && !holds(node.property_names, Json(key), depth)) {
      return fail(fmt::format("the name `{}` is not allowed", key));
    }
    bool known = false;
    if (const auto found = node.properties.find(key); found != node.properties.end()) {
      known = true;
      if (!below({key}, found->second, value, depth)) return false;
    }
    for (const auto& [pattern, schema] : node.pattern_properties) {
      if (!re2::RE2::PartialMatch(re2::StringPiece(key.data(), key.size()), *pattern)) continue;
      known = true;
      if (!below({key}, schema, value, depth)) return false;
    }
    if (known || node.additional == nullptr) return true;
    if (node.additional->always_false) return fail(fmt::format("`{}` is not known here", key));
    return below({key}, node.additional, value, depth);
  }

  bool check_combinations(const SchemaNode& node, const Json& value, std::size_t depth) {
    for (const Ref schema : node.all_of) {
      if (!check(schema, value, depth + 1)) return false;
    }
    if (!node.any_of.empty()) {
      const bool any =
          std::ranges::any_of(node.any_of, [&](Ref schema) { return holds(schema, value, depth); });
      if (!any) return fail(fmt::format("none of the allowed forms fits ({})", message_));
    }
    if (!node.one_of.empty()) {
      const auto fits = std::ranges::count_if(
          node.one_of, [&](Ref schema) { return holds(schema, value, depth); });
      if (fits != 1) {
        return fail(fits == 0 ? fmt::format("none of the allowed forms fits ({})", message_)
                              : "several forms fit where one must");
      }
    }
    if (node.negated && holds(node.negated, value, depth)) {
      return fail("this form is not allowed");
    }
    if (node.condition == nullptr) return true;
    const Ref next = holds(node.condition, value, depth) ? node.then : node.otherwise;
    return next == nullptr || check(next, value, depth + 1);
  }

  std::vector<Step> path_;
  std::string message_;
};

}  // namespace

Result<void> SchemaValidator::validate(const Json& data) const {
  Validation validation;
  if (validation.check(compiled_->root, data, 0)) return {};
  return fail(Errc::schema_violation, validation.message());
}

}  // namespace millrace::config
