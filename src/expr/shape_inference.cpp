// Shapes of the language's own constructs; those of builtins are in shape_builtins.cpp.
#include "expr/shape_inference.hpp"

#include <algorithm>
#include <deque>

#include "expr/functions.hpp"

namespace millrace::expr {
namespace {

// Called functions are walked anew at each call; a walk that grows beyond these is given up.
constexpr std::size_t kStepsMax = 100'000;
constexpr std::size_t kDepthMax = 600;

struct Counted {
  explicit Counted(std::size_t& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  std::size_t& count_;
};

// The text of a string without interpolations, or null.
const std::string* constant_text(const Syntax& syntax, std::string& storage) {
  const Syntax* literal = &syntax;
  if (syntax.kind == Kind::text) {
    if (syntax.children.size() != 1) return nullptr;
    literal = syntax.children[0].get();
  }
  if (literal->kind != Kind::literal || !literal->literal.is_string()) return nullptr;
  storage = std::string(view(literal->literal));
  return &storage;
}

ShapePtr shape_of_literal(const Json& value) {
  if (value.is_null()) return shape_of_types(Shape::kNull);
  if (value.is_bool()) return shape_of_types(Shape::kBoolean);
  if (value.is_string()) return shape_of_types(Shape::kString);
  return value.is_number() ? shape_of_types(Shape::kNumber) : unknown_shape();
}

// The path as written, as far as it is a plain chain: ".data.lines[].sku", "$before.state".
std::string written(const Syntax& syntax) {
  std::string key;
  switch (syntax.kind) {
    case Kind::field:
      return written(*syntax.children[0]) + "." + syntax.name;
    case Kind::iterate:
      return written(*syntax.children[0]) + "[]";
    case Kind::index:
      if (constant_text(*syntax.children[1], key) == nullptr) return {};
      return written(*syntax.children[0]) + "." + key;
    case Kind::variable:
      return "$" + syntax.name;
    default:
      return {};
  }
}

}  // namespace

ShapePtr ShapeInference::of(const Syntax& syntax, const ShapePtr& input, const ShapeScope* scope) {
  if (++steps_ > kStepsMax || depth_ >= kDepthMax) exhausted_ = true;
  if (exhausted_) return unknown_shape();
  const Counted level(depth_);
  return walk(syntax, input, scope);
}

ShapePtr ShapeInference::walk(const Syntax& syntax, const ShapePtr& input,
                              const ShapeScope* scope) {
  switch (syntax.kind) {
    case Kind::identity:
      return input;
    case Kind::field: {
      const ShapePtr target = of(*syntax.children[0], input, scope);
      return member(syntax, syntax.at, target, syntax.name, syntax.optional);
    }
    case Kind::index:
      return index(syntax, input, scope);
    case Kind::slice: {
      const ShapePtr target = of(*syntax.children[0], input, scope);
      for (std::size_t i = 1; i < syntax.children.size(); ++i) {
        if (syntax.children[i]) of(*syntax.children[i], input, scope);
      }
      return target;
    }
    case Kind::iterate:
      return elements_of(of(*syntax.children[0], input, scope));
    case Kind::attempt: {
      ShapePtr body;
      {
        const Counted attempt(attempts_);
        body = of(*syntax.children[0], input, scope);
      }
      if (syntax.children.size() == 1) return body;
      return either(body, of(*syntax.children[1], unknown_shape(), scope));
    }
    case Kind::literal:
      return shape_of_literal(syntax.literal);
    case Kind::format:
      return shape_of_types(Shape::kString);
    case Kind::text:
      all(syntax, input, scope);
      return shape_of_types(Shape::kString);
    case Kind::array:
      return array_shape(syntax.children.empty() ? no_shape()
                                                 : of(*syntax.children[0], input, scope));
    case Kind::object:
      return object(syntax, input, scope);
    case Kind::negate:
      all(syntax, input, scope);
      return shape_of_types(Shape::kNumber);
    case Kind::pipe: {
      ShapePtr value = input;
      for (const SyntaxPtr& part : syntax.children) value = of(*part, value, scope);
      return value;
    }
    case Kind::comma: {
      ShapePtr value = no_shape();
      for (const SyntaxPtr& part : syntax.children) value = either(value, of(*part, input, scope));
      return value;
    }
    case Kind::binary:
      return binary(syntax, input, scope);
    case Kind::conjunction:
    case Kind::disjunction:
      all(syntax, input, scope);
      return shape_of_types(Shape::kBoolean);
    case Kind::alternative: {
      ShapePtr left;
      {
        const Counted attempt(attempts_);
        left = of(*syntax.children[0], input, scope);
      }
      const ShapePtr right = of(*syntax.children[1], input, scope);
      return either(only_types(left, Shape::kAll & ~unsigned{Shape::kNull}), right);
    }
    case Kind::assign: {
      const ShapePtr target = silently(*syntax.children[0], input, scope);
      of(*syntax.children[1], syntax.name == "|=" ? target : input, scope);
      return unknown_shape();
    }
    case Kind::condition:
      return condition(syntax, input, scope);
    case Kind::reduce:
    case Kind::foreach:
      return fold(syntax, input, scope);
    case Kind::binding:
      return with_variable(syntax, *syntax.children[1], of(*syntax.children[0], input, scope),
                           input, scope);
    case Kind::variable:
      return variable(syntax, scope);
    case Kind::call:
      return call(syntax, input, scope);
    case Kind::definition: {
      ShapeScope defined;
      defined.outer = scope;
      defined.kind = ShapeScope::Kind::function;
      defined.name = syntax.name;
      defined.syntax = &syntax;
      return of(*syntax.children[1], input, &defined);
    }
    case Kind::descend:
      break;
  }
  return unknown_shape();
}

ShapePtr ShapeInference::silently(const Syntax& syntax, const ShapePtr& input,
                                  const ShapeScope* scope) {
  const Counted silent(silent_);
  return of(syntax, input, scope);
}

void ShapeInference::all(const Syntax& syntax, const ShapePtr& input, const ShapeScope* scope) {
  for (const SyntaxPtr& child : syntax.children) of(*child, input, scope);
}

ShapePtr ShapeInference::member(const Syntax& syntax, std::size_t at, const ShapePtr& target,
                                std::string_view name, bool forgiving) {
  Sighting& seen = sightings_[at];
  ++seen.walked;
  if (target == unknown_shape() || target->types == 0) return target;
  const bool object = target->can_be(Shape::kObject);
  if (object) {
    const auto found = target->members.find(name);
    if (found != target->members.end()) {
      // A member that is declared may still be left out.
      return either(found->second, shape_of_types(Shape::kNull));
    }
    if (target->names == Names::open) return unknown_shape();
  } else if (target->types == Shape::kNull) {
    return target;
  } else if (forgiving || attempts_ > 0) {
    return unknown_shape();
  }
  if (silent_ > 0) return unknown_shape();
  ++seen.missed;
  PathFinding& finding = seen.finding;
  finding.kind = !object                            ? PathFinding::Kind::not_an_object
                 : target->names == Names::declared ? PathFinding::Kind::undeclared
                                                    : PathFinding::Kind::no_member;
  const std::string before = syntax.kind == Kind::object ? "" : written(*syntax.children[0]);
  finding.path = before + "." + std::string(name);
  finding.member = name;
  finding.owner = target->name;
  finding.types = target->types;
  finding.known.clear();
  for (const auto& [known, shape] : target->members) finding.known.push_back(known);
  return unknown_shape();
}

ShapePtr ShapeInference::index(const Syntax& syntax, const ShapePtr& input,
                               const ShapeScope* scope) {
  const ShapePtr target = of(*syntax.children[0], input, scope);
  std::string name;
  if (constant_text(*syntax.children[1], name) != nullptr) {
    return member(syntax, syntax.at, target, name, syntax.optional);
  }
  const ShapePtr key = of(*syntax.children[1], input, scope);
  if (key->types != Shape::kNumber || target->can_be(Shape::kObject)) return unknown_shape();
  return either(elements_of(target), shape_of_types(Shape::kNull));
}

ShapePtr ShapeInference::object(const Syntax& syntax, const ShapePtr& input,
                                const ShapeScope* scope) {
  auto made = std::make_shared<Shape>();
  made->types = Shape::kObject;
  made->names = Names::closed;
  for (std::size_t i = 0; i + 1 < syntax.children.size(); i += 2) {
    const Syntax& key = *syntax.children[i];
    std::string storage;
    const std::string* name = constant_text(key, storage);
    ShapePtr value;
    if (syntax.children[i + 1]) {
      value = of(*syntax.children[i + 1], input, scope);
    } else if (name != nullptr) {
      value = member(syntax, key.at, input, *name, false);
    } else {
      value = unknown_shape();
    }
    if (name != nullptr) {
      made->members[*name] = value;
    } else {
      of(key, input, scope);
      made->names = Names::open;
    }
  }
  return made;
}

ShapePtr ShapeInference::binary(const Syntax& syntax, const ShapePtr& input,
                                const ShapeScope* scope) {
  const ShapePtr left = of(*syntax.children[0], input, scope);
  const ShapePtr right = of(*syntax.children[1], input, scope);
  if (syntax.name.find_first_of("=<>") != std::string::npos) {
    return shape_of_types(Shape::kBoolean);
  }
  // `+` gives one of its sides, a number, or the two joined: objects by member, lists by item.
  if (syntax.name == "+") return either(left, right);
  if (syntax.name == "%") return shape_of_types(Shape::kNumber);
  if (left == unknown_shape() || right == unknown_shape()) return unknown_shape();
  if (syntax.name == "-") return only_types(left, Shape::kArray | Shape::kNumber);
  return unknown_shape();
}

ShapePtr ShapeInference::condition(const Syntax& syntax, const ShapePtr& input,
                                   const ShapeScope* scope) {
  ShapePtr value = no_shape();
  const std::size_t count = syntax.children.size();
  for (std::size_t i = 0; i + 1 < count; i += 2) {
    of(*syntax.children[i], input, scope);
    value = either(value, of(*syntax.children[i + 1], input, scope));
  }
  return either(value, count % 2 == 1 ? of(*syntax.children[count - 1], input, scope) : input);
}

ShapePtr ShapeInference::with_variable(const Syntax& syntax, const Syntax& body,
                                       const ShapePtr& value, const ShapePtr& input,
                                       const ShapeScope* scope) {
  ShapeScope bound;
  bound.outer = scope;
  bound.name = syntax.name;
  bound.shape = value;
  return of(body, input, &bound);
}

// What is carried from step to step is unknown; what one step makes of the unknown covers it.
ShapePtr ShapeInference::fold(const Syntax& syntax, const ShapePtr& input,
                              const ShapeScope* scope) {
  const ShapePtr source = of(*syntax.children[0], input, scope);
  const ShapePtr initial = of(*syntax.children[1], input, scope);
  const ShapePtr updated =
      with_variable(syntax, *syntax.children[2], source, unknown_shape(), scope);
  // A step without an output leaves null.
  if (syntax.kind == Kind::reduce) {
    return either(either(initial, updated), shape_of_types(Shape::kNull));
  }
  if (syntax.children.size() <= 3) return updated;
  return with_variable(syntax, *syntax.children[3], source, updated, scope);
}

ShapePtr ShapeInference::variable(const Syntax& syntax, const ShapeScope* scope) const {
  for (; scope != nullptr; scope = scope->outer) {
    if (scope->kind == ShapeScope::Kind::variable && scope->name == syntax.name) {
      return scope->shape;
    }
  }
  const auto found = variables_.find(syntax.name);
  return found == variables_.end() ? unknown_shape() : found->second;
}

ShapePtr ShapeInference::call(const Syntax& syntax, const ShapePtr& input,
                              const ShapeScope* scope) {
  const std::size_t arity = syntax.children.size();
  for (const ShapeScope* at = scope; at != nullptr; at = at->outer) {
    if (at->name != syntax.name) continue;
    if (at->kind == ShapeScope::Kind::parameter && arity == 0) {
      return of(*at->syntax, input, at->origin);
    }
    if (at->kind == ShapeScope::Kind::function && at->syntax->params.size() == arity) {
      return call_function(*at, syntax, input, scope);
    }
  }
  return builtin(syntax, input, scope);
}

// A parameter is its argument, evaluated where the body uses it; `$x` is bound to it as well.
ShapePtr ShapeInference::call_function(const ShapeScope& function, const Syntax& syntax,
                                       const ShapePtr& input, const ShapeScope* scope) {
  const Syntax& definition = *function.syntax;
  std::deque<ShapeScope> names;
  const ShapeScope* inner = function.outer;
  const auto add = [&](ShapeScope::Kind kind, std::string_view name) -> ShapeScope& {
    ShapeScope& added = names.emplace_back();
    added.outer = inner;
    added.kind = kind;
    added.name = name;
    inner = &added;
    return added;
  };
  for (std::size_t i = 0; i < definition.params.size(); ++i) {
    const std::string_view param = definition.params[i];
    const bool is_value = param.starts_with('$');
    ShapeScope& argument = add(ShapeScope::Kind::parameter, param.substr(is_value ? 1 : 0));
    argument.syntax = syntax.children[i].get();
    argument.origin = scope;
    if (!is_value) continue;
    ShapePtr value = of(*syntax.children[i], input, scope);
    add(ShapeScope::Kind::variable, param.substr(1)).shape = std::move(value);
  }
  return of(*definition.children[0], input, inner);
}

}  // namespace millrace::expr
