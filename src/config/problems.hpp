// Problems as operators read them.
#pragma once

#include <span>
#include <string>

#include "config/model.hpp"

namespace millrace::config {

/// "routes.yaml:12:5: error: route order-to-mes / when: ...".
std::string render_line(const Problem& problem);
/// One line each, with the source line and a caret under the column.
std::string render(std::span<const Problem> problems);
/// [{"level","file","line","column","path","message"}].
Json problems_to_json(std::span<const Problem> problems);

bool has_errors(std::span<const Problem> problems);
/// Errors and warnings by file and place, each once.
void sort_problems(std::vector<Problem>& problems);

}  // namespace millrace::config
