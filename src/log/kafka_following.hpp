// Which partitions of a log on Kafka are followed: what of that has to wait for Kafka.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "kafka/kafka_admin.hpp"
#include "log/kafka_bounds.hpp"
#include "log/kafka_ids.hpp"
#include "log/kafka_tail.hpp"

namespace millrace::log {

class KafkaFollowing {
 public:
  using Work = std::function<Result<void>()>;
  /// All of it outlives this. `on_shard` runs work where the tail lives, and waits for it.
  KafkaFollowing(EventLog& log, KafkaAdmin& admin, KafkaBounds& bounds, const KafkaIds& ids,
                 KafkaTail& tail, std::function<Result<void>(Work)> on_shard)
      : log_(log),
        admin_(admin),
        bounds_(bounds),
        ids_(ids),
        tail_(tail),
        on_shard_(std::move(on_shard)) {}

  /// EventLog::follow. Blocking; from any thread.
  Result<void> follow(const std::set<Partition>& partitions);
  /// Ids of what lies below these ends are remembered. At the start.
  void ids_are_known(const LogStream& stream, const PartitionOffsets& until) {
    ids_until_[stream] = until;
  }

 private:
  Result<void> let_go(const std::set<Partition>& partitions);
  Result<std::vector<KafkaPosition>> present_ends(const std::set<Partition>& partitions);
  void read_ids(const std::set<Partition>& partitions);

  EventLog& log_;
  KafkaAdmin& admin_;
  KafkaBounds& bounds_;
  const KafkaIds& ids_;
  KafkaTail& tail_;
  const std::function<Result<void>(Work)> on_shard_;

  std::mutex mutex_;  // guards what follows
  std::set<Partition> followed_;
  /// As far as ids are remembered, of partitions that are not followed.
  std::map<LogStream, PartitionOffsets> ids_until_;
};

}  // namespace millrace::log
