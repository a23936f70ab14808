// The walk behind check_paths: the shape of every part of an expression, given that of its input.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "expr/path_check.hpp"
#include "expr/syntax.hpp"

namespace millrace::expr {

/// A name in scope; scopes are lists from the innermost out and live on the walk's stack.
struct ShapeScope {
  enum class Kind : std::uint8_t { variable, function, parameter };
  const ShapeScope* outer = nullptr;
  Kind kind = Kind::variable;
  std::string_view name;
  ShapePtr shape;                      ///< of a variable
  const Syntax* syntax = nullptr;      ///< the definition, or the argument behind a parameter
  const ShapeScope* origin = nullptr;  ///< where that argument was written
};

/// An access, and how often it was walked and found nothing.
struct Sighting {
  std::size_t walked = 0;
  std::size_t missed = 0;
  PathFinding finding;
};

class ShapeInference {
 public:
  explicit ShapeInference(const std::map<std::string, ShapePtr>& variables)
      : variables_(variables) {}

  /// What `syntax` yields for `input`.
  ShapePtr of(const Syntax& syntax, const ShapePtr& input, const ShapeScope* scope);
  /// The walk took too long and was left: what was seen proves nothing.
  bool is_exhausted() const { return exhausted_; }
  /// By byte offset in the text.
  const std::map<std::size_t, Sighting>& sightings() const { return sightings_; }

 private:
  struct Builtin {
    std::string_view name;
    std::size_t arity;
    ShapePtr (ShapeInference::*rule)(const Syntax&, const ShapePtr&, const ShapeScope*);
  };
  static const std::vector<Builtin>& builtins();

  ShapePtr walk(const Syntax& syntax, const ShapePtr& input, const ShapeScope* scope);
  ShapePtr silently(const Syntax& syntax, const ShapePtr& input, const ShapeScope* scope);
  void all(const Syntax& syntax, const ShapePtr& input, const ShapeScope* scope);
  ShapePtr member(const Syntax& syntax, std::size_t at, const ShapePtr& target,
                  std::string_view name, bool forgiving);
  ShapePtr index(const Syntax& syntax, const ShapePtr& input, const ShapeScope* scope);
  ShapePtr object(const Syntax& syntax, const ShapePtr& input, const ShapeScope* scope);
  ShapePtr binary(const Syntax& syntax, const ShapePtr& input, const ShapeScope* scope);
  ShapePtr condition(const Syntax& syntax, const ShapePtr& input, const ShapeScope* scope);
  ShapePtr fold(const Syntax& syntax, const ShapePtr& input, const ShapeScope* scope);
  ShapePtr with_variable(const Syntax& syntax, const Syntax& body, const ShapePtr& value,
                         const ShapePtr& input, const ShapeScope* scope);
  ShapePtr variable(const Syntax& syntax, const ShapeScope* scope) const;
  ShapePtr call(const Syntax& syntax, const ShapePtr& input, const ShapeScope* scope);
  ShapePtr call_function(const ShapeScope& function, const Syntax& syntax, const ShapePtr& input,
                         const ShapeScope* scope);
  ShapePtr builtin(const Syntax& syntax, const ShapePtr& input, const ShapeScope* scope);

  // Rules of builtins: where their arguments are evaluated, and what comes out.
  using Scope = const ShapeScope*;
  ShapePtr keep(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr keep_by_elements(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr map(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr group(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr one_element(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr ask_elements(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr ask_outputs(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr ask(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr last_argument(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr on_elements(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr on_entries(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr entries(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr on_outputs(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr as_path(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr delete_path(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr replace_text(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr nothing(const Syntax& syntax, const ShapePtr& input, Scope scope);
  ShapePtr of_type(const Syntax& syntax, const ShapePtr& input, Scope scope);

  const std::map<std::string, ShapePtr>& variables_;
  std::map<std::size_t, Sighting> sightings_;
  std::size_t steps_ = 0;
  std::size_t depth_ = 0;
  std::size_t silent_ = 0;    ///< inside a path that may name what is not there yet
  std::size_t attempts_ = 0;  ///< inside what swallows errors
  bool exhausted_ = false;
};

}  // namespace millrace::expr
