// Reads partitions that it is told, for callers that may block: start and reader threads. Like
// KafkaConsumer it joins no group, commits nothing and skips nothing.
#pragma once

#include <memory>
#include <vector>

#include "kafka/kafka_consumer.hpp"

namespace millrace {

/// One thread at a time.
class KafkaReader {
 public:
  /// Tells ends, whatever `options` says. Connects in the background.
  static Result<std::unique_ptr<KafkaReader>> open(const KafkaSettings& settings,
                                                   KafkaConsumerOptions options = {});
  ~KafkaReader();

  /// Reads these and no others, from there. Forgets what was fetched for others.
  Result<void> assign(const std::vector<KafkaPosition>& positions);
  /// What is there, at most so much but at least one record; waits for the first of it. Empty when
  /// nothing came in that time.
  KafkaBatch next(std::size_t records_max, std::size_t bytes_max, milliseconds wait);
  /// Since when no broker answers, and why.
  const KafkaHealth& health() const;

 private:
  struct State;
  explicit KafkaReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace millrace
