// Whether Kafka acknowledges what a log hands to it. Looked at on the producer's shard, told to any
// thread.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kafka/kafka_producer.hpp"
#include "millrace/event_log.hpp"

namespace millrace::log {

class KafkaLogHealth {
 public:
  /// On the shard, now and then.
  void look(const KafkaProducer& producer, WallTime now);
  KafkaHealth now() const;
  std::vector<EventLog::Trouble> troubles(const std::string& brokers,
                                          const std::string& while_away) const;

 private:
  std::uint64_t delivered_ = 0;          ///< a look ago
  std::optional<WallTime> stuck_since_;  ///< nothing of what is outstanding was acknowledged

  mutable std::mutex mutex_;  // guards what follows
  KafkaHealth health_;
};

}  // namespace millrace::log
