// Writes records to Kafka for a caller that may block, as many in flight as a copy needs.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kafka/kafka_producer.hpp"

namespace millrace::stores {

/// One thread at a time.
class KafkaWriter {
 public:
  /// Connects in the background.
  static Result<std::unique_ptr<KafkaWriter>> open(const KafkaSettings& settings);
  ~KafkaWriter();
  KafkaWriter(const KafkaWriter&) = delete;
  KafkaWriter& operator=(const KafkaWriter&) = delete;

  /// Takes the record once there is room for it. Errors may be those of an earlier record.
  /// Errc::not_connected when Kafka acknowledges nothing for 30 s.
  Result<void> write(KafkaMessage message);
  /// Returns when everything is acknowledged.
  Result<void> flush();

 private:
  KafkaWriter() = default;
  Result<void> hand_over();
  Result<void> wait(std::uint64_t records_max, std::uint64_t bytes_max);
  void reported(const std::string& topic, std::uint64_t bytes, const Result<KafkaPlace>& place);

  std::vector<KafkaMessage> gathered_;
  std::uint64_t gathered_bytes_ = 0;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::uint64_t records_ = 0;  ///< handed over and without a report
  std::uint64_t bytes_ = 0;
  std::uint64_t reports_ = 0;
  std::optional<Error> error_;

  Shard shard_{"kafka-copy"};
  std::unique_ptr<KafkaProducer> producer_;
};

}  // namespace millrace::stores
