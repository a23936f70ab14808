// Expressions are jq: a bounded subset, compiled once, evaluated without locks on any thread.
// What is accepted means what it means in jq 1.7, with the deviations listed in
// docs/reference/expressions.md: integers are exact (overflow is an error), 3.0 stays 3.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/clock.hpp"
#include "millrace/json.hpp"
#include "millrace/result.hpp"

namespace millrace {

/// Where in an expression's text something is wrong; both count from 1.
struct ExpressionProblem {
  std::size_t line = 1;
  std::size_t column = 1;
  std::string message;            ///< what is wrong and what to write instead
  bool not_supported = false;     ///< jq, but outside the subset
  bool unknown_function = false;  ///< it calls what nothing defines
  bool in_functions = false;      ///< the position is one of ExpressionScope::functions
};

/// Bounds of one evaluation. Reaching one is Errc::budget_exceeded.
struct ExpressionBudget {
  std::uint64_t steps_max = 1'000'000;
  std::size_t depth_max = 64;              ///< nesting of closures
  std::size_t output_bytes_max = 1 << 20;  ///< sum of strings and containers built
};

/// What `lookup`, `xref`, `company` and `$now` reach outside the expression. Not owned.
class ExpressionHost {
 public:
  virtual ~ExpressionHost() = default;
  /// lookup(table; key). Errc::missing_reference parks, Errc::expression_failed is an error.
  virtual Result<Json> lookup(std::string_view table, const Json& key) const = 0;
  /// xref(entity; system; record). Errc::needs_lookup: fetch the row and evaluate again.
  virtual Result<Json> xref(std::string_view entity, std::string_view system,
                            std::string_view record) const = 0;
  /// company(id): null for null; an unknown id is Errc::missing_reference.
  virtual Result<Json> company(const Json& id) const = 0;
};

/// The `$name` bindings of one evaluation; pointers must outlive it.
class ExpressionBindings {
 public:
  void set(std::string_view name, const Json* value);
  const Json* get(std::string_view name) const;

 private:
  std::vector<std::pair<std::string_view, const Json*>> values_;
};

struct ExpressionContext {
  const ExpressionBindings* bindings = nullptr;
  const ExpressionHost* host = nullptr;  ///< nullptr: host functions fail
  ExpressionBudget budget;
};

/// What the text may refer to; anything else is refused when compiling.
struct ExpressionScope {
  std::vector<std::string> variables;  ///< names without `$` that the caller will bind
  std::string functions;               ///< `def` texts put before the expression; may be empty
  bool host_functions = true;          ///< allow lookup, xref, company
};

/// One compiled expression: immutable and shareable among threads.
class Expression {
 public:
  /// Compiles, or reports the first problem with its position.
  static std::expected<Expression, ExpressionProblem> compile(std::string_view text,
                                                              const ExpressionScope& scope = {});

  /// All outputs, in order. `accept` returns false to stop. Errc::expression_failed carries jq's
  /// message; a failure after some outputs still reports them first.
  Result<void> for_each(const Json& input, const ExpressionContext& context,
                        const std::function<bool(const Json&)>& accept) const;
  /// The only output. None or several is Errc::expression_failed.
  Result<Json> evaluate(const Json& input, const ExpressionContext& context) const;
  /// The only output as JSON text; a part of the input is not copied first.
  Result<std::string> write(const Json& input, const ExpressionContext& context) const;
  /// The only output's truth: everything but null and false.
  Result<bool> test(const Json& input, const ExpressionContext& context) const;

  const std::string& text() const;
  /// Literal first arguments of lookup(...) calls: the tables it depends on.
  const std::vector<std::string>& tables() const;
  /// True when it is a plain path such as `.shipment` or `.a.b`; `path` then holds the members.
  /// Lets a caller pick one value from bytes without building a tree.
  bool is_plain_path() const;
  const std::vector<std::string>& path() const;

  struct Program;  ///< private to src/expr

 private:
  std::shared_ptr<const Program> program_;
};

}  // namespace millrace
