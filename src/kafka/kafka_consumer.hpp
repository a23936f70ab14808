// Reads partitions that it is told, from offsets that it is told: no consumer group, nothing is
// committed to Kafka. Nothing is skipped: what is not there any more is a problem of its partition.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kafka/kafka_client.hpp"
#include "net/shard.hpp"

struct rd_kafka_message_s;
struct rd_kafka_op_s;
struct rd_kafka_topic_partition_list_s;

namespace millrace {

/// As an offset: wherever the partition begins.
inline constexpr std::int64_t kKafkaBeginning = -2;

struct KafkaPosition {
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;  ///< the first one to read
};

/// One record; views into its batch.
struct KafkaRecord {
  std::string_view topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  WallTime timestamp;  ///< to the millisecond; epoch when the record has none
  std::string_view key;
  std::string_view value;
  bool has_value = true;  ///< false: a tombstone
  const rd_kafka_message_s* message = nullptr;

  /// In the record's order; a name may come twice.
  std::vector<std::pair<std::string_view, std::string_view>> headers() const;
};

/// Why a partition is not read any more: it is no longer assigned.
struct KafkaProblem {
  std::string topic;
  std::int32_t partition = 0;
  /// Errc::corrupt: the offset asked for is not in the log (deleted, or the topic was made anew);
  /// Errc::not_found: no such topic or partition (any more); Errc::forbidden: no right to read it.
  Error error;
};

/// What one take() got. May be moved to another thread and outlive its consumer.
class KafkaBatch {
 public:
  KafkaBatch();
  ~KafkaBatch();
  KafkaBatch(KafkaBatch&&) noexcept;
  KafkaBatch& operator=(KafkaBatch&&) noexcept;

  /// In order within each partition.
  const std::vector<KafkaRecord>& records() const { return records_; }
  /// Partitions that were read to their end, with the offset that comes next; only if asked for.
  const std::vector<KafkaPosition>& ends() const { return ends_; }
  const std::vector<KafkaProblem>& problems() const { return problems_; }
  std::size_t bytes() const { return bytes_; }  ///< of keys and values
  bool empty() const { return records_.empty() && ends_.empty() && problems_.empty(); }

 private:
  friend class KafkaConsumer;
  friend class KafkaReader;
  struct EventDestroy {
    void operator()(rd_kafka_op_s* event) const;
  };
  using Event = std::unique_ptr<rd_kafka_op_s, EventDestroy>;

  /// A record, an end, or a problem: then its partition is assigned no more. The monitor hears how
  /// the brokers are.
  void add(Event event, KafkaMonitor& monitor, std::set<KafkaPartition>& assigned);
  void add_error(rd_kafka_op_s* event, KafkaMonitor& monitor, std::set<KafkaPartition>& assigned);

  std::shared_ptr<KafkaClient> client_;  // before what came from it
  std::vector<Event> events_;            ///< what the views point into
  std::vector<KafkaRecord> records_;
  std::vector<KafkaPosition> ends_;
  std::vector<KafkaProblem> problems_;
  std::size_t bytes_ = 0;
};

struct KafkaConsumerOptions {
  /// Fetched and not taken yet, over all partitions; fetching stops there until take() makes room.
  /// An answer that was asked for before may come on top: twice this at most, and a batch.
  std::size_t prefetch_bytes = std::size_t{16} << 20;
  std::size_t fetch_bytes_max = std::size_t{1} << 20;  ///< of one partition in one answer
  bool tell_ends = false;                              ///< fill KafkaBatch::ends
  KafkaProperties more;                                ///< for tests
};

/// In librdkafka's words.
KafkaProperties consumer_properties(const KafkaConsumerOptions& options);

struct KafkaPositionsDestroy {
  void operator()(rd_kafka_topic_partition_list_s* list) const;
};
/// As librdkafka wants them.
using KafkaPositionList = std::unique_ptr<rd_kafka_topic_partition_list_s, KafkaPositionsDestroy>;
KafkaPositionList list_of(const std::vector<KafkaPosition>& positions);
/// The client reads these and no others; `assigned` is what it reads.
Result<void> assign_only(const KafkaClient& client, const std::vector<KafkaPosition>& positions,
                         std::set<KafkaPartition>& assigned);

/// Lives on one shard: made, called and destroyed on its thread (or while that stands still).
class KafkaConsumer {
 public:
  static Result<std::unique_ptr<KafkaConsumer>> open(Shard& home, KafkaSettings settings,
                                                     KafkaConsumerOptions options = {});
  ~KafkaConsumer();

  /// Reads these and no others. Forgets what was fetched for others.
  Result<void> assign(const std::vector<KafkaPosition>& positions);
  /// Reads these too. One that is read already goes on at the offset given here.
  Result<void> add(const std::vector<KafkaPosition>& positions);
  /// Reads these no more; nothing of them is taken afterwards.
  Result<void> remove(const std::vector<KafkaPartition>& partitions);

  /// Runs on the shard when there may be something to take: take until a batch is empty. Until
  /// then it is not called again: not taking is how a consumer is held back.
  void set_on_readable(std::function<void()> on_readable);
  /// What was fetched, in whichever limit comes first; at least one record when there is one.
  KafkaBatch take(std::size_t records_max, std::size_t bytes_max);

  KafkaHealth health() const;
  KafkaStatistics statistics() const;

 private:
  struct State;
  explicit KafkaConsumer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace millrace
