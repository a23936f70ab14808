// From a directory of YAML to a Config, or to every problem it has. Promises: all problems of a
// directory in one go, whole or not at all, nothing is printed or changed, secrets appear in no
// problem.
//
//   <directory>/**/*.yaml          objects, several documents a file
//   <directory>/vars/<environment>.yaml, functions/*.jq, schemas named by entities
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/model.hpp"
#include "millrace/connector.hpp"

namespace millrace::config {

inline constexpr std::size_t kConfigFilesMax = 10'000;
inline constexpr std::size_t kFunctionBytesMax = 64 * 1024;

struct LoadOptions {
  std::string directory;
  bool without_secrets = false;  ///< lint elsewhere: secrets and unset variables are placeholders
  const ConnectorRegistry& connectors;
  std::map<std::string, std::string> environment;  ///< of the process
};

struct LoadReport {
  std::vector<Problem> problems;  ///< by file and place; each error names what to write
  ConfigPtr config;               ///< null when any problem is an error
};

LoadReport load(const LoadOptions& options);

struct FunctionsReport {
  std::string text;               ///< for ExpressionScope::functions
  std::vector<Problem> problems;  ///< of the files; the rest of the configuration is not looked at
};

/// Those of the directory's shared functions that an expression uses.
FunctionsReport functions_for(const LoadOptions& options, const std::string& expression);

/// The process's environment as LoadOptions takes it.
std::map<std::string, std::string> process_environment();

}  // namespace millrace::config
