// Which records of a log on Kafka do not count: what an instance that no longer owned the partition
// had on its way, and Kafka took behind its successor's first word. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "millrace/event_log.hpp"

namespace millrace::log {

class KafkaReigns {
 public:
  void set(TopicReigns reigns);
  /// Whether the record at `offset`, which the owner with this owner appended (empty: anybody),
  /// counts. Who is passed over is told to the operator, once.
  bool counts(const LogStream& stream, Partition partition, Offset offset, std::string_view owner);
  /// So many records were passed over, each once, however often it is read.
  std::uint64_t passed_over() const;

 private:
  static constexpr std::size_t kToldMax = 64;  ///< owners

  mutable std::mutex mutex_;  // guards what follows
  TopicReigns reigns_;
  std::uint64_t passed_over_ = 0;
  std::map<LogStream, std::array<Offset, kPartitionCount>> counted_below_;
  std::set<std::string, std::less<>> told_;
};

}  // namespace millrace::log
