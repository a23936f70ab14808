// How far a Kafka topic was taken in: one row a connection, written after what it says is in the
// inbox.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "millrace/clock.hpp"
#include "millrace/result.hpp"

namespace millrace::ingress {

struct KafkaProgress {
  std::string topic;
  std::map<std::int32_t, std::int64_t> offsets;  ///< of each partition, the next one to take in
  /// Why nothing is taken in until a person says so.
  struct Stop {
    std::string reason;
    WallTime since;
  };
  std::optional<Stop> stop;
};

std::string encode(const KafkaProgress& progress);
Result<KafkaProgress> decode_kafka_progress(std::string_view text);
/// Of the connection's row in Table::marks.
std::string kafka_progress_key(std::string_view connection);

}  // namespace millrace::ingress
