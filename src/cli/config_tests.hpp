// `millrace test DIR`: the `test:` documents of a configuration, run through the same code as the
// daemon's: map, events, selection, rendering. Nothing is sent, nothing is stored.
#pragma once

#include <string>
#include <vector>

#include "config/model.hpp"

namespace millrace::cli {

struct ConfigTestResult {
  std::string name;
  config::Place place;
  bool passed = false;
  std::string report;  ///< empty when passed; else what was expected and what came, line by line
};

/// In the order of the files. given: `event` with `data`, or `odoo: { <model>: {...}, before: {...}
/// }`; also `answer`, `xref`, `now`. expect: a list of { route, sends } and { emits }; what a route
/// sends beyond it is a failure, keys of `sends` that are left out are not looked at.
std::vector<ConfigTestResult> run_config_tests(const config::Config& config);

}  // namespace millrace::cli
