// JSON values and the only ways in and out of them. A value is a boost::json::value: objects keep
// their insertion order, int64, uint64 and double are told apart, so integers stay exact and 3.0
// stays 3.0. Everything that comes from outside enters through parse_json, which bounds depth.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/storage_ptr.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <string>
#include <string_view>

#include "millrace/result.hpp"

namespace millrace {

using Json = boost::json::value;
using JsonObject = boost::json::object;
using JsonArray = boost::json::array;
/// Where a value keeps what it holds; the heap, unless one is given.
using JsonMemory = boost::json::storage_ptr;

struct JsonLimits {
  std::size_t depth_max = 128;  ///< levels of arrays and objects
};

/// Parses one JSON text (RFC 8259, UTF-8, nothing after it). Refuses: invalid UTF-8, depth beyond
/// the limit (Errc::too_deep), duplicate keys, numbers that are neither int64 nor a finite double
/// (an integer outside int64/uint64 is refused, never rounded). Errc::malformed says at which byte.
Result<Json> parse_json(std::string_view text, JsonLimits limits = {}, JsonMemory memory = {});

/// Writes compact JSON. Doubles are shortest round-trip and keep a fraction: 3.0 is "3.0".
std::string write_json(const Json& value);
void append_json(std::string& out, const Json& value);
/// Appends `text` as a quoted JSON string.
void append_json_string(std::string& out, std::string_view text);

/// Writes JSON in which equal values have equal bytes: keys sorted by UTF-8 bytes, and integral
/// doubles below 2^53 written as integers. For comparing and hashing, not for showing.
std::string canonical_json(const Json& value);

/// jq's total order: null < false < true < numbers < strings < arrays < objects. 1 equals 1.0.
/// Objects compare first by their sorted key sets, then value by value. Returns <0, 0, >0.
int compare_json(const Json& left, const Json& right);
inline bool equal_json(const Json& left, const Json& right) {
  return compare_json(left, right) == 0;
}

/// The member `key` of an object, or nullptr when `value` is no object or has no such member.
const Json* find(const Json& value, std::string_view key);
/// The member as a string view, or `otherwise` when absent or of another type.
std::string_view string_or(const Json& value, std::string_view key, std::string_view otherwise);
/// The member as an integer, or `otherwise`.
std::int64_t int_or(const Json& value, std::string_view key, std::int64_t otherwise);
bool bool_or(const Json& value, std::string_view key, bool otherwise);

}  // namespace millrace
