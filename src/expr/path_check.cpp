#include "expr/path_check.hpp"

#include "expr/parser.hpp"
#include "expr/shape_inference.hpp"

namespace millrace::expr {

PathCheck check_paths(std::string_view text, std::string_view functions, const ShapePtr& input,
                      const std::map<std::string, ShapePtr>& variables) {
  std::string before(functions);
  if (!before.empty()) before += '\n';
  const std::string whole = before + std::string(text);
  PathCheck out;
  out.result = unknown_shape();
  const auto program = parse_program(whole);
  if (!program) return out;
  ShapeInference inference(variables);
  ShapePtr result = inference.of(**program, input, nullptr);
  if (inference.is_exhausted()) return out;
  out.result = std::move(result);
  for (const auto& [at, seen] : inference.sightings()) {
    if (at < before.size() || seen.missed == 0 || seen.missed != seen.walked) continue;
    const ExpressionProblem place = problem_at(text, at - before.size(), "", false);
    out.findings.push_back(seen.finding);
    out.findings.back().line = place.line;
    out.findings.back().column = place.column;
  }
  return out;
}

}  // namespace millrace::expr
