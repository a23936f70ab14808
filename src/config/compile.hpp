// Compiles the expressions of a configuration, each with what it may refer to, and reports problems
// at their place in the YAML.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "config/model.hpp"
#include "config/spec_reader.hpp"

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

  void set_functions(std::string text) { functions_ = std::move(text); }
  const std::string& functions() const { return functions_; }
  void set_tables(std::vector<std::string> names) { tables_ = std::move(names); }

  /// Sets program.compiled or reports. `path` leads the message.
  void compile(Program& program, ScopeKind kind, const std::string& path);
  void compile(Template& text, ScopeKind kind, const std::string& path);
  /// Checks one functions file, given those before it.
  void check_functions(const std::string& file, const std::string& before, const std::string& text);

 private:
  void check_tables(const Program& program, const std::string& path);

  std::vector<Problem>& problems_;
  std::string functions_;
  std::vector<std::string> tables_;
};

}  // namespace millrace::config
