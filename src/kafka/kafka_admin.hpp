// Topics, ends, trimming and published offsets. Every call blocks until Kafka answered or `timeout`
// passed: on reader threads or at start, never on a shard. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kafka/kafka_client.hpp"

namespace millrace {

struct KafkaTopic {
  std::string name;
  std::int32_t partitions = 0;
  std::int32_t replication = 0;  ///< of its least replicated partition
  /// Whether the settings below were told; we may lack the right to ask.
  bool has_settings = false;
  std::optional<milliseconds> retention;        ///< none: for ever
  std::optional<std::int64_t> retention_bytes;  ///< of a partition; none: without a bound
  std::int64_t message_bytes_max = 0;           ///< of a record, as it is sent
  bool compacted = false;                       ///< cleanup.policy has `compact`
  std::int32_t min_insync_replicas = 1;
};

struct KafkaCluster {
  std::vector<std::int32_t> brokers;  ///< ids of those that are there now
  std::string id;
};

/// What a topic of ours must be like.
struct KafkaTopicSpec {
  std::string name;
  std::int32_t partitions = 64;
};

struct KafkaOffset {
  std::int32_t partition = 0;
  std::int64_t offset = 0;
};

class KafkaAdmin {
 public:
  static Result<std::unique_ptr<KafkaAdmin>> open(KafkaSettings settings,
                                                  milliseconds timeout = seconds(15));
  ~KafkaAdmin();

  /// Fails with why no broker can be reached.
  Result<KafkaCluster> cluster();
  /// None when there is no such topic.
  Result<std::optional<KafkaTopic>> topic(const std::string& name);

  /// Creates what is missing: as many replicas as there are brokers, at most 3; retention.ms=-1
  /// (what is dropped is dropped by DeleteRecords), min.insync.replicas=2 where there are 3. All of
  /// them as they are then, in the order asked for: a site's own topics may drop records earlier.
  /// Errc::config for a topic that has another number of partitions or is compacted;
  /// Errc::forbidden without the right to see or create, with the exact commands to run.
  Result<std::vector<KafkaTopic>> ensure_topics(std::span<const KafkaTopicSpec> topics);
  /// Errc::not_found when there is no such topic. For tests.
  Result<void> delete_topic(const std::string& name);

  /// One past the last durable record of each partition of 0..partitions-1.
  Result<std::vector<std::int64_t>> ends(const std::string& topic, std::int32_t partitions);
  /// The oldest record's offset of each partition.
  Result<std::vector<std::int64_t>> begins(const std::string& topic, std::int32_t partitions);
  /// The same of partitions of several topics, in one request to each broker; in their order.
  Result<std::vector<std::int64_t>> ends(std::span<const KafkaPartition> partitions);
  Result<std::vector<std::int64_t>> begins(std::span<const KafkaPartition> partitions);
  /// Per partition, the first record not older than `at`; the end where there is none.
  Result<std::vector<std::int64_t>> offsets_at(const std::string& topic, std::int32_t partitions,
                                               WallTime at);

  /// Drops everything below the offsets.
  Result<void> delete_records(const std::string& topic, std::span<const KafkaOffset> before);

  /// Writes the offsets of a group without members, so that tools show its lag. Errc::conflict
  /// while somebody consumes as a member of that group.
  Result<void> publish_offsets(const std::string& group, const std::string& topic,
                               std::span<const KafkaOffset> offsets);
  /// What a group has; partitions it has nothing for are left out.
  Result<std::vector<KafkaOffset>> published_offsets(const std::string& group,
                                                     const std::string& topic,
                                                     std::int32_t partitions);

  struct State;

 private:
  explicit KafkaAdmin(std::unique_ptr<State> state);
  Result<void> create_topics(std::span<const KafkaTopicSpec> missing);
  Result<KafkaTopic> await_ready(const KafkaTopicSpec& spec);
  Error without_right(Error error, std::span<const KafkaTopicSpec> missing);
  std::unique_ptr<State> state_;
};

/// What a topic's settings will do that nobody wants, for the log: it works all the same.
std::vector<std::string> kafka_topic_warnings(const KafkaSettings& settings,
                                              const KafkaTopic& topic);

/// The command that makes the topic, for people who have the right.
std::string kafka_topics_command(const KafkaSettings& settings, const KafkaTopicSpec& topic,
                                 std::int32_t replication);
/// An error of Errc::forbidden with the command that gives the user all rights on the topics of the
/// prefix; any other as it is.
Error kafka_with_rights(Error error, const KafkaSettings& settings, std::string_view prefix);

}  // namespace millrace
