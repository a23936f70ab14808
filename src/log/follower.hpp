// How consumers on a shard follow a journal: from memory while they keep up, from disk when they
// lag. A TailDispatcher is handed every durable batch on its shard and offers each record to the
// followers of its topic; topics nobody follows cost nothing. A Follower's queue is bounded: one
// that is full remembers where it stands and reads on from the log later, so that memory stays flat
// and nobody waits for it. Promise: per partition nothing is skipped, repeated or reordered.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "millrace/event_log.hpp"

namespace millrace::log {

/// One slot per record and shard: the first consumer leaves its decoded form for the others.
struct SharedSlot {
  std::shared_ptr<const void> value;
};

struct FollowedRecord {
  RecordBatchPtr batch;  ///< keeps the record's bytes alive
  const LogRecord* record = nullptr;
  std::shared_ptr<SharedSlot> shared;
};

inline constexpr std::size_t kFollowerRecordsMax = 4096;
inline constexpr std::size_t kFollowerBytesMax = std::size_t{8} << 20;

class Follower;

/// Lives on one shard; use it on that shard's thread only.
class TailDispatcher {
 public:
  /// Per partition the offset of the next record to come; kSkipPartition: not this shard's.
  explicit TailDispatcher(const PartitionOffsets& next) : next_(next) {}
  TailDispatcher(const TailDispatcher&) = delete;
  TailDispatcher& operator=(const TailDispatcher&) = delete;

  void dispatch(const RecordBatchPtr& batch);
  const PartitionOffsets& next() const { return next_; }

 private:
  friend class Follower;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  void subscribe(Follower& follower, const std::vector<std::string>& topics);
  void unsubscribe(Follower& follower);

  PartitionOffsets next_;
  std::vector<Follower*> followers_of_all_;
  std::unordered_map<std::string, std::vector<Follower*>, Hash, std::equal_to<>> by_topic_;
};

/// Lives on the dispatcher's shard; use it on that thread only.
class Follower {
 public:
  /// Begins in catch-up from `from` (kSkipPartition: not followed). Empty `topics`: all of them.
  /// Blocking reads run on `reader`; what is read comes back through `home`. All references outlive
  /// the follower.
  Follower(TailDispatcher& dispatcher, EventLog& log, Journal journal, Executor& reader,
           Executor& home, std::vector<std::string> topics, const PartitionOffsets& from);
  ~Follower();
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  std::optional<FollowedRecord> pop();
  /// Called on the shard when the queue has become non-empty, or the log failed.
  void set_ready(std::function<void()> ready) { ready_ = std::move(ready); }
  /// Per partition: everything below was popped or does not match.
  PartitionOffsets next_offsets() const;
  /// Why it cannot read on; nothing more will come.
  const std::optional<Error>& error() const { return error_; }
  bool at_tail() const { return mode_ == Mode::tail; }

 private:
  friend class TailDispatcher;
  enum class Mode { tail, lagging, reading, failed };
  struct Catchup;

  void offer(const RecordBatchPtr& batch, const LogRecord& record,
             std::shared_ptr<SharedSlot>& slot);
  void push(const RecordBatchPtr& batch, const LogRecord& record, std::shared_ptr<SharedSlot> slot);
  bool full() const { return queue_.size() >= kFollowerRecordsMax || bytes_ >= kFollowerBytesMax; }
  bool wants(const LogRecord& record) const;
  void fall_behind(const PartitionOffsets& from);
  void read_more();
  void take(const std::shared_ptr<Catchup>& catchup);

  TailDispatcher& dispatcher_;
  EventLog& log_;
  const Journal journal_;
  Executor& reader_;
  Executor& home_;
  const std::vector<std::string> topics_;
  std::function<void()> ready_;
  Mode mode_ = Mode::lagging;
  std::deque<FollowedRecord> queue_;
  std::size_t bytes_ = 0;
  PartitionOffsets fed_;  ///< below it everything is queued, popped or does not match (not in tail)
  std::shared_ptr<Catchup> catchup_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::optional<Error> error_;
};

}  // namespace millrace::log
