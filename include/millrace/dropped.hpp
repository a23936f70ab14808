// Messages that were acknowledged and came to nothing, by connection, since the start.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace millrace {

struct DroppedCounts {
  std::uint64_t stale = 0;           ///< older than what was applied; once for each entity
  std::uint64_t unreadable = 0;      ///< dead letters of the connection
  std::uint64_t model_not_read = 0;  ///< doorbells of models that no entity reads
};

/// Any thread may call any member. Names are those of the configuration, so there are few.
class DroppedMessages {
 public:
  void add(std::string_view connection, std::uint64_t DroppedCounts::* why);
  DroppedCounts of(std::string_view connection) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, DroppedCounts, std::less<>> counts_;
};

}  // namespace millrace
