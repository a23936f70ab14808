#include "config/problems.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <tuple>

namespace millrace::config {
namespace {

std::string_view level_name(const Problem& problem) {
  return problem.level == Problem::Level::error ? "error" : "warning";
}

auto order_of(const Problem& problem) {
  return std::tie(problem.place.file, problem.place.line, problem.place.column, problem.message);
}

}  // namespace

std::string render_line(const Problem& problem) {
  std::string text = problem.place.file;
  if (problem.place.line > 0) {
    text += fmt::format(":{}:{}", problem.place.line, problem.place.column);
  }
  text += fmt::format(": {}: ", level_name(problem));
  if (!problem.path.empty()) text += problem.path + ": ";
  return text + problem.message;
}

std::string render(std::span<const Problem> problems) {
  std::string text;
  for (const Problem& problem : problems) {
    text += render_line(problem);
    text += '\n';
    if (problem.source.empty()) continue;
    const auto column = static_cast<std::size_t>(std::max(problem.place.column, 1));
    text += fmt::format("    {}\n    {:>{}}\n", problem.source, '^', column);
  }
  return text;
}

Json problems_to_json(std::span<const Problem> problems) {
  JsonArray array;
  for (const Problem& problem : problems) {
    array.push_back(JsonObject{{"level", level_name(problem)},
                               {"file", problem.place.file},
                               {"line", problem.place.line},
                               {"column", problem.place.column},
                               {"path", problem.path},
                               {"message", problem.message}});
  }
  return array;
}

bool has_errors(std::span<const Problem> problems) {
  return std::ranges::any_of(
      problems, [](const Problem& problem) { return problem.level == Problem::Level::error; });
}

void sort_problems(std::vector<Problem>& problems) {
  std::ranges::sort(problems, {}, order_of);
  const auto repeated = std::ranges::unique(
      problems, [](const Problem& a, const Problem& b) { return order_of(a) == order_of(b); });
  problems.erase(repeated.begin(), repeated.end());
}

}  // namespace millrace::config
