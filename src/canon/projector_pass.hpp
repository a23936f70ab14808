// One call of Projector::project(), shared by the files that implement it.
#pragma once

#include <set>

#include "canon/projector.hpp"

namespace millrace::canon {

/// What one call appends and what is to be saved.
struct Projector::Pass {
  config::ConfigPtr config;
  std::vector<LogEntry> entries;
  std::vector<ProjectResult> results;
  Batch writes;
  std::vector<std::shared_ptr<CachedProjection>> pinned;
  std::set<std::string> failed;
};

}  // namespace millrace::canon
