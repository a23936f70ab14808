// Hands the durable batches of one stream to the followers of one shard, each record only to those
// that take its topic: a follower without a matching topic costs nothing. Runs on the shard's
// thread.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "log/batch_budget.hpp"
#include "log/followed_record.hpp"
#include "millrace/partition_set.hpp"

namespace millrace {

/// What a dispatcher tells its subscribers; called on the shard's thread.
class TailSubscriber {
 public:
  /// The record lies in one of the shard's partitions and has a topic that was subscribed to.
  virtual void offer(const FollowedRecord& record) = 0;
  /// Records were not dispatched: read on from the log, from `next()` as it is now.
  virtual void fall_behind() = 0;

 protected:
  ~TailSubscriber() = default;
};

class TailDispatcher {
 public:
  /// `next` holds, per partition of the shard, the offset the first batch begins with (the
  /// stream's ends when the tail listener was set), and kSkipPartition for the partitions of other
  /// shards.
  explicit TailDispatcher(const PartitionOffsets& next,
                          std::shared_ptr<BatchBudget> budget = std::make_shared<BatchBudget>())
      : next_(next), budget_(std::move(budget)) {}
  TailDispatcher(const TailDispatcher&) = delete;
  TailDispatcher& operator=(const TailDispatcher&) = delete;

  /// Records below `next()` are ignored. Where records are missing before the batch, all
  /// subscribers fall behind first, so that nothing is ever skipped.
  void dispatch(const RecordBatchPtr& batch);
  /// The tail went on up to `ends` without us.
  void skip_to(const PartitionOffsets& ends);
  /// Other partitions are the shard's from now on: those that are new begin at `ends`. Followers
  /// that exist take nothing of them.
  void own(PartitionSet partitions, const PartitionOffsets& ends);
  /// Per partition, the offset of the record that is dispatched next; kSkipPartition for partitions
  /// of other shards.
  const PartitionOffsets& next() const { return next_; }
  /// Of what its followers hold.
  BatchBudget& budget() const { return *budget_; }

  /// No topics: all of them. The subscriber must not be subscribed yet, and must unsubscribe before
  /// it dies. Neither may be called from within `offer`.
  void subscribe(TailSubscriber& subscriber, const std::vector<std::string>& topics);
  void unsubscribe(TailSubscriber& subscriber);

 private:
  using Subscribers = std::vector<TailSubscriber*>;
  /// A record that someone takes, and where its text is kept.
  struct Match {
    std::size_t index = 0;  ///< into the batch as it came
    const Subscribers* by_topic = nullptr;
    RecordBatchPtr batch;
    std::size_t kept = 0;  ///< into `batch`
  };

  std::vector<Match> matches_in(const RecordBatchPtr& batch) const;
  void count(std::vector<Match>& matches) const;
  void advance(const LogRecord& record);

  PartitionOffsets next_;
  std::shared_ptr<BatchBudget> budget_;
  Subscribers everyone_;
  Subscribers to_all_topics_;
  std::map<std::string, Subscribers, std::less<>> by_topic_;
};

}  // namespace millrace
