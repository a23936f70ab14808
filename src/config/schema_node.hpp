// A compiled schema: one node per (sub)schema. Private to schema*.cpp.
#pragma once

#include <re2/re2.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/schema.hpp"

namespace millrace::config {

inline constexpr std::size_t kSchemaDepthMax = 64;      ///< nesting of subschemas and of $ref
inline constexpr std::size_t kSchemaNodesMax = 20'000;  ///< subschemas of one schema

enum SchemaType : std::uint8_t {
  kTypeNull = 1,
  kTypeBoolean = 2,
  kTypeInteger = 4,
  kTypeNumber = 8,
  kTypeString = 16,
  kTypeArray = 32,
  kTypeObject = 64
};

enum class SchemaFormat : std::uint8_t { none, date, time, date_time, email, uuid, ipv4, uri };

struct SchemaNode {
  using Ref = const SchemaNode*;  ///< owned by Compiled
  using Pattern = std::shared_ptr<const re2::RE2>;

  bool always_false = false;  ///< the schema `false`
  Ref ref = nullptr;          ///< `$ref`: nothing else counts
  bool classified = false;    ///< `x-class`: its values appear in no message
  std::uint8_t types = 0;     ///< 0: any
  std::optional<Json> constant;
  std::vector<Json> enumeration;

  // As values, not doubles: a limit beyond 2^53 is compared exactly.
  std::optional<Json> minimum, maximum, exclusive_minimum, exclusive_maximum, multiple_of;

  std::optional<std::uint64_t> length_min, length_max;
  Pattern pattern;
  std::string pattern_text;
  SchemaFormat format = SchemaFormat::none;

  std::vector<Ref> items;    ///< by position
  Ref items_all = nullptr;   ///< one schema for every item
  Ref items_rest = nullptr;  ///< additionalItems
  Ref contains = nullptr;
  std::optional<std::uint64_t> items_min, items_max;
  bool unique_items = false;

  std::map<std::string, Ref, std::less<>> properties;
  std::vector<std::pair<Pattern, Ref>> pattern_properties;
  Ref additional = nullptr;
  Ref property_names = nullptr;
  std::vector<std::string> required;
  std::vector<std::pair<std::string, std::vector<std::string>>> needs_keys;  ///< dependencies
  std::vector<std::pair<std::string, Ref>> needs_schema;
  std::optional<std::uint64_t> properties_min, properties_max;

  std::vector<Ref> all_of, any_of, one_of;
  Ref negated = nullptr;
  Ref condition = nullptr, then = nullptr, otherwise = nullptr;
};

struct SchemaValidator::Compiled {
  std::vector<std::unique_ptr<SchemaNode>> nodes;
  const SchemaNode* root = nullptr;
};

}  // namespace millrace::config
