// Compiles the expressions of a configuration, each with what it may refer to, and reports problems
// at their place in the YAML.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "config/model.hpp"
#include "config/spec_reader.hpp"
#include "expr/function_library.hpp"

namespace millrace::config {

/// Who evaluates an expression, which says what `.` and `$names` mean (semantics 9).
enum class ScopeKind : std::uint8_t {
  hook,     ///< record, version, id of a hook: `.` is the body, $headers
  map,      ///< map of an entity: `.` is the source record, $now
  only,     ///< only of an entity: `.` is the source record
  key,      ///< key of an entity: `.` is the canonical data
  event,    ///< events of an entity: `.` is the new data, $before
  request,  ///< route: `.` is the event, $event $record $now
};

/// Where line and column of a program's text stand in the file; both count from 1.
Place place_in(const Program& program, std::size_t line, std::size_t column);

class Compiler {
 public:
  explicit Compiler(std::vector<Problem>& problems) : problems_(problems) {}

  void set_tables(std::vector<std::string> names) { tables_ = std::move(names); }

  /// Sets program.compiled or reports. `path` leads the message.
  void compile(Program& program, ScopeKind kind, const std::string& path);
  void compile(Template& text, ScopeKind kind, const std::string& path);
  /// The shared functions that some expressions use, each once.
  std::string functions_of(const std::vector<const Program*>& programs) const;
  /// Takes in a file of functions, which may use those of the files before it.
  void add_functions(const std::string& file, const std::string& text);

 private:
  void error(Place place, const std::string& path, std::string message);
  void check_table(const std::string& table, const Place& place, const std::string& path);

  std::vector<Problem>& problems_;
  expr::FunctionLibrary functions_;
  bool functions_are_broken_ = false;
  std::vector<std::string> tables_;
};

}  // namespace millrace::config
