// The part of librdkafka's statistics (its STATISTICS.md) that becomes metrics.
#pragma once

#include <cstdint>
#include <string_view>

#include "millrace/result.hpp"

namespace millrace {

/// Of one client. Counters grow from its creation on.
struct KafkaStatistics {
  std::uint64_t queued_messages = 0;  ///< with a producer: without a delivery report
  std::uint64_t queued_bytes = 0;
  std::uint64_t sent_messages = 0;  ///< repeats included
  std::uint64_t sent_bytes = 0;     ///< of messages, before compression
  std::uint64_t received_messages = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t requests = 0;
  std::uint64_t requests_in_flight = 0;  ///< sent to brokers and not answered yet
  std::uint64_t request_errors = 0;
  std::uint64_t request_timeouts = 0;
  std::uint64_t request_retries = 0;
  std::uint32_t brokers_known = 0;  ///< by their ids: brokers told us of them
  std::uint32_t brokers_up = 0;     ///< connected, those asked first included
  std::uint64_t connects = 0;
  std::uint64_t disconnects = 0;
  std::int64_t round_trip_p99_us = 0;   ///< the slowest broker's, of the last interval
  std::int64_t round_trip_mean_us = 0;  ///< the same
  std::uint64_t fetch_queue_bytes = 0;  ///< with a consumer: fetched and not taken
  std::uint64_t records_behind = 0;     ///< with a consumer: between what was taken and the ends
};

/// Errc::malformed when the text is not what librdkafka documents.
Result<KafkaStatistics> parse_kafka_statistics(std::string_view json);

}  // namespace millrace
