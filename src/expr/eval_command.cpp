#include "expr/eval_command.hpp"

#include <fmt/format.h>

#include <istream>
#include <ostream>
#include <string>

#include "millrace/expression.hpp"

namespace millrace::expr {
namespace {

constexpr std::size_t kInputBytesMax = 64 * 1024 * 1024;

std::string line_of(std::string_view text, std::size_t line) {
  for (; line > 1; --line) {
    const auto end = text.find('\n');
    if (end == text.npos) return {};
    text.remove_prefix(end + 1);
  }
  return std::string(text.substr(0, text.find('\n')));
}

void explain(std::string_view program, const ExpressionProblem& problem, std::ostream& err) {
  err << fmt::format("{}{}:{}: {}\n", problem.not_supported ? "not supported: " : "", problem.line,
                     problem.column, problem.message);
  err << line_of(program, problem.line) << '\n' << std::string(problem.column - 1, ' ') << "^\n";
}

bool evaluate(const Expression& expression, const Json& input, std::ostream& out,
              std::ostream& err) {
  const auto done = expression.for_each(input, {}, [&](const Json& value) {
    out << write_json(value) << '\n';
    return true;
  });
  if (!done) err << "error: " << done.error().message << '\n';
  return done.has_value();
}

}  // namespace

int run_eval(std::string_view program, const std::string& functions, std::istream& in,
             std::ostream& out, std::ostream& err) {
  ExpressionScope scope;
  scope.functions = functions;
  scope.host_functions = false;
  const auto expression = Expression::compile(program, scope);
  if (!expression) {
    explain(program, expression.error(), err);
    return 2;
  }
  std::string text;
  char buffer[4096];
  while (in.read(buffer, sizeof buffer) || in.gcount() > 0) {
    text.append(buffer, static_cast<std::size_t>(in.gcount()));
    if (text.size() > kInputBytesMax) {
      err << fmt::format("error: the input is longer than {} bytes\n", kInputBytesMax);
      return 1;
    }
  }
  const auto whole = parse_json(text);
  if (whole) return evaluate(*expression, *whole, out, err) ? 0 : 1;

  // Not one document: then every line is one.
  bool failed = false;
  std::size_t number = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    ++number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    const auto value = parse_json(line);
    if (!value) {
      const bool several = text.find('\n') + 1 < text.size() && number > 1;
      err << fmt::format("error: input line {}: {}\n", number,
                         several ? value.error().message : whole.error().message);
      return 1;
    }
    failed = !evaluate(*expression, *value, out, err) || failed;
  }
  return failed ? 1 : 0;
}

}  // namespace millrace::expr
