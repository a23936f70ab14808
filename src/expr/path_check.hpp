// Which paths of an expression can never lead anywhere, judged by the shapes of what it is given.
// Reports only what is certain: a place that is evaluated on several values counts when it fails on
// all of them, and whatever is not understood is unknown. A miss is better than a false alarm.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "expr/shape.hpp"

namespace millrace::expr {

/// One access that finds nothing.
struct PathFinding {
  enum class Kind : std::uint8_t {
    no_member,     ///< the object cannot have this member
    undeclared,    ///< the object does not declare this member, but may have it
    not_an_object  ///< what is accessed is a string, a number, a boolean or a list
  } kind = Kind::no_member;
  std::size_t line = 1;  ///< in the expression's own text; both count from 1
  std::size_t column = 1;
  std::string path;                ///< as written: ".data.partner.nmae"
  std::string member;              ///< "nmae"
  std::string owner;               ///< what has no such member: "sales_order.partner"; may be empty
  std::vector<std::string> known;  ///< the members it has
  unsigned types = 0;              ///< what it is instead of an object
};

struct PathCheck {
  std::vector<PathFinding> findings;  ///< in the order of the text
  ShapePtr result;                    ///< what the expression yields
};

/// `functions` is ExpressionScope::functions; findings inside it are not reported, because other
/// expressions use it too. `variables` are the shapes of the `$names`; others are unknown. A text
/// that does not compile has no findings.
PathCheck check_paths(std::string_view text, std::string_view functions, const ShapePtr& input,
                      const std::map<std::string, ShapePtr>& variables);

}  // namespace millrace::expr
