// The JSON Schema of all documents: the leading key chooses the object, `type` the connector.
#include "config/object_specs.hpp"
#include "config/reference.hpp"

namespace millrace::config {
namespace {

Json requires_key(std::string_view key) {
  JsonArray keys;
  keys.emplace_back(key);
  return JsonObject{{"required", std::move(keys)}};
}

Json reference_to(std::string_view definition) {
  return JsonObject{{"$ref", "#/definitions/" + std::string(definition)}};
}

Json when(Json condition, Json then) {
  return JsonObject{{"if", std::move(condition)}, {"then", std::move(then)}};
}

Json of_type(std::string_view type) {
  JsonObject condition = requires_key("type").get_object();
  condition["properties"] = JsonObject{{"type", JsonObject{{"const", type}}}};
  return condition;
}

// The common keys and those of one type, in one mapping.
Json connection_of(const ConnectorType& type) {
  Json common = connection_spec().json_schema();
  const Json own = type.spec().json_schema();
  JsonObject& merged = common.get_object();
  merged["description"] = type.spec().summary();
  JsonObject& properties = merged["properties"].get_object();
  for (const auto& member : own.get_object().at("properties").get_object()) {
    properties[member.key()] = member.value();
  }
  if (const Json* required = own.get_object().if_contains("required")) {
    JsonArray& keys = merged["required"].get_array();
    for (const Json& key : required->get_array()) keys.push_back(key);
  }
  if (const Json* all = own.get_object().if_contains("allOf")) merged["allOf"] = *all;
  return common;
}

void define_connections(const ConnectorRegistry& connectors, JsonObject& definitions) {
  JsonArray names;
  JsonArray choices;
  for (const auto& type : connectors.types()) {
    const std::string definition = "connection_" + std::string(type->name());
    names.emplace_back(type->name());
    choices.push_back(when(of_type(type->name()), reference_to(definition)));
    definitions[definition] = connection_of(*type);
  }
  JsonArray required;
  required.emplace_back("type");
  definitions["connection"] =
      JsonObject{{"type", "object"},
                 {"description", connection_spec().summary()},
                 {"required", std::move(required)},
                 {"properties", JsonObject{{"type", JsonObject{{"enum", std::move(names)}}}}},
                 {"allOf", std::move(choices)}};
}

}  // namespace

Json editor_schema(const ConnectorRegistry& connectors) {
  JsonObject definitions;
  JsonArray kinds;
  JsonArray choices;
  for (const ObjectKind& kind : kObjectKinds) {
    kinds.push_back(requires_key(kind.key));
    choices.push_back(when(requires_key(kind.key), reference_to(kind.key)));
    if (kind.key != "connection") definitions[kind.key] = kind.spec().json_schema();
  }
  define_connections(connectors, definitions);
  return JsonObject{{"$schema", "http://json-schema.org/draft-07/schema#"},
                    {"title", "Millrace configuration"},
                    {"type", "object"},
                    {"anyOf", std::move(kinds)},
                    {"allOf", std::move(choices)},
                    {"definitions", std::move(definitions)}};
}

}  // namespace millrace::config
