// Where each stream of a log on Kafka begins and ends, for any thread.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <string>

#include "kafka/kafka_admin.hpp"
#include "millrace/event_log.hpp"

namespace millrace::log {

/// Thread-safe.
class KafkaBounds {
 public:
  /// Asks Kafka; blocking. Waits up to `within` for partitions to have a leader.
  Result<void> look(KafkaAdmin& admin, const LogStream& stream, const std::string& topic,
                    milliseconds within);
  /// What Kafka said of one partition.
  void know(const LogStream& stream, Partition partition, Offset begin, Offset end) {
    reach(stream, partition, end);
    const std::lock_guard lock(mutex_);
    bounds_[stream].begins[partition] = begin;
  }
  void reach(const LogStream& stream, Partition partition, Offset end) {
    const std::lock_guard lock(mutex_);
    Offset& known = bounds_[stream].ends[partition];
    known = std::max(known, end);
  }
  PartitionOffsets begins(const LogStream& stream) const { return of(stream).begins; }
  PartitionOffsets ends(const LogStream& stream) const { return of(stream).ends; }

 private:
  struct Bounds {
    PartitionOffsets begins{};
    PartitionOffsets ends{};
  };
  Bounds of(const LogStream& stream) const {
    const std::lock_guard lock(mutex_);
    const auto found = bounds_.find(stream);
    return found == bounds_.end() ? Bounds() : found->second;
  }

  mutable std::mutex mutex_;  // guards what follows
  std::map<LogStream, Bounds> bounds_;
};

}  // namespace millrace::log
