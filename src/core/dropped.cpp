#include "millrace/dropped.hpp"

namespace millrace {

void DroppedMessages::add(std::string_view connection, std::uint64_t DroppedCounts::* why) {
  const std::lock_guard lock(mutex_);
  auto found = counts_.find(connection);
  if (found == counts_.end()) found = counts_.emplace(connection, DroppedCounts{}).first;
  ++(found->second.*why);
}

DroppedCounts DroppedMessages::of(std::string_view connection) const {
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find(connection);
  return found == counts_.end() ? DroppedCounts{} : found->second;
}

}  // namespace millrace
