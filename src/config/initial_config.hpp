// The configuration that `millrace init` writes: the files of config/ in the repository, embedded
// when the program is built, and secrets made on the spot.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "millrace/result.hpp"

namespace millrace::config {

struct InitialFile {
  std::string_view path;  ///< relative to the configuration directory
  std::string_view content;
};

const std::vector<InitialFile>& initial_files();

/// Writes a working configuration into `directory`, which must be absent or empty (Errc::conflict
/// otherwise: nothing is overwritten). Secrets get mode 0600; tokens are random, passwords that
/// only Odoo knows are placeholders to be replaced.
Result<void> write_initial_config(const std::string& directory);

}  // namespace millrace::config
