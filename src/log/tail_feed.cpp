#include "log/tail_feed.hpp"

namespace millrace {

void TailFeed::deliver(const RecordBatchPtr& batch) {
  const std::size_t bytes = memory_of(*batch);
  {
    std::lock_guard guard(mutex_);
    // Once one batch was dropped, so are all until the shard has caught up with the queue.
    if (missed_ || (waiting_bytes_ > 0 && waiting_bytes_ + bytes > waiting_bytes_max_)) {
      missed_ = true;
      for (const LogRecord& record : batch->records) {
        missed_ends_[record.partition] = record.offset + 1;
      }
      return;
    }
    waiting_bytes_ += bytes;
  }
  shard_.post([weak = weak_from_this(), batch] {
    if (auto self = weak.lock()) self->arrive(batch);
  });
}

void TailFeed::arrive(const RecordBatchPtr& batch) {
  if (dispatcher_ != nullptr) dispatcher_->dispatch(batch);
  PartitionOffsets ends;
  {
    std::lock_guard guard(mutex_);
    waiting_bytes_ -= memory_of(*batch);
    if (waiting_bytes_ > 0 || !missed_) return;
    missed_ = false;
    ends = missed_ends_;
  }
  // Batches delivered from here on are posted behind this task, so none comes before the skip.
  if (dispatcher_ != nullptr) dispatcher_->skip_to(ends);
}

}  // namespace millrace
