// Which records of a log on Kafka say again what an earlier one said. What this instance could not
// get acknowledged is sent again after a crash, and may have been written all the same: both copies
// carry the id of their entry, and the one that lies first counts. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "millrace/event_log.hpp"

namespace millrace::log {

class KafkaRepeats {
 public:
  /// Ids that are known of each partition: the newest. A copy comes right behind what the instance
  /// had on its way when it died, and what others wrote meanwhile.
  static constexpr std::size_t kKeptMax = 2048;

  /// Whether the record at `offset` repeats one that lies before it; notes it. Records without an
  /// id repeat nothing.
  bool is_repeat(const LogStream& stream, Partition partition, Offset offset, std::string_view id);

 private:
  struct Known {
    std::unordered_map<std::uint64_t, Offset> first;         ///< by the hash of the id
    std::deque<std::pair<Offset, std::uint64_t>> by_offset;  ///< rising
    void note(Offset offset, std::uint64_t hash);
  };

  std::mutex mutex_;  // guards what follows
  std::map<LogStream, std::array<Known, kPartitionCount>> known_;
};

}  // namespace millrace::log
