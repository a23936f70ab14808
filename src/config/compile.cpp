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

void Compiler::compile(Program& program, ScopeKind kind, const std::string& path) {
  if (program.text.empty()) return;  // its absence or form has been reported
  ExpressionScope scope = scope_of(kind);
  scope.functions = functions_;
  auto compiled = Expression::compile(program.text, scope);
  if (compiled) {
    program.compiled = std::move(*compiled);
    check_tables(program, path);
    return;
  }
  std::string message = compiled.error().message;
  if (program.cut_by_comment) {
    message +=
        "; YAML takes ` #` for the beginning of a comment: put `|` after the key and the "
        "expression on a new line";
  }
  problems_.push_back({Problem::Level::error,
                       place_in(program, compiled.error().line, compiled.error().column),
                       path,
                       std::move(message),
                       {},
                       false});
}

void Compiler::compile(Template& text, ScopeKind kind, const std::string& path) {
  for (Program& program : text.programs) compile(program, kind, path);
}

void Compiler::check_tables(const Program& program, const std::string& path) {
  for (const std::string& table : program.compiled->tables()) {
    if (std::ranges::find(tables_, table) != tables_.end()) continue;
    problems_.push_back({Problem::Level::error,
                         program.place,
                         path,
                         fmt::format("lookup: there is no table `{}`; there are {}{}", table,
                                     list_names(tables_), did_you_mean(table, tables_)),
                         {},
                         false});
  }
}

void Compiler::check_functions(const std::string& file, const std::string& before,
                               const std::string& text) {
  ExpressionScope scope;
  scope.functions = before;
  const auto compiled = Expression::compile(text + "\n.", scope);
  if (compiled) return;
  problems_.push_back(
      {Problem::Level::error,
       {file, static_cast<int>(compiled.error().line), static_cast<int>(compiled.error().column)},
       "functions",
       compiled.error().message + " (a functions file holds `def name: ...;`)",
       {},
       false});
}

}  // namespace millrace::config
