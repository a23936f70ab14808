#include "millrace/reigns.hpp"

#include <algorithm>
#include <iterator>

namespace millrace {

bool counts(const Reigns& reigns, Offset offset, std::string_view owner) {
  if (owner.empty()) return true;
  const auto later = std::ranges::upper_bound(reigns, offset, {}, &Reign::from);
  return later == reigns.begin() || std::prev(later)->owner == owner;
}

Reigns with_reign(Reigns reigns, Offset begin, Offset end, const std::string& owner) {
  // Beyond the end lies nothing, unless the topic was made anew.
  std::erase_if(reigns, [end](const Reign& reign) { return reign.from > end; });
  if (reigns.empty() && owner.empty()) return reigns;
  if (!reigns.empty() && reigns.back().from == end && reigns.back().owner != owner) {
    reigns.pop_back();
  }
  if (reigns.empty() || reigns.back().owner != owner) reigns.push_back({end, owner});
  const auto is_over = [&] {
    return reigns.size() > kReignsMax || (reigns.size() > 1 && reigns[1].from <= begin);
  };
  while (is_over()) reigns.erase(reigns.begin());
  return reigns;
}

}  // namespace millrace
