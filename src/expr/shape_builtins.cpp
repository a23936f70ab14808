// Where the arguments of builtins are evaluated, and what comes out. A builtin without a rule here
// yields the unknown; its arguments see the input when it is a function of values, and the unknown
// when it is a filter.
#include <algorithm>
#include <array>

#include "expr/filters.hpp"
#include "expr/functions.hpp"
#include "expr/regex.hpp"
#include "expr/shape_inference.hpp"

namespace millrace::expr {
namespace {

ShapePtr or_null(const ShapePtr& shape) {
  return either(shape, shape_of_types(Shape::kNull));
}

ShapePtr entry_of(const ShapePtr& object) {
  auto entry = std::make_shared<Shape>();
  entry->types = Shape::kObject;
  entry->names = Names::closed;
  entry->members["key"] = unknown_shape();
  entry->members["value"] = elements_of(object);
  return entry;
}

struct TypeFilter {
  std::string_view name;
  unsigned types;
};
constexpr std::array<TypeFilter, 9> kTypeFilters{
    {{"values", Shape::kAll & ~unsigned{Shape::kNull}},
     {"nulls", Shape::kNull},
     {"booleans", Shape::kBoolean},
     {"numbers", Shape::kNumber},
     {"strings", Shape::kString},
     {"arrays", Shape::kArray},
     {"objects", Shape::kObject},
     {"iterables", Shape::kArray | Shape::kObject},
     {"scalars", Shape::kAll & ~unsigned{Shape::kArray | Shape::kObject}}}};

}  // namespace

const std::vector<ShapeInference::Builtin>& ShapeInference::builtins() {
  using I = ShapeInference;
  static const std::vector<Builtin> made{{"select", 1, &I::keep},
                                         {"sort", 0, &I::keep},
                                         {"unique", 0, &I::keep},
                                         {"sort_by", 1, &I::keep_by_elements},
                                         {"unique_by", 1, &I::keep_by_elements},
                                         {"group_by", 1, &I::group},
                                         {"map", 1, &I::map},
                                         {"map_values", 1, &I::on_elements},
                                         {"min", 0, &I::one_element},
                                         {"max", 0, &I::one_element},
                                         {"min_by", 1, &I::one_element},
                                         {"max_by", 1, &I::one_element},
                                         {"first", 0, &I::one_element},
                                         {"last", 0, &I::one_element},
                                         {"add", 0, &I::one_element},
                                         {"any", 0, &I::ask},
                                         {"all", 0, &I::ask},
                                         {"any", 1, &I::ask_elements},
                                         {"all", 1, &I::ask_elements},
                                         {"any", 2, &I::ask_outputs},
                                         {"all", 2, &I::ask_outputs},
                                         {"isempty", 1, &I::ask},
                                         {"IN", 1, &I::ask},
                                         {"IN", 2, &I::ask},
                                         {"not", 0, &I::ask},
                                         {"first", 1, &I::last_argument},
                                         {"last", 1, &I::last_argument},
                                         {"limit", 2, &I::last_argument},
                                         {"nth", 2, &I::last_argument},
                                         {"INDEX", 1, &I::on_elements},
                                         {"INDEX", 2, &I::on_outputs},
                                         {"with_entries", 1, &I::on_entries},
                                         {"to_entries", 0, &I::entries},
                                         {"path", 1, &I::as_path},
                                         {"pick", 1, &I::as_path},
                                         {"del", 1, &I::delete_path},
                                         {"sub", 2, &I::replace_text},
                                         {"sub", 3, &I::replace_text},
                                         {"gsub", 2, &I::replace_text},
                                         {"gsub", 3, &I::replace_text},
                                         {"empty", 0, &I::nothing},
                                         {"error", 0, &I::nothing},
                                         {"error", 1, &I::nothing},
                                         {"values", 0, &I::of_type},
                                         {"nulls", 0, &I::of_type},
                                         {"booleans", 0, &I::of_type},
                                         {"numbers", 0, &I::of_type},
                                         {"strings", 0, &I::of_type},
                                         {"arrays", 0, &I::of_type},
                                         {"objects", 0, &I::of_type},
                                         {"iterables", 0, &I::of_type},
                                         {"scalars", 0, &I::of_type}};
  return made;
}

ShapePtr ShapeInference::builtin(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  const std::size_t arity = syntax.children.size();
  for (const Builtin& known : builtins()) {
    if (known.arity == arity && known.name == syntax.name) {
      return (this->*known.rule)(syntax, input, scope);
    }
  }
  const bool sees_input =
      is_regex_function(syntax.name, arity) || find_value_function(syntax.name, arity) != nullptr;
  all(syntax, sees_input ? input : unknown_shape(), scope);
  return unknown_shape();
}

ShapePtr ShapeInference::keep(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  all(syntax, input, scope);
  return input;
}

ShapePtr ShapeInference::keep_by_elements(const Syntax& syntax, const ShapePtr& input,
                                          Scope scope) {
  all(syntax, elements_of(input), scope);
  return input;
}

ShapePtr ShapeInference::map(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  return array_shape(of(*syntax.children[0], elements_of(input), scope));
}

ShapePtr ShapeInference::group(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  all(syntax, elements_of(input), scope);
  return array_shape(input);
}

ShapePtr ShapeInference::one_element(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  const ShapePtr elements = elements_of(input);
  all(syntax, elements, scope);
  return or_null(elements);
}

ShapePtr ShapeInference::ask(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  all(syntax, input, scope);
  return shape_of_types(Shape::kBoolean);
}

ShapePtr ShapeInference::ask_elements(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  all(syntax, elements_of(input), scope);
  return shape_of_types(Shape::kBoolean);
}

ShapePtr ShapeInference::ask_outputs(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  on_outputs(syntax, input, scope);
  return shape_of_types(Shape::kBoolean);
}

ShapePtr ShapeInference::last_argument(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  ShapePtr value = no_shape();
  for (const SyntaxPtr& argument : syntax.children) value = of(*argument, input, scope);
  return value;
}

ShapePtr ShapeInference::on_elements(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  all(syntax, elements_of(input), scope);
  return unknown_shape();
}

ShapePtr ShapeInference::on_entries(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  all(syntax, entry_of(input), scope);
  return unknown_shape();
}

ShapePtr ShapeInference::entries(const Syntax&, const ShapePtr& input, Scope) {
  return array_shape(entry_of(input));
}

// f(stream; filter): the filter sees what the stream yields.
ShapePtr ShapeInference::on_outputs(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  of(*syntax.children[1], of(*syntax.children[0], input, scope), scope);
  return unknown_shape();
}

ShapePtr ShapeInference::as_path(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  silently(*syntax.children[0], input, scope);
  return unknown_shape();
}

ShapePtr ShapeInference::delete_path(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  silently(*syntax.children[0], input, scope);
  return or_null(input);  // `del(.)` leaves null
}

// The replacement sees what was captured.
ShapePtr ShapeInference::replace_text(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  for (std::size_t i = 0; i < syntax.children.size(); ++i) {
    of(*syntax.children[i], i == 1 ? unknown_shape() : input, scope);
  }
  return shape_of_types(Shape::kString);
}

ShapePtr ShapeInference::nothing(const Syntax& syntax, const ShapePtr& input, Scope scope) {
  all(syntax, input, scope);
  return no_shape();
}

ShapePtr ShapeInference::of_type(const Syntax& syntax, const ShapePtr& input, Scope) {
  const auto* filter = std::ranges::find(kTypeFilters, syntax.name, &TypeFilter::name);
  return only_types(input, filter->types);
}

}  // namespace millrace::expr
