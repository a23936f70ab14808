// Writes records to Kafka. A completion means: acknowledged by all replicas in sync (acks=all,
// idempotent); the delivery report is the acknowledgement, never the call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kafka/kafka_client.hpp"
#include "net/shard.hpp"

namespace millrace {

struct KafkaHeader {
  std::string name;
  std::string value;
  friend bool operator==(const KafkaHeader&, const KafkaHeader&) = default;
};

/// One record to write.
struct KafkaMessage {
  std::string topic;
  /// -1: murmur2 of the key over the topic's partitions, as Kafka's own clients do.
  std::int32_t partition = -1;
  std::string key;
  std::string value;
  std::vector<KafkaHeader> headers;
  std::optional<WallTime> timestamp;  ///< milliseconds are kept; none: when it is handed over
};

struct KafkaPlace {
  std::int32_t partition = 0;
  std::int64_t offset = 0;
};

struct KafkaProducerOptions {
  /// How long a record waits for others to travel with. Zero on purpose: librdkafka's 5 ms would be
  /// a lower bound of every acknowledgement (docs/decisions/0024-kafka-clients.md has numbers).
  microseconds linger{0};
  std::size_t records_max = 100'000;              ///< without a report; then Errc::overloaded
  std::size_t bytes_max = std::size_t{64} << 20;  ///< of their keys, values and headers
  std::size_t message_bytes_max =
      16 * 1024 * 1024;              ///< what we send at most; topics may allow less
  std::string compression = "none";  ///< or gzip, snappy, lz4, zstd
  KafkaProperties more;              ///< for tests
};

/// Lives on one shard: made, called and destroyed on its thread (or while that stands still), and
/// completions run there.
///
/// Records of one partition are written in the order sent, once each. After a fatal error, which
/// means that librdkafka does not know whether a batch was written, the client is made anew and
/// everything without a report is sent again in order: such records may then be there twice.
/// There is no time-out: a record waits until Kafka answers, and the caller decides how long it
/// waits for the completion.
class KafkaProducer {
 public:
  using Done = std::move_only_function<void(Result<KafkaPlace>)>;

  /// Connects in the background. Errors: those of KafkaClient::open.
  static Result<std::unique_ptr<KafkaProducer>> open(Shard& home, KafkaSettings settings,
                                                     KafkaProducerOptions options = {});
  /// Completions that are outstanding are dropped without a call. See when_idle().
  ~KafkaProducer();

  /// Whether so much would be taken now.
  bool has_room(std::size_t records, std::size_t bytes) const;
  /// Takes the record, or Errc::overloaded: nothing was taken, call again after `on_room`. `done`
  /// never runs within the call. Its errors, after which the record is in no log: too_large,
  /// not_found (no such topic or partition), forbidden, peer_rejected.
  Result<void> send(KafkaMessage message, Done done);
  /// Called each time when, after a refusal, a quarter of the room is free again.
  void set_on_room(std::function<void()> on_room);
  /// Runs once nothing is outstanding; at once when nothing is.
  void when_idle(std::move_only_function<void()> idle);

  struct Counters {
    std::uint64_t delivered = 0;
    std::uint64_t delivered_bytes = 0;
    std::uint64_t failed = 0;
    std::uint64_t refused = 0;     ///< for want of room
    std::uint64_t queue_full = 0;  ///< times librdkafka's own queue was full
    std::uint64_t recreated = 0;   ///< clients made anew after a fatal error
    std::uint64_t resent = 0;      ///< records sent again for that
  };
  const Counters& counters() const;
  std::size_t outstanding() const;
  std::size_t outstanding_bytes() const;
  KafkaHealth health() const;
  KafkaStatistics statistics() const;
  /// For tests: what librdkafka raises after a batch that may have been written.
  void raise_fatal_error_for_test();

 private:
  struct State;
  explicit KafkaProducer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace millrace
