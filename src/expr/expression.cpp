#include "millrace/expression.hpp"

#include <boost/container/small_vector.hpp>

#include "expr/compiler.hpp"
#include "expr/parser.hpp"

namespace millrace {

struct Expression::Program {
  std::string text;
  expr::Compiled compiled;
  std::vector<std::string> path;
  bool is_path = false;
};

namespace {

// The members a plain path such as `.a."b".c` names, or nothing.
bool collect_path(const expr::Syntax& syntax, std::vector<std::string>& path) {
  using expr::Kind;
  if (syntax.kind == Kind::identity) return true;
  if (syntax.optional) return false;
  if (syntax.kind == Kind::field) {
    if (!collect_path(*syntax.children[0], path)) return false;
    path.push_back(syntax.name);
    return true;
  }
  if (syntax.kind != Kind::index || !collect_path(*syntax.children[0], path)) return false;
  const expr::Syntax& key = *syntax.children[1];
  if (key.kind != Kind::text || key.children.size() != 1) return false;
  path.emplace_back(expr::view(key.children[0]->literal));
  return true;
}

// Positions count from the beginning of the expression, or of the functions before it.
ExpressionProblem relocate(ExpressionProblem problem, std::string_view functions) {
  std::size_t lines = 0;
  for (const char c : functions) lines += c == '\n' ? 1 : 0;
  if (functions.empty()) return problem;
  if (problem.line > lines) {
    problem.line -= lines;
  } else {
    problem.in_functions = true;
  }
  return problem;
}

}  // namespace

void ExpressionBindings::set(std::string_view name, const Json* value) {
  for (auto& [known, place] : values_) {
    if (known == name) {
      place = value;
      return;
    }
  }
  values_.emplace_back(name, value);
}

const Json* ExpressionBindings::get(std::string_view name) const {
  for (const auto& [known, value] : values_) {
    if (known == name) return value;
  }
  return nullptr;
}

std::expected<Expression, ExpressionProblem> Expression::compile(std::string_view text,
                                                                 const ExpressionScope& scope) {
  std::string functions = scope.functions;
  if (!functions.empty()) functions += '\n';
  const std::string whole = functions + std::string(text);
  auto program = std::make_shared<Program>();
  program->text = std::string(text);

  // The expression alone first: its own problems are then never blamed on the functions.
  auto own = expr::parse_program(text);
  if (!own) return std::unexpected(std::move(own).error());
  program->is_path = collect_path(**own, program->path);
  if (!program->is_path) program->path.clear();
  auto parsed = functions.empty() ? std::move(own) : expr::parse_program(whole);
  if (!parsed) return std::unexpected(relocate(std::move(parsed).error(), functions));
  auto compiled = expr::compile_program(whole, **parsed, scope);
  if (!compiled) return std::unexpected(relocate(std::move(compiled).error(), functions));
  program->compiled = std::move(*compiled);
  Expression expression;
  expression.program_ = std::move(program);
  return expression;
}

namespace {

Error not_one_output(std::size_t count) {
  return Error(Errc::expression_failed,
               count == 0 ? "the expression has no output; add `// null` where nothing is meant"
                          : "the expression has several outputs; put it in [ ] or in first( )");
}

template <typename Accept>
Result<void> run(const expr::Compiled& program, const Json& input, const ExpressionContext& context,
                 const Accept& accept) {
  expr::Evaluation state(context);
  boost::container::small_vector<const Json*, 16> variables(program.slots, nullptr);
  expr::Frame frame{state, nullptr, variables.data(), nullptr};
  expr::for_outputs(*program.root, frame, input,
                    [&](const Json& value, Json* owned) { return accept(state, value, owned); });
  if (state.failed()) return std::unexpected(state.error());
  return {};
}

}  // namespace

Result<void> Expression::for_each(const Json& input, const ExpressionContext& context,
                                  const std::function<bool(const Json&)>& accept) const {
  return run(program_->compiled, input, context,
             [&](expr::Evaluation&, const Json& value, Json*) { return accept(value); });
}

Result<Json> Expression::evaluate(const Json& input, const ExpressionContext& context) const {
  std::size_t count = 0;
  Json result;
  MILLRACE_CHECK_OK(run(program_->compiled, input, context,
                        [&](expr::Evaluation& state, const Json& value, Json* owned) {
                          return ++count == 1 && state.take(value, owned, result);
                        }));
  if (count == 1) return result;
  return std::unexpected(not_one_output(count));
}

Result<std::string> Expression::write(const Json& input, const ExpressionContext& context) const {
  std::size_t count = 0;
  std::string result;
  MILLRACE_CHECK_OK(
      run(program_->compiled, input, context, [&](expr::Evaluation&, const Json& value, Json*) {
        if (++count > 1) return false;
        result = write_json(value);
        return true;
      }));
  if (count == 1) return result;
  return std::unexpected(not_one_output(count));
}

Result<bool> Expression::test(const Json& input, const ExpressionContext& context) const {
  std::size_t count = 0;
  bool truth = false;
  MILLRACE_CHECK_OK(
      run(program_->compiled, input, context, [&](expr::Evaluation&, const Json& value, Json*) {
        truth = expr::is_true(value);
        return ++count == 1;
      }));
  if (count == 1) return truth;
  return fail(Errc::expression_failed,
              count == 0 ? "the condition has no output; it must be true or false"
                         : "the condition has several outputs; use any( ) or all( )");
}

const std::string& Expression::text() const {
  return program_->text;
}
const std::vector<std::string>& Expression::tables() const {
  return program_->compiled.tables;
}
bool Expression::is_plain_path() const {
  return program_->is_path;
}
const std::vector<std::string>& Expression::path() const {
  return program_->path;
}

}  // namespace millrace
