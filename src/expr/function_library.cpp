#include "expr/function_library.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "expr/evaluation.hpp"
#include "expr/parser.hpp"

namespace millrace::expr {
namespace {

constexpr std::string_view kFileHolds = " (a functions file holds `def name: ...;`)";

// A definition's text without the blank lines and comments that stand before the next one.
std::string_view without_tail(std::string_view text) {
  while (!text.empty()) {
    const std::size_t newline = text.rfind('\n');
    const std::size_t begin = newline == text.npos ? 0 : newline + 1;
    const std::size_t first = text.find_first_not_of(" \t\r", begin);
    if (newline == text.npos || (first != text.npos && text[first] != '#')) break;
    text = text.substr(0, newline);
  }
  return text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
}

template <typename Visit>
void each_call(const Syntax& syntax, const Visit& visit) {
  if (syntax.kind == Kind::call) visit(syntax);
  for (const SyntaxPtr& child : syntax.children) {
    if (child) each_call(*child, visit);
  }
}

FunctionPlace place_in(const std::string& file, std::string_view text, std::size_t at) {
  const ExpressionProblem place = problem_at(text, at, "", false);
  return {file, place.line, place.column};
}

}  // namespace

FunctionPlace UsedFunctions::place_of(std::size_t line, std::size_t column) const {
  const Part* found = nullptr;
  for (const Part& part : parts) {
    if (part.line <= line) found = &part;
  }
  if (found == nullptr) return {};
  FunctionPlace place = found->place;
  place.column = line == found->line ? place.column + column - 1 : column;
  place.line += line - found->line;
  return place;
}

std::expected<void, ExpressionProblem> FunctionLibrary::add(const std::string& file,
                                                            std::string_view text) {
  const std::string whole = std::string(text) + (text.ends_with('\n') ? "." : "\n.");
  auto program = parse_program(whole);
  if (!program) {
    program.error().message += kFileHolds;
    return std::unexpected(std::move(program).error());
  }
  const Syntax* at = program->get();
  const Syntax* end = at;
  while (end->kind == Kind::definition) end = end->children[1].get();
  if (end->kind != Kind::identity || end->at + 1 != whole.size()) {
    return std::unexpected(
        problem_at(text, end->at,
                   "an expression stands behind the definitions" + std::string(kFileHolds), false));
  }
  // Compiled as a whole first: what is wrong inside has its place in the file.
  ExpressionScope scope;
  scope.functions = collect(uses_of(*at)).text;
  const auto compiled = Expression::compile(whole, scope);
  if (!compiled) return std::unexpected(compiled.error());
  for (; at->kind == Kind::definition; at = at->children[1].get()) {
    Definition made;
    made.name = at->name;
    made.arity = at->params.size();
    made.place = place_in(file, text, at->at);
    const auto same = std::ranges::find_if(definitions_, [&](const Definition& known) {
      return known.name == made.name && known.arity == made.arity;
    });
    if (same != definitions_.end()) {
      return std::unexpected(
          problem_at(text, at->at,
                     fmt::format("{}/{} is defined twice; the first stands in {}:{}", made.name,
                                 made.arity, same->place.file, same->place.line),
                     false));
    }
    made.text = without_tail(std::string_view(whole).substr(at->at, at->children[1]->at - at->at));
    made.uses = uses_of(*at->children[0]);
    each_call(*at->children[0], [&](const Syntax& call) {
      if (call.name != "lookup" || call.children.size() != 2) return;
      const Syntax& table = *call.children[0];
      if (table.kind != Kind::text || table.children.size() != 1) return;
      tables_.push_back(
          {std::string(view(table.children[0]->literal)), place_in(file, text, table.at)});
    });
    definitions_.push_back(std::move(made));
  }
  return {};
}

UsedFunctions FunctionLibrary::used_by(const std::vector<std::string_view>& texts) const {
  if (definitions_.empty()) return {};
  std::vector<std::size_t> uses;
  for (const std::string_view text : texts) {
    const auto program = parse_program(text);
    if (!program) continue;
    const auto more = uses_of(**program);
    uses.insert(uses.end(), more.begin(), more.end());
  }
  return collect(std::move(uses));
}

// A local name that hides a shared function counts as a use of it: harmless.
std::vector<std::size_t> FunctionLibrary::uses_of(const Syntax& syntax) const {
  std::vector<std::size_t> uses;
  each_call(syntax, [&](const Syntax& call) {
    for (std::size_t i = 0; i < definitions_.size(); ++i) {
      if (definitions_[i].name == call.name && definitions_[i].arity == call.children.size()) {
        uses.push_back(i);
      }
    }
  });
  return uses;
}

UsedFunctions FunctionLibrary::collect(std::vector<std::size_t> waiting) const {
  std::set<std::size_t> needed;
  while (!waiting.empty()) {
    const std::size_t index = waiting.back();
    waiting.pop_back();
    if (!needed.insert(index).second) continue;
    const auto& uses = definitions_[index].uses;
    waiting.insert(waiting.end(), uses.begin(), uses.end());
  }
  UsedFunctions used;
  std::size_t line = 1;
  for (const std::size_t index : needed) {
    const Definition& definition = definitions_[index];
    if (!used.text.empty()) used.text += '\n';
    used.parts.push_back({line, definition.place});
    used.text += definition.text;
    line += static_cast<std::size_t>(std::ranges::count(definition.text, '\n')) + 1;
  }
  return used;
}

}  // namespace millrace::expr
