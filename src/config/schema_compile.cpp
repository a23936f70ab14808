#include <fmt/core.h>

#include <cmath>
#include <functional>

#include "config/schema_node.hpp"

namespace millrace::config {
namespace {

using Ref = SchemaNode::Ref;

class SchemaCompiler {
 public:
  SchemaCompiler(const Json& document, std::vector<std::unique_ptr<SchemaNode>>& nodes)
      : document_(document), nodes_(nodes) {}

  Ref compile(const Json& schema, const std::string& pointer, std::size_t depth) {
    if (!error_.empty()) return nullptr;
    if (depth > kSchemaDepthMax) return refuse(pointer, "nested too deep");
    if (nodes_.size() >= kSchemaNodesMax) return refuse(pointer, "too many subschemas");
    // A schema reached by two $refs is compiled once; that also ends recursive schemas.
    if (const auto known = known_.find(&schema); known != known_.end()) return known->second;
    nodes_.push_back(std::make_unique<SchemaNode>());
    SchemaNode& node = *nodes_.back();
    known_[&schema] = &node;
    if (schema.is_bool()) {
      node.always_false = !schema.get_bool();
      return &node;
    }
    const JsonObject* object = schema.if_object();
    if (object == nullptr) return refuse(pointer, "a schema is an object, true or false");
    if (const Json* ref = object->if_contains("$ref")) {
      node.ref = follow(*ref, pointer, depth);
      return &node;
    }
    const Where where{object, pointer, depth};
    read_general(node, where);
    read_numbers(node, where);
    read_strings(node, where);
    read_arrays(node, where);
    read_objects(node, where);
    read_combinations(node, where);
    return &node;
  }

  const std::string& error() const { return error_; }

 private:
  struct Where {
    const JsonObject* object = nullptr;
    std::string pointer;
    std::size_t depth = 0;

    const Json* get(std::string_view key) const { return object->if_contains(key); }
    std::string at(std::string_view key) const { return fmt::format("{}/{}", pointer, key); }
  };

  Ref refuse(const std::string& pointer, std::string_view what) {
    if (error_.empty()) {
      error_ = fmt::format("{}: {}", pointer.empty() ? "/" : pointer, what);
    }
    return nullptr;
  }

  Ref follow(const Json& ref, const std::string& pointer, std::size_t depth) {
    if (!ref.is_string()) return refuse(pointer + "/$ref", "expected a string");
    const std::string_view text = ref.get_string();
    if (text != "#" && !text.starts_with("#/")) {
      return refuse(pointer + "/$ref",
                    fmt::format("`{}` leads outside the file; write `#/definitions/<name>`", text));
    }
    boost::system::error_code error;
    const std::string_view path = text.substr(1);
    const Json* target =
        path.empty() ? &document_ : document_.find_pointer({path.data(), path.size()}, error);
    if (target == nullptr) {
      return refuse(pointer + "/$ref", fmt::format("`{}` leads nowhere", text));
    }
    return compile(*target, std::string(path), depth + 1);
  }

  Ref child(const Where& where, std::string_view key) {
    const Json* schema = where.get(key);
    return schema ? compile(*schema, where.at(key), where.depth + 1) : nullptr;
  }

  void list(const Where& where, std::string_view key, std::vector<Ref>& out) {
    const Json* schemas = where.get(key);
    if (schemas == nullptr) return;
    if (!schemas->is_array() || schemas->get_array().empty()) {
      refuse(where.at(key), "expected a list of schemas");
      return;
    }
    std::size_t index = 0;
    for (const Json& schema : schemas->get_array()) {
      out.push_back(compile(schema, fmt::format("{}/{}", where.at(key), index++), where.depth + 1));
    }
  }

  void each(const Where& where, std::string_view key,
            const std::function<void(std::string_view, const Json&)>& entry) {
    const Json* entries = where.get(key);
    if (entries == nullptr) return;
    if (!entries->is_object()) {
      refuse(where.at(key), "expected an object");
      return;
    }
    for (const auto& member : entries->get_object()) entry(member.key(), member.value());
  }

  void number(const Where& where, std::string_view key, std::optional<Json>& out) {
    const Json* value = where.get(key);
    if (value == nullptr) return;
    if (!value->is_number()) {
      refuse(where.at(key), "expected a number");
      return;
    }
    out = *value;
  }

  void count(const Where& where, std::string_view key, std::optional<std::uint64_t>& out) {
    std::optional<Json> read;
    number(where, key, read);
    if (!read) return;
    const double value = read->to_number<double>();
    if (value < 0 || value != std::trunc(value) || value > 1e15) {
      refuse(where.at(key), "expected a count");
      return;
    }
    out = static_cast<std::uint64_t>(value);
  }

  std::vector<std::string> strings(const std::string& pointer, const Json& value) {
    std::vector<std::string> out;
    if (!value.is_array()) refuse(pointer, "expected a list of strings");
    for (const Json& item : value.is_array() ? value.get_array() : JsonArray()) {
      if (!item.is_string()) refuse(pointer, "expected a list of strings");
      if (item.is_string()) out.emplace_back(item.get_string());
    }
    return out;
  }

  SchemaNode::Pattern pattern(const std::string& pointer, std::string_view text) {
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(1 << 20);
    auto made = std::make_shared<re2::RE2>(re2::StringPiece(text.data(), text.size()), options);
    if (!made->ok()) {
      refuse(pointer, fmt::format("the pattern cannot be used (RE2): {}", made->error()));
      return nullptr;
    }
    return made;
  }

  std::uint8_t type_of(const std::string& pointer, const Json& name) {
    static const std::map<std::string, std::uint8_t, std::less<>> types{
        {"null", kTypeNull},       {"boolean", kTypeBoolean},
        {"integer", kTypeInteger}, {"number", kTypeNumber | kTypeInteger},
        {"string", kTypeString},   {"array", kTypeArray},
        {"object", kTypeObject}};
    if (name.is_string()) {
      const auto found = types.find(std::string_view(name.get_string()));
      if (found != types.end()) return found->second;
    }
    refuse(pointer, "expected null, boolean, integer, number, string, array or object");
    return 0;
  }

  void read_general(SchemaNode& node, const Where& where) {
    node.classified = where.get("x-class") != nullptr;
    if (const Json* type = where.get("type")) {
      if (const JsonArray* several = type->if_array()) {
        for (const Json& one : *several) node.types |= type_of(where.at("type"), one);
      } else {
        node.types = type_of(where.at("type"), *type);
      }
    }
    if (const Json* constant = where.get("const")) node.constant = *constant;
    if (const Json* values = where.get("enum")) {
      if (!values->is_array() || values->get_array().empty()) {
        refuse(where.at("enum"), "expected a list of values");
        return;
      }
      node.enumeration.assign(values->get_array().begin(), values->get_array().end());
    }
  }

  void read_numbers(SchemaNode& node, const Where& where) {
    number(where, "minimum", node.minimum);
    number(where, "maximum", node.maximum);
    number(where, "exclusiveMinimum", node.exclusive_minimum);
    number(where, "exclusiveMaximum", node.exclusive_maximum);
    number(where, "multipleOf", node.multiple_of);
    if (node.multiple_of && compare_json(*node.multiple_of, 0) <= 0) {
      refuse(where.at("multipleOf"), "must be greater than 0");
    }
  }

  void read_strings(SchemaNode& node, const Where& where) {
    count(where, "minLength", node.length_min);
    count(where, "maxLength", node.length_max);
    if (const Json* text = where.get("pattern")) {
      if (!text->is_string()) {
        refuse(where.at("pattern"), "expected a string");
        return;
      }
      node.pattern_text = std::string(text->get_string());
      node.pattern = pattern(where.at("pattern"), node.pattern_text);
    }
    static const std::map<std::string, SchemaFormat, std::less<>> formats{
        {"date", SchemaFormat::date},   {"time", SchemaFormat::time},
        {"uuid", SchemaFormat::uuid},   {"date-time", SchemaFormat::date_time},
        {"email", SchemaFormat::email}, {"ipv4", SchemaFormat::ipv4},
        {"uri", SchemaFormat::uri}};
    if (const Json* name = where.get("format"); name && name->is_string()) {
      // draft-07 lets unknown formats be.
      const auto found = formats.find(std::string_view(name->get_string()));
      if (found != formats.end()) node.format = found->second;
    }
  }

  void read_arrays(SchemaNode& node, const Where& where) {
    if (const Json* items = where.get("items")) {
      if (items->is_array()) {
        if (!items->get_array().empty()) list(where, "items", node.items);
        node.items_rest = child(where, "additionalItems");
      } else {
        node.items_all = child(where, "items");
      }
    }
    node.contains = child(where, "contains");
    count(where, "minItems", node.items_min);
    count(where, "maxItems", node.items_max);
    if (const Json* unique = where.get("uniqueItems")) {
      if (!unique->is_bool()) refuse(where.at("uniqueItems"), "expected true or false");
      node.unique_items = unique->is_bool() && unique->get_bool();
    }
  }

  void read_objects(SchemaNode& node, const Where& where) {
    each(where, "properties", [&](std::string_view name, const Json& schema) {
      node.properties[std::string(name)] =
          compile(schema, fmt::format("{}/{}", where.at("properties"), name), where.depth + 1);
    });
    each(where, "patternProperties", [&](std::string_view text, const Json& schema) {
      const std::string pointer = fmt::format("{}/{}", where.at("patternProperties"), text);
      auto made = pattern(pointer, text);
      node.pattern_properties.emplace_back(std::move(made),
                                           compile(schema, pointer, where.depth + 1));
    });
    node.additional = child(where, "additionalProperties");
    node.property_names = child(where, "propertyNames");
    if (const Json* names = where.get("required")) {
      node.required = strings(where.at("required"), *names);
    }
    each(where, "dependencies", [&](std::string_view name, const Json& needed) {
      const std::string pointer = fmt::format("{}/{}", where.at("dependencies"), name);
      if (needed.is_array()) {
        node.needs_keys.emplace_back(name, strings(pointer, needed));
      } else {
        node.needs_schema.emplace_back(name, compile(needed, pointer, where.depth + 1));
      }
    });
    each(where, "definitions", [&](std::string_view name, const Json& schema) {
      compile(schema, fmt::format("{}/{}", where.at("definitions"), name), where.depth + 1);
    });
    count(where, "minProperties", node.properties_min);
    count(where, "maxProperties", node.properties_max);
  }

  void read_combinations(SchemaNode& node, const Where& where) {
    list(where, "allOf", node.all_of);
    list(where, "anyOf", node.any_of);
    list(where, "oneOf", node.one_of);
    node.negated = child(where, "not");
    node.condition = child(where, "if");
    if (node.condition) {
      node.then = child(where, "then");
      node.otherwise = child(where, "else");
    }
  }

  const Json& document_;
  std::vector<std::unique_ptr<SchemaNode>>& nodes_;
  std::map<const Json*, Ref> known_;
  std::string error_;
};

}  // namespace

Result<SchemaValidator> SchemaValidator::compile(const Json& schema) {
  auto compiled = std::make_shared<Compiled>();
  SchemaCompiler compiler(schema, compiled->nodes);
  compiled->root = compiler.compile(schema, "", 0);
  if (!compiler.error().empty()) return fail(Errc::config, compiler.error());
  SchemaValidator made;
  made.compiled_ = std::move(compiled);
  return made;
}

}  // namespace millrace::config
