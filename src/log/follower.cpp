#include "log/follower.hpp"

#include <algorithm>
#include <deque>
#include <set>
#include <utility>

namespace millrace {
namespace {

bool reaches(const PartitionOffsets& position, const PartitionOffsets& goal) {
  for (Partition partition = 0; partition < kPartitionCount; ++partition) {
    if (goal[partition] != kSkipPartition && position[partition] < goal[partition]) return false;
  }
  return true;
}

/// What travels to the reader thread and back; the reader stays open in between.
struct Read {
  EventLog* log = nullptr;
  LogStream stream = Journal::events;
  PartitionOffsets from{};
  std::size_t records_max = 0;
  std::size_t bytes_max = 0;
  std::shared_ptr<const void> hold;  ///< of these bytes, until the batch is counted
  std::unique_ptr<LogReader> reader;
  Result<RecordBatchPtr> batch = RecordBatchPtr();

  void run() {
    if (!reader) {
      auto opened = log->open_reader(stream, from);
      if (!opened) {
        batch = std::unexpected(std::move(opened).error());
        return;
      }
      reader = std::move(*opened);
    }
    batch = reader->next(records_max, bytes_max);
    if (batch) from = reader->position();
  }
};

}  // namespace

/// Lives on while a read is outstanding, deaf once the follower is gone.
class Follower::State final : public TailSubscriber,
                              public std::enable_shared_from_this<Follower::State> {
 public:
  State(FollowerContext context, const PartitionOffsets& from, FollowerOptions options)
      : context_(context),
        options_(std::move(options)),
        topics_(options_.topics.begin(), options_.topics.end()),
        position_(from) {
    const PartitionOffsets& next = context_.dispatcher.next();
    for (Partition partition = 0; partition < kPartitionCount; ++partition) {
      if (next[partition] == kSkipPartition) position_[partition] = kSkipPartition;
    }
    catching_up_ = !reaches(position_, next);
  }
  virtual ~State() = default;

  void start() {
    context_.dispatcher.subscribe(*this, options_.topics);
    read_on();
  }
  void stop() {
    context_.dispatcher.unsubscribe(*this);
    stopped_ = true;
    ready_ = {};
    failed_ = {};
  }

  void offer(const FollowedRecord& record) override;
  void fall_behind() override;

  std::optional<FollowedRecord> pop();
  void set_ready(Ready ready);
  void set_failed(Failed failed) { failed_ = std::move(failed); }
  void retry();
  const std::optional<Failure>& failure() const { return failure_; }
  PartitionOffsets next_offsets() const;
  std::size_t queued() const { return queue_.size(); }
  bool catching_up() const { return catching_up_; }

 private:
  struct Queued {
    FollowedRecord record;
    std::size_t cost = 0;  ///< of its batch
  };

  void push(FollowedRecord record, std::size_t cost);
  void announce();
  void read_on();
  void take(Read read);
  void take_records(const RecordBatchPtr& batch);
  BatchBudget& budget() const { return context_.dispatcher.budget(); }
  bool wants_to_read() const {
    if (!catching_up_ || reading_ || broken_ || stopped_) return false;
    // Who holds nothing goes on, in small steps, whatever the others hold.
    if (budget().spent()) return queue_.empty();
    return queue_.size() < (options_.records_max + 1) / 2 &&
           queued_bytes_ <= options_.bytes_max / 2;
  }
  std::size_t read_bytes() const {
    if (budget().spent()) return std::min(options_.read_bytes, kLeanReadBytes);
    return std::min(options_.read_bytes, std::max<std::size_t>(1, options_.bytes_max / 2));
  }

  FollowerContext context_;
  FollowerOptions options_;
  std::set<std::string, std::less<>> topics_;

  std::deque<Queued> queue_;
  std::size_t queued_bytes_ = 0;  ///< of the distinct batches in the queue
  /// Catching up: everything below was read. At the tail: offers below were read already.
  PartitionOffsets position_;
  bool catching_up_ = true;
  bool reading_ = false;
  bool broken_ = false;             ///< reading failed, and is not tried again
  std::optional<Failure> failure_;  ///< of the last read, if it failed
  bool stopped_ = false;
  std::unique_ptr<LogReader> reader_;  ///< at `position_`, while none is outstanding
  Ready ready_;
  Failed failed_;
};

void Follower::State::offer(const FollowedRecord& record) {
  if (catching_up_ || record.record->offset < position_[record.record->partition]) return;
  const bool shares_batch = !queue_.empty() && queue_.back().record.batch == record.batch;
  const std::size_t cost = memory_of(*record.batch);
  // One record always fits, however large.
  const bool fits =
      queue_.empty() || (queue_.size() < options_.records_max && !budget().spent() &&
                         queued_bytes_ + (shares_batch ? 0 : cost) <= options_.bytes_max);
  if (fits) return push(record, cost);
  fall_behind();
  position_[record.record->partition] = record.record->offset;
}

void Follower::State::fall_behind() {
  if (catching_up_) return;
  const PartitionOffsets& next = context_.dispatcher.next();
  for (Partition partition = 0; partition < kPartitionCount; ++partition) {
    // What was read already may lie beyond what the tail has shown.
    if (next[partition] == kSkipPartition) continue;
    position_[partition] = std::max(position_[partition], next[partition]);
  }
  catching_up_ = true;
  reader_.reset();
  // Posted, not called: the dispatcher is in the middle of a batch.
  context_.shard.post([weak = weak_from_this()] {
    if (auto self = weak.lock()) self->read_on();
  });
}

void Follower::State::push(FollowedRecord record, std::size_t cost) {
  const bool shares_batch = !queue_.empty() && queue_.back().record.batch == record.batch;
  if (!shares_batch) queued_bytes_ += cost;
  queue_.push_back({std::move(record), cost});
  if (queue_.size() == 1) announce();
}

void Follower::State::announce() {
  if (!ready_) return;
  context_.shard.post([weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self || !self->ready_) return;
    const Ready ready = self->ready_;  // it may replace itself
    ready();
  });
}

void Follower::State::set_ready(Ready ready) {
  ready_ = std::move(ready);
  if (!queue_.empty()) announce();
}

std::optional<FollowedRecord> Follower::State::pop() {
  if (queue_.empty()) return std::nullopt;
  Queued first = std::move(queue_.front());
  queue_.pop_front();
  const bool shares_batch = !queue_.empty() && queue_.front().record.batch == first.record.batch;
  if (!shares_batch) queued_bytes_ -= first.cost;
  read_on();
  return std::move(first.record);
}

void Follower::State::read_on() {
  if (!wants_to_read()) return;
  if (reaches(position_, context_.dispatcher.next())) {
    catching_up_ = false;
    reader_.reset();
    return;
  }
  reading_ = true;
  const std::size_t bytes = read_bytes();
  auto read =
      std::make_shared<Read>(Read{.log = &context_.log,
                                  .stream = context_.stream,
                                  .from = position_,
                                  .records_max = std::max<std::size_t>(1, options_.records_max / 2),
                                  .bytes_max = bytes,
                                  .hold = budget().hold(bytes),
                                  .reader = std::move(reader_)});
  // `context_` may be gone when the read returns; the executors are not.
  context_.reader.post([weak = weak_from_this(), read, &shard = context_.shard] {
    read->run();
    shard.post([weak, read] {
      if (auto self = weak.lock()) self->take(std::move(*read));
    });
  });
}

void Follower::State::retry() {
  broken_ = false;
  read_on();
}

void Follower::State::take(Read read) {
  reading_ = false;
  if (stopped_) return;
  if (!read.batch) {
    broken_ = true;
    const WallTime since = failure_ ? failure_->since : system_clock().wall_now();
    failure_ = Failure{read.batch.error(), since};
    if (failed_) failed_(read.batch.error());
    return;
  }
  failure_.reset();
  reader_ = std::move(read.reader);
  position_ = read.from;
  take_records(*read.batch);
  read_on();
}

void Follower::State::take_records(const RecordBatchPtr& batch) {
  std::vector<const LogRecord*> matching;
  std::size_t bytes = 0;
  for (const LogRecord& record : batch->records) {
    if (!topics_.empty() && !topics_.contains(record.topic)) continue;
    matching.push_back(&record);
    bytes += text_bytes(record);
  }
  if (matching.empty()) return;
  RecordBatchPtr kept = batch;
  if (bytes < batch->bytes.size() / 2) kept = copy_records(matching);
  const bool copied = kept != batch;
  const std::size_t cost = kept->bytes.size();
  kept = budget().count(std::move(kept), cost);
  for (std::size_t i = 0; i < matching.size(); ++i) {
    // Decoded only once it is taken out, by who takes it.
    push({kept, copied ? &kept->records[i] : matching[i], std::make_shared<SharedSlot>()}, cost);
  }
}

PartitionOffsets Follower::State::next_offsets() const {
  PartitionOffsets next = position_;
  if (!catching_up_) {
    const PartitionOffsets& tail = context_.dispatcher.next();
    for (Partition partition = 0; partition < kPartitionCount; ++partition) {
      if (tail[partition] == kSkipPartition) continue;
      next[partition] = std::max(next[partition], tail[partition]);
    }
  }
  for (auto queued = queue_.rbegin(); queued != queue_.rend(); ++queued) {
    const LogRecord& record = *queued->record.record;
    next[record.partition] = record.offset;
  }
  return next;
}

Follower::Follower(FollowerContext context, const PartitionOffsets& from, FollowerOptions options)
    : state_(std::make_shared<State>(context, from, std::move(options))) {
  state_->start();
}

Follower::~Follower() {
  state_->stop();
}

std::optional<FollowedRecord> Follower::pop() {
  return state_->pop();
}
void Follower::set_ready(Ready ready) {
  state_->set_ready(std::move(ready));
}
void Follower::set_failed(Failed failed) {
  state_->set_failed(std::move(failed));
}
void Follower::retry() {
  state_->retry();
}
const std::optional<Follower::Failure>& Follower::failure() const {
  return state_->failure();
}
PartitionOffsets Follower::next_offsets() const {
  return state_->next_offsets();
}
std::size_t Follower::queued() const {
  return state_->queued();
}
bool Follower::catching_up() const {
  return state_->catching_up();
}

}  // namespace millrace
