#include "log/follower.hpp"

#include <algorithm>

namespace millrace::log {
namespace {

constexpr std::size_t kRecordsPerRead = 1024;
constexpr std::size_t kBytesPerRead = std::size_t{2} << 20;

}  // namespace

// One reader and its last answer; owned by whoever works on it.
struct Follower::Catchup {
  std::unique_ptr<LogReader> reader;
  Result<RecordBatchPtr> batch{RecordBatchPtr{}};
};

void TailDispatcher::subscribe(Follower& follower, const std::vector<std::string>& topics) {
  if (topics.empty()) followers_of_all_.push_back(&follower);
  for (const std::string& topic : topics) by_topic_[topic].push_back(&follower);
}

void TailDispatcher::unsubscribe(Follower& follower) {
  std::erase(followers_of_all_, &follower);
  for (auto& [topic, followers] : by_topic_) std::erase(followers, &follower);
}

void TailDispatcher::dispatch(const RecordBatchPtr& batch) {
  for (const LogRecord& record : batch->records) {
    if (next_[record.partition] == kSkipPartition) continue;
    std::shared_ptr<SharedSlot> slot;
    for (Follower* follower : followers_of_all_) follower->offer(batch, record, slot);
    if (const auto found = by_topic_.find(record.topic); found != by_topic_.end()) {
      for (Follower* follower : found->second) follower->offer(batch, record, slot);
    }
    next_[record.partition] = record.offset + 1;
  }
}

Follower::Follower(TailDispatcher& dispatcher, EventLog& log, Journal journal, Executor& reader,
                   Executor& home, std::vector<std::string> topics, const PartitionOffsets& from)
    : dispatcher_(dispatcher),
      log_(log),
      journal_(journal),
      reader_(reader),
      home_(home),
      topics_(std::move(topics)),
      fed_(from) {
  dispatcher_.subscribe(*this, topics_);
  read_more();
}

Follower::~Follower() {
  *alive_ = false;
  dispatcher_.unsubscribe(*this);
}

bool Follower::wants(const LogRecord& record) const {
  return topics_.empty() || std::ranges::find(topics_, record.topic) != topics_.end();
}

void Follower::push(const RecordBatchPtr& batch, const LogRecord& record,
                    std::shared_ptr<SharedSlot> slot) {
  bytes_ += record.payload.size();
  queue_.push_back({batch, &record, std::move(slot)});
  if (queue_.size() == 1 && ready_) {
    // Posted, so that a consumer never runs inside the dispatch of a batch.
    home_.post([this, alive = alive_] {
      if (*alive && ready_) ready_();
    });
  }
}

void Follower::offer(const RecordBatchPtr& batch, const LogRecord& record,
                     std::shared_ptr<SharedSlot>& slot) {
  if (mode_ != Mode::tail || fed_[record.partition] == kSkipPartition ||
      record.offset < fed_[record.partition]) {
    return;
  }
  if (full()) {
    // Everything up to here was fed; the rest is read from the log once there is room.
    fall_behind(dispatcher_.next());
    return;
  }
  if (!slot) slot = std::make_shared<SharedSlot>();
  push(batch, record, slot);
}

void Follower::fall_behind(const PartitionOffsets& from) {
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (fed_[p] != kSkipPartition) fed_[p] = std::max(fed_[p], from[p]);
  }
  mode_ = Mode::lagging;
  catchup_.reset();
}

std::optional<FollowedRecord> Follower::pop() {
  std::optional<FollowedRecord> front;
  if (!queue_.empty()) {
    front = std::move(queue_.front());
    queue_.pop_front();
    bytes_ -= front->record->payload.size();
  }
  if (mode_ == Mode::lagging && queue_.size() < kFollowerRecordsMax / 2 &&
      bytes_ < kFollowerBytesMax / 2) {
    read_more();
  }
  return front;
}

PartitionOffsets Follower::next_offsets() const {
  PartitionOffsets next = fed_;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (next[p] == kSkipPartition) continue;
    if (mode_ == Mode::tail) next[p] = std::max(next[p], dispatcher_.next()[p]);
  }
  for (const FollowedRecord& queued : queue_) {
    Offset& at = next[queued.record->partition];
    at = std::min(at, queued.record->offset);
  }
  return next;
}

void Follower::read_more() {
  mode_ = Mode::reading;
  auto catchup = catchup_ ? catchup_ : std::make_shared<Catchup>();
  catchup_ = catchup;
  // The reader thread owns `catchup` until it posts back; the follower may be gone by then.
  reader_.post(
      [this, catchup, alive = alive_, &log = log_, journal = journal_, from = fed_, &home = home_] {
        if (!catchup->reader) {
          auto reader = log.open_reader(journal, from);
          if (reader) {
            catchup->reader = *std::move(reader);
          } else {
            catchup->batch = std::unexpected(reader.error());
          }
        }
        if (catchup->reader) catchup->batch = catchup->reader->next(kRecordsPerRead, kBytesPerRead);
        home.post([this, catchup, alive] {
          if (*alive) take(catchup);
        });
      });
}

void Follower::take(const std::shared_ptr<Catchup>& catchup) {
  if (!catchup->batch) {
    mode_ = Mode::failed;
    error_ = catchup->batch.error();
    if (ready_) ready_();
    return;
  }
  const RecordBatchPtr batch = std::exchange(*catchup->batch, nullptr);
  const PartitionOffsets& read = catchup->reader->position();
  for (const LogRecord& record : batch->records) {
    if (fed_[record.partition] == kSkipPartition || !wants(record)) continue;
    push(batch, record, std::make_shared<SharedSlot>());
  }
  bool caught_up = batch->records.empty();
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (fed_[p] == kSkipPartition) continue;
    fed_[p] = std::max(fed_[p], read[p]);
    caught_up = caught_up && fed_[p] >= dispatcher_.next()[p];
  }
  if (caught_up) {
    // What the dispatcher still offers below `fed_` was read already and is passed over.
    mode_ = Mode::tail;
    catchup_.reset();
    return;
  }
  mode_ = Mode::lagging;
  if (queue_.size() < kFollowerRecordsMax / 2 && bytes_ < kFollowerBytesMax / 2) read_more();
}

}  // namespace millrace::log
