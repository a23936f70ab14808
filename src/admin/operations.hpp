// Every operation of the admin API, in one table: the daemon implements them by name, the command
// line calls them by name, and both take method and path from here.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::admin {

struct OperationSpec {
  std::string_view name;       ///< "dead.show"
  std::string_view method;     ///< "GET", "POST", "DELETE"
  std::string_view path;       ///< "/admin/v1/dead/{id}"
  std::string_view arguments;  ///< beyond the path's: of the query for GET, of the body for POST
  std::string_view summary;
};

std::span<const OperationSpec> operations();
/// nullptr for an unknown name.
const OperationSpec* find_operation(std::string_view name);

/// The path's parameters in order: {"id"}.
std::vector<std::string> path_parameters(std::string_view pattern);
/// The values of the parameters when `path` (percent-encoded) fits the pattern; false otherwise.
bool match_path(std::string_view pattern, std::string_view path,
                std::vector<std::pair<std::string, std::string>>& values);

}  // namespace millrace::admin
