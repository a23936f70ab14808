// What ${var.x}, ${env.X} and ${secret.x} stand for. Secrets are read from files when first asked
// for; a file that others may read or the group may write is refused. Values are never printed.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "config/node.hpp"
#include "config/spec_reader.hpp"
#include "millrace/result.hpp"

namespace millrace::config {

inline constexpr std::size_t kSecretBytesMax = 64 * 1024;

/// A file that others may not read and the group may not write; without its last line break.
Result<std::string> read_secret_file(const std::string& path);

class Variables {
 public:
  Variables(std::map<std::string, std::string> environment, bool without_secrets)
      : environment_(std::move(environment)), without_secrets_(without_secrets) {}

  /// The values of vars/<environment>.yaml; `file` is named when one is missing.
  void set_vars(std::map<std::string, std::string> vars, std::string file, bool exists);
  void set_secrets_directory(std::string directory) { secrets_directory_ = std::move(directory); }

  Result<std::string> get(std::string_view kind, std::string_view name);
  /// Bound to this object, which must outlive it.
  Substitute substitute();

 private:
  Result<std::string> variable(std::string_view name) const;
  Result<std::string> from_environment(std::string_view name) const;
  Result<std::string> secret(const std::string& name);

  std::map<std::string, std::string> environment_;
  std::map<std::string, std::string> vars_;
  std::map<std::string, std::string> secrets_;
  std::string vars_file_;
  std::string secrets_directory_;
  bool vars_exist_ = false;
  bool without_secrets_ = false;
};

/// Reads a vars file: names with plain values (or nested mappings, joined by dots).
std::map<std::string, std::string> read_vars(const Node& root, SpecReader& reader);

}  // namespace millrace::config
