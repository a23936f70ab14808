// The JSON Schema (draft-07) of a Spec, for editors. It accepts whatever the Spec reads; what only
// the reader can tell (a bound of a duration, a name that leads nowhere) is left to `lint`.
#include "millrace/spec.hpp"

namespace millrace {
namespace {

// Whether a default is worth showing.
bool says_something(const Json& value) {
  if (value.is_null() || value.is_object() || value.is_array()) return false;
  return !value.is_string() || !value.get_string().empty();
}

// Where a plain value is read, ${var.x} may stand for it.
Json or_reference(JsonObject schema) {
  JsonObject reference{{"type", "string"}, {"pattern", R"(\$\{(var|env|secret)\..*\})"}};
  JsonArray either;
  either.emplace_back(std::move(schema));
  either.emplace_back(std::move(reference));
  return JsonObject{{"anyOf", std::move(either)}};
}

JsonObject text_like(std::string_view pattern) {
  return {{"type", "string"}, {"pattern", pattern}};
}

Json one_of_keys(const std::vector<std::string>& keys) {
  JsonArray choices;
  for (const std::string& key : keys) {
    JsonArray required;
    required.emplace_back(key);
    choices.emplace_back(JsonObject{{"required", std::move(required)}});
  }
  return JsonObject{{"oneOf", std::move(choices)}};
}

}  // namespace

Json AnySpec::json_schema() const {
  const Json values = defaults();
  JsonObject properties;
  JsonArray required;
  for (const SpecOption& option : options_) {
    Json schema = option.schema(option);
    if (JsonObject* object = schema.if_object()) {
      (*object)["description"] = option.doc;
      if (!option.deprecated.empty()) (*object)["deprecated"] = true;
      const Json* value = find(values, option.key);
      if (!option.required && value && says_something(*value)) (*object)["default"] = *value;
    }
    properties[option.key] = std::move(schema);
    if (option.required) required.emplace_back(option.key);
  }
  JsonObject schema{{"type", "object"}, {"description", summary_}};
  schema["properties"] = std::move(properties);
  if (!required.empty()) schema["required"] = std::move(required);
  schema["additionalProperties"] = false;
  if (!exactly_one_of_.empty()) {
    JsonArray all;
    for (const auto& keys : exactly_one_of_) all.push_back(one_of_keys(keys));
    schema["allOf"] = std::move(all);
  }
  return schema;
}

namespace spec_detail {

Json schema_of(std::string_view type, const SpecOption& option) {
  if (type == "any value") return JsonObject{};
  if (type == "duration") return or_reference(text_like("^[0-9.]+(ms|us|s|m|h|d|w)$"));
  if (option.unit == SpecUnit::bytes) {
    return or_reference(text_like("^[0-9.]+(KiB|MiB|GiB|TiB|KB|MB|GB|B)$"));
  }
  if (option.unit == SpecUnit::percent) return or_reference(text_like("^[0-9.]+%$"));
  if (type == "string") {
    return option.one_of.empty() ? JsonObject{{"type", "string"}} : schema_of_names(option.one_of);
  }
  JsonObject schema{{"type", type}};
  if (option.min) schema["minimum"] = *option.min;
  if (option.max) schema["maximum"] = *option.max;
  return or_reference(std::move(schema));
}

Json schema_of_names(const std::vector<std::string>& names) {
  JsonArray values;
  for (const auto& name : names) values.emplace_back(name);
  return or_reference(JsonObject{{"enum", std::move(values)}});
}

Json schema_of_list(Json items) {
  return JsonObject{{"type", "array"}, {"items", std::move(items)}};
}

Json schema_of_map(Json values) {
  return JsonObject{{"type", "object"}, {"additionalProperties", std::move(values)}};
}

}  // namespace spec_detail
}  // namespace millrace
