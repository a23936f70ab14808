// One call of Projector::project(), shared by the files that implement it.
#pragma once

#include <set>

#include "canon/projector.hpp"

namespace millrace::canon {

/// What the events of one change may have in bytes of data: more than this no log takes at once.
inline constexpr std::size_t kChangeBytesMax = std::size_t{8} << 20;

/// What one call appends and what is to be saved.
struct Projector::Pass {
  config::ConfigPtr config;
  std::vector<LogEntry> entries;
  std::vector<std::size_t> change_ends;  ///< how many entries there were behind each change
  std::vector<ProjectResult> results;
  Batch writes;
  std::vector<std::shared_ptr<CachedProjection>> pinned;
  std::set<std::string> failed;
};

}  // namespace millrace::canon
