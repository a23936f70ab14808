#include "state/commit_queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "millrace/state_keys.hpp"

namespace millrace {

std::size_t rows_of(const Batch& batch) {
  return batch.writes.size() + batch.require.size();
}

Error refused(const Precondition& precondition) {
  return {
      Errc::precondition_failed,
      fmt::format("row {} {} {}", to_string(precondition.table), printable_key(precondition.key),
                  precondition.expected ? "is absent or has another value than expected"
                                        : "exists already")};
}

Result<void> check_keys(const Batch& batch) {
  const auto check = [](Table table, const std::string& key) -> Result<void> {
    if (key.size() <= kStateKeyBytesMax) return {};
    return fail(Errc::too_large,
                fmt::format("a key of table {} has {} bytes, the limit is {}: {}", to_string(table),
                            key.size(), kStateKeyBytesMax, printable_key(key.substr(0, 100))));
  };
  for (const auto& one : batch.require) MILLRACE_CHECK_OK(check(one.table, one.key));
  for (const auto& write : batch.writes) MILLRACE_CHECK_OK(check(write.table, write.key));
  return {};
}

void CommitQueue::push(Batch batch, Urgency urgency, Executor& home, StateStore::CommitDone done) {
  if (auto fits = check_keys(batch); !fits) {
    if (done)
      home.post(
          [done = std::move(done), fits = std::move(fits)]() mutable { done(std::move(fits)); });
    return;
  }
  std::unique_lock lock(mutex_);
  if (abandoned_) return;
  if (closing_) {
    lock.unlock();
    if (done)
      home.post([done = std::move(done)]() mutable {
        done(fail(Errc::stopping, "the state store is closed"));
      });
    return;
  }
  queued_rows_ += rows_of(batch);
  if (urgency == Urgency::now) ++queued_now_;
  queue_.push_back(
      {std::move(batch), urgency, &home, std::move(done), std::chrono::steady_clock::now(), {}});
  // A lazy batch behind another changes nothing for the writer, which already waits for the first.
  if (urgency != Urgency::now && queue_.size() != 1 && queued_rows_ < options_.rows_max) return;
  changed_.notify_one();
  lock.unlock();
  if (options_.on_push) options_.on_push();
}

bool CommitQueue::due(SteadyTime now) const {
  if (queue_.empty()) return false;
  return queued_now_ > 0 || closing_ || queued_rows_ >= options_.rows_max ||
         now >= queue_.front().queued_at + options_.commit_delay;
}

BatchGroup CommitQueue::take() {
  std::unique_lock lock(mutex_);
  while (!abandoned_ && !due(std::chrono::steady_clock::now())) {
    if (queue_.empty()) {
      if (closing_) return {};
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, queue_.front().queued_at + options_.commit_delay);
    }
  }
  return abandoned_ ? BatchGroup() : take_locked();
}

std::pair<BatchGroup, std::optional<CommitQueue::SteadyTime>> CommitQueue::take_due() {
  const std::lock_guard lock(mutex_);
  if (abandoned_ || queue_.empty()) return {};
  if (due(std::chrono::steady_clock::now())) return {take_locked(), std::nullopt};
  return {BatchGroup(), queue_.front().queued_at + options_.commit_delay};
}

BatchGroup CommitQueue::take_locked() {
  BatchGroup group;
  std::size_t rows = 0;
  while (!queue_.empty()) {
    PendingBatch& next = queue_.front();
    const std::size_t size = rows_of(next.batch);
    if (!group.empty() && rows + size > options_.rows_max) break;
    rows += size;
    queued_rows_ -= size;
    if (next.urgency == Urgency::now) --queued_now_;
    group.push_back(std::move(next));
    queue_.pop_front();
  }
  return group;
}

bool CommitQueue::hurries() const {
  const std::lock_guard lock(mutex_);
  return queued_now_ > 0 || closing_;
}

void CommitQueue::set_journal_ends(std::function<std::string()> ends) {
  const std::lock_guard lock(mutex_);
  journal_ends_ = std::move(ends);
}

std::optional<std::string> CommitQueue::journal_ends() const {
  std::function<std::string()> ends;
  {
    const std::lock_guard lock(mutex_);
    ends = journal_ends_;
  }
  if (!ends) return std::nullopt;
  return ends();
}

void CommitQueue::close() {
  const std::lock_guard lock(mutex_);
  closing_ = true;
  changed_.notify_one();
}

bool CommitQueue::closing() const {
  const std::lock_guard lock(mutex_);
  return closing_;
}

void CommitQueue::abandon() {
  std::deque<PendingBatch> dropped;  // destroyed outside the lock
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
  dropped.swap(queue_);
  changed_.notify_one();
}

bool CommitQueue::abandoned() const {
  const std::lock_guard lock(mutex_);
  return abandoned_;
}

void CommitQueue::complete(BatchGroup group) {
  struct Completion {
    StateStore::CommitDone done;
    Result<void> result;
  };
  struct Home {
    Executor* executor = nullptr;
    std::vector<Completion> completions;
  };
  std::vector<Home> homes;  // a handful: one per shard
  for (auto& pending : group) {
    if (!pending.done) continue;
    auto home = std::find_if(homes.begin(), homes.end(),
                             [&](const Home& entry) { return entry.executor == pending.home; });
    if (home == homes.end()) {
      homes.push_back({pending.home, {}});
      home = std::prev(homes.end());
    }
    home->completions.push_back({std::move(pending.done), std::move(pending.result)});
  }
  for (auto& home : homes)
    home.executor->post([completions = std::move(home.completions)]() mutable {
      for (auto& completion : completions) completion.done(std::move(completion.result));
    });
}

}  // namespace millrace
