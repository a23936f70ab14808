// What the log's own Kafka clients say of themselves, for metrics. Set on the log's shard, read
// from any thread.
#pragma once

#include <mutex>
#include <optional>
#include <utility>

#include "kafka/kafka_producer.hpp"

namespace millrace::log {

class KafkaNumbers {
 public:
  struct Numbers {
    KafkaStatistics producer;
    KafkaProducer::Counters counters;
    std::optional<KafkaStatistics> tail;  ///< while what others append is read
  };

  void look(const KafkaProducer& producer, std::optional<KafkaStatistics> tail) {
    const std::lock_guard lock(mutex_);
    numbers_ = {producer.statistics(), producer.counters(), std::move(tail)};
  }
  Numbers get() const {
    const std::lock_guard lock(mutex_);
    return numbers_;
  }

 private:
  mutable std::mutex mutex_;
  Numbers numbers_;
};

}  // namespace millrace::log
