#include "config/compile.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "config/nearest.hpp"

namespace millrace::config {
namespace {

ExpressionScope scope_of(ScopeKind kind) {
  switch (kind) {
    case ScopeKind::hook:
      return {.variables = {"headers"}, .functions = {}, .host_functions = false};
    case ScopeKind::map:
      return {.variables = {"now"}, .functions = {}, .host_functions = true};
    case ScopeKind::only:
    case ScopeKind::key:
      return {.variables = {}, .functions = {}, .host_functions = false};
    case ScopeKind::event:
      return {.variables = {"before"}, .functions = {}, .host_functions = false};
    case ScopeKind::request:
      return {.variables = {"event", "record", "now"}, .functions = {}, .host_functions = true};
  }
  return {};
}

}  // namespace

Place place_in(const Program& program, std::size_t line, std::size_t column) {
  const Place& place = program.place;
  return {place.file, place.line + static_cast<int>(line) - 1,
          place.column + static_cast<int>(column) - 1};
}

void Compiler::error(Place place, const std::string& path, std::string message) {
  problems_.push_back(
      {Problem::Level::error, std::move(place), path, std::move(message), {}, false});
}

void Compiler::compile(Program& program, ScopeKind kind, const std::string& path) {
  if (program.text.empty()) return;  // its absence or form has been reported
  ExpressionScope scope = scope_of(kind);
  expr::UsedFunctions used = functions_.used_by(program.text);
  scope.functions = used.text;
  auto compiled = Expression::compile(program.text, scope);
  program.functions = std::move(used.text);
  if (compiled) {
    program.compiled = std::move(*compiled);
    for (const std::string& table : program.compiled->tables()) {
      // Those that only functions name are reported with the functions.
      if (program.text.find(table) != program.text.npos) check_table(table, program.place, path);
    }
    return;
  }
  const ExpressionProblem& problem = compiled.error();
  // What a refused file would have defined is reported there.
  if (problem.unknown_function && functions_are_broken_) return;
  if (problem.in_functions) {
    const auto place = used.place_of(problem.line, problem.column);
    error({place.file, static_cast<int>(place.line), static_cast<int>(place.column)}, path,
          fmt::format("{}; the expression at {}:{}:{} calls it", problem.message,
                      program.place.file, program.place.line, program.place.column));
    return;
  }
  std::string message = problem.message;
  if (program.cut_by_comment) {
    message +=
        "; YAML takes ` #` for the beginning of a comment: put `|` after the key and the "
        "expression on a new line";
  }
  error(place_in(program, problem.line, problem.column), path, std::move(message));
}

void Compiler::compile(Template& text, ScopeKind kind, const std::string& path) {
  for (Program& program : text.programs) compile(program, kind, path);
}

void Compiler::check_table(const std::string& table, const Place& place, const std::string& path) {
  if (std::ranges::find(tables_, table) != tables_.end()) return;
  error(place, path,
        fmt::format("lookup: there is no table `{}`; there are {}{}", table, list_names(tables_),
                    did_you_mean(table, tables_)));
}

std::string Compiler::functions_of(const std::vector<const Program*>& programs) const {
  std::vector<std::string_view> texts;
  for (const Program* program : programs) texts.push_back(program->text);
  return functions_.used_by(texts).text;
}

void Compiler::add_functions(const std::string& file, const std::string& text) {
  const std::size_t known = functions_.tables().size();
  if (const auto added = functions_.add(file, text); !added) {
    const ExpressionProblem& problem = added.error();
    functions_are_broken_ = true;
    error({file, static_cast<int>(problem.line), static_cast<int>(problem.column)}, "functions",
          problem.message);
    return;
  }
  for (std::size_t i = known; i < functions_.tables().size(); ++i) {
    const auto& use = functions_.tables()[i];
    check_table(use.table,
                {file, static_cast<int>(use.place.line), static_cast<int>(use.place.column)},
                "functions");
  }
}

}  // namespace millrace::config
