// The executor of a benchmark's own thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>

#include "millrace/executor.hpp"

namespace millrace {

/// The loop of one shard, run by the calling thread.
class LoopExecutor final : public Executor {
 public:
  void post(Task task) override {
    // Notified under the lock: the waiter may destroy this as soon as the task has run.
    std::lock_guard guard(mutex_);
    tasks_.push_back(std::move(task));
    posted_.notify_one();
  }
  void run_one() {
    std::unique_lock guard(mutex_);
    posted_.wait(guard, [this] { return !tasks_.empty(); });
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    guard.unlock();
    task();
  }

 private:
  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<Task> tasks_;
};

}  // namespace millrace
