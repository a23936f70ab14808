// What tests of a StateStore need whatever implements it: an executor with a thread of its own, and
// commits whose answer can be waited for.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "millrace/state_store.hpp"

namespace millrace::conformance {

/// A delay that never ends within a test: a lazy batch then waits for company or for close().
inline constexpr std::chrono::milliseconds kForever = std::chrono::hours(1);
/// Only a broken store keeps a test waiting this long.
inline constexpr std::chrono::seconds kAnswerLimit{60};

/// An executor with a thread of its own.
class ThreadExecutor final : public Executor {
 public:
  ThreadExecutor() : thread_([this] { run(); }) {}
  ~ThreadExecutor() override {
    post({});
    thread_.join();
  }
  void post(Task task) override {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    posts_.fetch_add(1);
    changed_.notify_one();
  }
  std::thread::id id() const { return thread_.get_id(); }
  int posts() const { return posts_.load(); }

 private:
  void run() {
    while (true) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !tasks_.empty(); });
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      if (!task) return;
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  std::atomic<int> posts_ = 0;
  std::thread thread_;
};

/// The answer to one commit.
using Ack = std::future<Result<void>>;

inline Ack submit(StateStore& store, Batch batch, Urgency urgency, Executor& home) {
  std::promise<Result<void>> promise;
  Ack ack = promise.get_future();
  store.commit(std::move(batch), urgency, home,
               [promise = std::move(promise)](Result<void> result) mutable {
                 promise.set_value(std::move(result));
               });
  return ack;
}

inline Result<void> answer_of(Ack& ack) {
  if (ack.wait_for(kAnswerLimit) != std::future_status::ready)
    return fail(Errc::internal, "no completion");
  return ack.get();
}

inline Errc code_of(const Result<void>& result) {
  return result ? Errc::internal : result.error().code;
}

inline Batch put(Table table, std::string key, std::string value) {
  Batch batch;
  batch.put(table, std::move(key), std::move(value));
  return batch;
}

}  // namespace millrace::conformance
