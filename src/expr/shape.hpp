// What a value can be: the over-approximation that path checks reason with. A shape never leaves
// out a value that can occur; where nothing is known it is the unknown shape.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::expr {

struct Shape;
using ShapePtr = std::shared_ptr<const Shape>;

/// What the members of an object say about names that are not among them.
enum class Names : std::uint8_t {
  open,      ///< nothing
  declared,  ///< others are possible; one that is nearly a declared name is likely a slip
  closed     ///< no other member can be there
};

struct Shape {
  enum Type : unsigned {
    kNull = 1,
    kBoolean = 2,
    kNumber = 4,
    kString = 8,
    kArray = 16,
    kObject = 32,
    kAll = 63
  };
  unsigned types = 0;  ///< which types are possible; 0: there is no value at all
  std::string name;    ///< how messages call it, "sales_order.customer"; empty: has none
  Names names = Names::open;
  std::map<std::string, ShapePtr, std::less<>> members;  ///< of an object
  ShapePtr items;                                        ///< of an array; null: unknown
  bool is_relation = false;  ///< one object or a list of them; `.[]` is then meant for the list

  bool can_be(unsigned wanted) const { return (types & wanted) != 0; }
};

/// Any value.
const ShapePtr& unknown_shape();
/// No value: what `empty` yields.
const ShapePtr& no_shape();
/// Any value of these types.
ShapePtr shape_of_types(unsigned types);
ShapePtr array_shape(ShapePtr items);
/// Whatever one of the two can be.
ShapePtr either(const ShapePtr& left, const ShapePtr& right);
/// The part of a shape that has one of these types.
ShapePtr only_types(const ShapePtr& shape, unsigned types);
/// What `.[]` yields.
ShapePtr elements_of(const ShapePtr& shape);
/// "a string or null".
std::string describe_types(unsigned types);

}  // namespace millrace::expr
