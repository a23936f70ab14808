// What the parts of KafkaAdmin share: one client, and one call at a time to its admin interface.
#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <memory>
#include <string>

#include "kafka/kafka_admin.hpp"

namespace millrace {

struct KafkaEventDestroy {
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
};
using KafkaEvent = std::unique_ptr<rd_kafka_event_t, KafkaEventDestroy>;

struct KafkaPartitionsDestroy {
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
using KafkaPartitions = std::unique_ptr<rd_kafka_topic_partition_list_t, KafkaPartitionsDestroy>;

struct KafkaAdmin::State {
  using Submit =
      std::function<void(rd_kafka_t*, const rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>;

  /// Submits, and waits for the answer. An error of the whole call, not of its parts.
  Result<KafkaEvent> call(rd_kafka_admin_op_t operation, const std::string& doing,
                          const Submit& submit) const;
  /// What ListOffsets says; `asked` is a time in milliseconds, -1 for the end, -2 for the begin.
  Result<std::vector<std::int64_t>> offsets(std::span<const KafkaPartition> partitions,
                                            std::int64_t asked) const;
  Result<std::vector<std::int64_t>> offsets(const std::string& topic, std::int32_t partitions,
                                            std::int64_t asked) const;
  /// Why brokers cannot be reached as far as the client has said; `otherwise`: it has not. A call
  /// that fails says no more than that it did.
  std::string reason(const char* otherwise) const;
  int timeout_ms() const { return static_cast<int>(timeout.count()); }

  KafkaSettings settings;
  milliseconds timeout;
  std::shared_ptr<KafkaClient> client;
};

}  // namespace millrace
