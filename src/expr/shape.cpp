#include "expr/shape.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace millrace::expr {
namespace {

// Deeper joins say nothing that a path in a real expression asks for.
constexpr std::size_t kJoinDepthMax = 24;

ShapePtr join(const ShapePtr& left, const ShapePtr& right, std::size_t depth);

// The objects of two shapes as one: a member that only one of them has may be null.
void join_objects(const Shape& left, const Shape& right, std::size_t depth, Shape& out) {
  if (!left.can_be(Shape::kObject) || !right.can_be(Shape::kObject)) {
    const Shape& object = left.can_be(Shape::kObject) ? left : right;
    out.names = object.names;
    out.members = object.members;
    return;
  }
  static const ShapePtr null = shape_of_types(Shape::kNull);
  out.names = std::min(left.names, right.names);
  const auto absent = [&](const Shape& other) {
    return other.names == Names::open ? unknown_shape() : null;
  };
  for (const auto& [name, shape] : left.members) {
    const auto same = right.members.find(name);
    out.members[name] =
        join(shape, same == right.members.end() ? absent(right) : same->second, depth + 1);
  }
  for (const auto& [name, shape] : right.members) {
    if (!left.members.contains(name)) out.members[name] = join(shape, absent(left), depth + 1);
  }
}

ShapePtr join(const ShapePtr& left, const ShapePtr& right, std::size_t depth) {
  if (left == right || right->types == 0) return left;
  if (left->types == 0) return right;
  if (left == unknown_shape() || right == unknown_shape() || depth > kJoinDepthMax) {
    return unknown_shape();
  }
  auto out = std::make_shared<Shape>();
  out->types = left->types | right->types;
  out->is_relation = (left->is_relation || !left->can_be(Shape::kObject)) &&
                     (right->is_relation || !right->can_be(Shape::kObject));
  if (left->name == right->name || !right->can_be(Shape::kObject)) out->name = left->name;
  if (!left->can_be(Shape::kObject)) out->name = right->name;
  join_objects(*left, *right, depth, *out);
  if (!left->can_be(Shape::kArray) || !right->can_be(Shape::kArray)) {
    out->items = left->can_be(Shape::kArray) ? left->items : right->items;
  } else if (left->items && right->items) {
    out->items = join(left->items, right->items, depth + 1);
  }
  return out;
}

}  // namespace

const ShapePtr& unknown_shape() {
  static const ShapePtr made = shape_of_types(Shape::kAll);
  return made;
}

const ShapePtr& no_shape() {
  static const ShapePtr made = std::make_shared<const Shape>();
  return made;
}

ShapePtr shape_of_types(unsigned types) {
  auto made = std::make_shared<Shape>();
  made->types = types;
  return made;
}

ShapePtr array_shape(ShapePtr items) {
  auto made = std::make_shared<Shape>();
  made->types = Shape::kArray;
  made->items = std::move(items);
  return made;
}

ShapePtr either(const ShapePtr& left, const ShapePtr& right) {
  return join(left, right, 0);
}

ShapePtr only_types(const ShapePtr& shape, unsigned types) {
  if ((shape->types & types) == shape->types) return shape;
  auto made = std::make_shared<Shape>(*shape);
  made->types &= types;
  return made;
}

ShapePtr elements_of(const ShapePtr& shape) {
  ShapePtr elements = no_shape();
  if (shape->can_be(Shape::kArray)) {
    elements = shape->items ? shape->items : unknown_shape();
  }
  if (!shape->can_be(Shape::kObject) || shape->is_relation) return elements;
  if (shape->names != Names::closed) return unknown_shape();
  for (const auto& [name, member] : shape->members) elements = either(elements, member);
  return elements;
}

std::string describe_types(unsigned types) {
  static constexpr std::array<std::pair<unsigned, std::string_view>, 6> kWords{
      {{Shape::kBoolean, "a boolean"},
       {Shape::kNumber, "a number"},
       {Shape::kString, "a string"},
       {Shape::kArray, "a list"},
       {Shape::kObject, "an object"},
       {Shape::kNull, "null"}}};
  std::string text;
  for (const auto& [type, word] : kWords) {
    if ((types & type) == 0) continue;
    if (!text.empty()) text += " or ";
    text += word;
  }
  return text;
}

}  // namespace millrace::expr
