// Follower: what consumers on a shard read a stream with. It hands out, in log order per
// partition, every record of the shard's partitions with one of its topics: none skipped, none
// twice. From memory while the consumer keeps up; from the log, read on a reader thread, when it
// does not. Runs on the shard's thread, without locks. The queue is bounded in records and bytes,
// and all queues of the process together by the dispatchers' budget.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "log/tail_dispatcher.hpp"
#include "millrace/executor.hpp"

namespace millrace {

struct FollowerOptions {
  std::vector<std::string> topics;  ///< empty: all
  std::size_t records_max = 4096;   ///< in the queue
  /// Of the batches the queue keeps alive; from the tail with what is decoded of them.
  std::size_t bytes_max = std::size_t{8} << 20;
  std::size_t read_bytes = std::size_t{1} << 20;  ///< of one read of the log
};

/// Where a follower works. All of it outlives the follower; log and executors also outlive a read
/// that is outstanding when the follower dies.
struct FollowerContext {
  TailDispatcher& dispatcher;
  EventLog& log;
  LogStream stream = Journal::events;
  Executor& shard;   ///< the dispatcher's and the consumer's
  Executor& reader;  ///< may block: reads run there
};

class Follower {
 public:
  using Ready = std::function<void()>;
  using Failed = std::function<void(const Error&)>;

  /// Begins at `from`; partitions of other shards are ignored.
  Follower(FollowerContext context, const PartitionOffsets& from, FollowerOptions options);
  ~Follower();
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  /// The next record, or nothing for now.
  std::optional<FollowedRecord> pop();

  /// `ready` is posted to the shard when the queue becomes non-empty (and now, if it is not empty).
  /// It comes again only after `pop` returned nothing or the last record: pop until then.
  void set_ready(Ready ready);
  /// Reading failed: Errc::not_found when the log was trimmed beyond us, else corrupt or
  /// disk_failed. Posted to the shard once; the queue still drains, and nothing follows it until
  /// `retry`.
  void set_failed(Failed failed);
  /// After a failure: reads on from where it ended, and tells when that fails again.
  void retry();
  struct Failure {
    Error error;
    WallTime since;
  };
  /// Why nothing is read on, while that is so.
  const std::optional<Failure>& failure() const;

  /// Per partition: everything below was popped or is of other topics. kSkipPartition for
  /// partitions of other shards.
  PartitionOffsets next_offsets() const;

  std::size_t queued() const;
  /// Whether it reads from the log because it fell behind the tail.
  bool catching_up() const;

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace millrace
