// How far readers of the log have come, written as the offsets of groups without members: what
// tools that show the lag of consumers ask Kafka for (semantics 6). Nothing is read from there.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "kafka/kafka_admin.hpp"
#include "millrace/event_log.hpp"

namespace millrace::log {

/// Of a log whose topics begin with `prefix`; the group of a reader is "<prefix>.<reader>". One
/// thread at a time.
class KafkaGroups {
 public:
  KafkaGroups(KafkaSettings settings, std::string prefix)
      : settings_(std::move(settings)), prefix_(std::move(prefix)) {}

  /// Writes what is not as it was written last. `next`: the offset it reads next in each partition;
  /// kSkipPartition where nothing is said. Blocks for 5 s at most while Kafka is away. Errors as
  /// those of KafkaAdmin::publish_offsets.
  Result<void> publish(const std::string& reader, const LogStream& stream,
                       const PartitionOffsets& next);
  /// From now on everything is written anew: Kafka drops what it was not told for a week.
  void forget() { written_.clear(); }

 private:
  KafkaSettings settings_;
  std::string prefix_;
  std::unique_ptr<KafkaAdmin> admin_;                ///< opened when there is something to write
  std::map<std::string, PartitionOffsets> written_;  ///< by reader
};

}  // namespace millrace::log
