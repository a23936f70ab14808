// The bridge from the writer's thread to a shard's dispatcher: bounded, never blocking. Beyond the
// bound batches are dropped and the shard's followers read them from the log instead.
#pragma once

#include <memory>
#include <mutex>

#include "log/tail_dispatcher.hpp"
#include "millrace/executor.hpp"

namespace millrace {

/// Made and destroyed on the shard, before the dispatcher dies; `deliver` may run on any one
/// thread.
class TailFeed : public std::enable_shared_from_this<TailFeed> {
 public:
  static constexpr std::size_t kWaitingBytesMax = std::size_t{64} << 20;

  static std::shared_ptr<TailFeed> make(Executor& shard, TailDispatcher& dispatcher,
                                        std::size_t waiting_bytes_max = kWaitingBytesMax) {
    return std::shared_ptr<TailFeed>(new TailFeed(shard, dispatcher, waiting_bytes_max));
  }

  /// Call it from the journal's tail listener.
  void deliver(const RecordBatchPtr& batch);
  /// On the shard: nothing reaches the dispatcher any more.
  void stop() { dispatcher_ = nullptr; }

 private:
  TailFeed(Executor& shard, TailDispatcher& dispatcher, std::size_t waiting_bytes_max)
      : shard_(shard), dispatcher_(&dispatcher), waiting_bytes_max_(waiting_bytes_max) {}

  void arrive(const RecordBatchPtr& batch);

  Executor& shard_;
  TailDispatcher* dispatcher_;  ///< touched on the shard only
  std::size_t waiting_bytes_max_;

  std::mutex mutex_;  // guards what follows
  std::size_t waiting_bytes_ = 0;
  bool missed_ = false;             ///< batches were dropped since the queue was last empty
  PartitionOffsets missed_ends_{};  ///< behind the last dropped record of each partition
};

}  // namespace millrace
