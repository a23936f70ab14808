// Which partitions of a log on Kafka are followed: what of that has to wait for Kafka.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
<<<<<<< HEAD
=======
#include <utility>
>>>>>>> hub/main
#include <vector>

#include "kafka/kafka_admin.hpp"
#include "log/kafka_bounds.hpp"
#include "log/kafka_ids.hpp"
#include "log/kafka_tail.hpp"

namespace millrace::log {

class KafkaFollowing {
 public:
  using Work = std::function<Result<void>()>;
<<<<<<< HEAD
  /// All of it outlives this.
  struct Parts {
    EventLog& log;
    KafkaAdmin& admin;
    KafkaBounds& bounds;
    const KafkaIds& ids;
    KafkaTail& tail;
    std::function<Result<void>(Work)> on_shard;  ///< runs where the tail lives, and waits for it
  };

  explicit KafkaFollowing(Parts parts) : parts_(std::move(parts)) {}
=======
  /// All of it outlives this. `on_shard` runs work where the tail lives, and waits for it.
  KafkaFollowing(EventLog& log, KafkaAdmin& admin, KafkaBounds& bounds, const KafkaIds& ids,
                 KafkaTail& tail, std::function<Result<void>(Work)> on_shard)
      : log_(log),
        admin_(admin),
        bounds_(bounds),
        ids_(ids),
        tail_(tail),
        on_shard_(std::move(on_shard)) {}
>>>>>>> hub/main

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

<<<<<<< HEAD
  const Parts parts_;
=======
  EventLog& log_;
  KafkaAdmin& admin_;
  KafkaBounds& bounds_;
  const KafkaIds& ids_;
  KafkaTail& tail_;
  const std::function<Result<void>(Work)> on_shard_;

>>>>>>> hub/main
  std::mutex mutex_;  // guards what follows
  std::set<Partition> followed_;
  /// As far as ids are remembered, of partitions that are not followed.
  std::map<LogStream, PartitionOffsets> ids_until_;
};

}  // namespace millrace::log
