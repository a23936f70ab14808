#include "config/shapes.hpp"

#include <array>

namespace millrace::config {
namespace {

using expr::Names;
using expr::Shape;
using expr::ShapePtr;

constexpr int kDepthMax = 16;
constexpr int kNodesMax = 20'000;

unsigned type_named(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, unsigned>, 7> kTypes{
      {{"null", Shape::kNull},
       {"boolean", Shape::kBoolean},
       {"integer", Shape::kNumber},
       {"number", Shape::kNumber},
       {"string", Shape::kString},
       {"array", Shape::kArray},
       {"object", Shape::kObject}}};
  for (const auto& [known, type] : kTypes) {
    if (known == name) return type;
  }
  return Shape::kAll;
}

unsigned type_of(const Json& value) {
  if (value.is_null()) return Shape::kNull;
  if (value.is_bool()) return Shape::kBoolean;
  if (value.is_string()) return Shape::kString;
  if (value.is_array()) return Shape::kArray;
  return value.is_object() ? Shape::kObject : Shape::kNumber;
}

std::string_view text(const Json& value) {
  return value.is_string() ? std::string_view(value.get_string()) : std::string_view();
}

bool is_false(const Json* value) {
  return value != nullptr && value->is_bool() && !value->get_bool();
}

class SchemaShapes {
 public:
  explicit SchemaShapes(const Json& root) : root_(root) {}

  ShapePtr of(const Json& schema, const std::string& name, int depth) {
    const JsonObject* object = schema.if_object();
    if (object == nullptr || depth > kDepthMax || ++nodes_ > kNodesMax) {
      return expr::unknown_shape();
    }
    if (const Json* reference = object->if_contains("$ref")) {
      const Json* target = resolve(text(*reference));
      return target ? of(*target, name, depth + 1) : expr::unknown_shape();
    }
    ShapePtr shape = own(*object, name, depth);
    for (const std::string_view key : {"anyOf", "oneOf"}) {
      const Json* list = object->if_contains(key);
      if (list == nullptr || !list->is_array() || list->get_array().empty()) continue;
      ShapePtr choices = expr::no_shape();
      for (const Json& one : list->get_array()) {
        choices = expr::either(choices, of(one, name, depth + 1));
      }
      shape = both(shape, choices);
    }
    if (const Json* list = object->if_contains("allOf"); list && list->is_array()) {
      for (const Json& one : list->get_array()) shape = both(shape, of(one, name, depth + 1));
    }
    return shape;
  }

 private:
  const Json* resolve(std::string_view reference) const {
    if (reference == "#") return &root_;
    if (!reference.starts_with("#/")) return nullptr;
    boost::system::error_code error;
    return root_.find_pointer(reference.substr(1), error);
  }

  static unsigned types_of(const JsonObject& schema) {
    unsigned types = Shape::kAll;
    if (const Json* type = schema.if_contains("type")) {
      if (const JsonArray* several = type->if_array()) {
        types = 0;
        for (const Json& one : *several) types |= type_named(text(one));
      } else {
        types = type_named(text(*type));
      }
    }
    if (const Json* values = schema.if_contains("enum"); values && values->is_array()) {
      unsigned listed = 0;
      for (const Json& one : values->get_array()) listed |= type_of(one);
      types &= listed;
    }
    if (const Json* value = schema.if_contains("const")) types &= type_of(*value);
    return types;
  }

  ShapePtr own(const JsonObject& schema, const std::string& name, int depth) {
    auto shape = std::make_shared<Shape>();
    shape->types = types_of(schema);
    shape->name = name;
    if (const Json* properties = schema.if_contains("properties");
        properties && properties->is_object()) {
      for (const auto& member : properties->get_object()) {
        const std::string key(member.key());
        shape->members[key] = of(member.value(), name + "." + key, depth + 1);
      }
      if (is_plain(schema)) shape->names = Names::declared;
    }
    if (is_false(schema.if_contains("additionalProperties")) &&
        !schema.contains("patternProperties")) {
      shape->names = Names::closed;
    }
    if (const Json* items = schema.if_contains("items"); items && items->is_object()) {
      shape->items = of(*items, name + "[]", depth + 1);
    }
    return shape;
  }

  // Nothing else in the schema speaks of further members.
  static bool is_plain(const JsonObject& schema) {
    for (const std::string_view key : {"additionalProperties", "patternProperties", "propertyNames",
                                       "dependencies", "if", "then", "else"}) {
      if (schema.contains(key)) return false;
    }
    return true;
  }

  // A value that fits two schemas. What only one of them says of a member holds as well.
  static ShapePtr both(const ShapePtr& left, const ShapePtr& right) {
    if (right == expr::unknown_shape()) return left;
    if (left == expr::unknown_shape()) return right;
    auto shape = std::make_shared<Shape>(*left);
    shape->types &= right->types;
    for (const auto& [key, member] : right->members) shape->members.emplace(key, member);
    if (left->names == Names::closed || right->names == Names::closed) {
      shape->names = Names::closed;
    } else {
      shape->names = std::min(left->names, right->names);
      // One of the two without members of its own says nothing against the other's.
      if (right->members.empty()) shape->names = left->names;
      if (left->members.empty()) shape->names = right->names;
    }
    if (!shape->items) shape->items = right->items;
    return shape;
  }

  const Json& root_;
  int nodes_ = 0;
};

ShapePtr text_shape() {
  static const ShapePtr made = expr::shape_of_types(Shape::kString);
  return made;
}

ShapePtr number_shape() {
  static const ShapePtr made = expr::shape_of_types(Shape::kNumber);
  return made;
}

}  // namespace

ShapePtr shape_of_schema(const Json& schema, const std::string& name) {
  return SchemaShapes(schema).of(schema, name, 0);
}

ShapePtr shape_of_record(const FieldPlan& plan, const std::string& name) {
  auto record = std::make_shared<Shape>();
  record->types = Shape::kObject;
  record->name = name;
  record->names = Names::closed;
  record->members["id"] = number_shape();
  for (const FieldPlan::Field& field : plan.fields) {
    if (field.nested.empty()) {
      record->members.insert_or_assign(field.name, expr::unknown_shape());
      continue;
    }
    // One related record, none, or a list of them: the plan does not say which.
    const auto related = shape_of_record(field.nested, name + "." + field.name);
    auto member = std::make_shared<Shape>(*related);
    member->types = Shape::kObject | Shape::kArray | Shape::kNull;
    member->items = related;
    member->is_relation = true;
    record->members.insert_or_assign(field.name, std::move(member));
  }
  return record;
}

ShapePtr shape_of_event(const ShapePtr& data, bool answered) {
  auto event = std::make_shared<Shape>();
  event->types = Shape::kObject;
  event->name = kEventName;
  event->names = Names::closed;
  for (const std::string_view key :
       {"id", "type", "source", "subject", "time", "record", "cause", "origin", "correlationid"}) {
    event->members[std::string(key)] = text_shape();
  }
  event->members["rev"] = number_shape();
  event->members["entityversion"] = number_shape();
  event->members["types"] = expr::array_shape(text_shape());
  event->members["data"] = data;
  if (answered) {
    auto answer = std::make_shared<Shape>();
    answer->types = Shape::kObject;
    answer->name = "an answer";
    answer->names = Names::closed;
    answer->members["status"] = number_shape();
    answer->members["headers"] = expr::shape_of_types(Shape::kObject);
    answer->members["body"] = expr::unknown_shape();
    event->members["answer"] = std::move(answer);
  }
  return event;
}

}  // namespace millrace::config
