// Whose events count (semantics 6, decision 31). Who owned a partition and was expelled may have
// events on their way that reach the log late, behind those of its successor. So a successor says
// from where on its own count, and who reads passes over what earlier owners put behind that.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/ids.hpp"

namespace millrace {

/// From an offset on, until the next reign of the partition, what owners of it append counts only
/// if it is of this one.
struct Reign {
  Offset from = 0;
  std::string owner;  ///< an instance and its session; empty: one that is alone and has none
  bool operator==(const Reign&) const = default;
};
/// Of one partition of one stream, in the order of their offsets.
using Reigns = std::vector<Reign>;

/// Of all partitions of each topic of the events; the key is empty where they are one stream.
using TopicReigns = std::map<std::string, std::array<Reigns, kPartitionCount>, std::less<>>;

/// So many of a partition are remembered: what lies before the oldest counts.
inline constexpr std::size_t kReignsMax = 256;

/// Whether an event at `offset` that this owner appended counts. Without an owner it does: whoever
/// may append it may do so at any time.
bool counts(const Reigns& reigns, Offset offset, std::string_view owner);

/// A reign of `owner` begins at `end`, where the partition ends right now; it retains records from
/// `begin` on. One of the same owner goes on; one that saw no record goes.
Reigns with_reign(Reigns reigns, Offset begin, Offset end, const std::string& owner);

}  // namespace millrace
