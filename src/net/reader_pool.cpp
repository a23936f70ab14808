#include "net/reader_pool.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/thread_name.hpp"
#include "millrace/result.hpp"

namespace millrace {

class ReaderPool::Thread final : public Executor {
 public:
  explicit Thread(std::string name) : name_(std::move(name)), thread_([this] { run(); }) {}

  ~Thread() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  void post(Task task) override {
    load_.fetch_add(1, std::memory_order_relaxed);
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(task));
    }
    wake_.notify_one();
  }

  std::size_t load() const { return load_.load(std::memory_order_relaxed); }

 private:
  void run();
  void run_one(Task& task);

  const std::string name_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Task> queue_;  ///< guarded by mutex_
  bool stopping_ = false;    ///< guarded by mutex_
  std::atomic<std::size_t> load_{0};
  std::thread thread_;
};

void ReaderPool::Thread::run_one(Task& task) {
  try {
    task();
  } catch (const std::exception& error) {
    spdlog::error("work on a reader thread threw thread={} error=\"{}\"", name_, error.what());
  } catch (...) {
    spdlog::error("work on a reader thread threw an unknown exception thread={}", name_);
  }
  task = nullptr;  // What it captured goes now, not with the rest of the batch.
  load_.fetch_sub(1, std::memory_order_relaxed);
}

void ReaderPool::Thread::run() {
  name_this_thread(name_);
  std::vector<Task> batch;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      std::swap(batch, queue_);
    }
    for (Task& task : batch) run_one(task);
    batch.clear();
  }
}

ReaderPool::ReaderPool(std::size_t threads, const std::string& name) {
  MILLRACE_INVARIANT(threads > 0);
  for (std::size_t index = 0; index < threads; ++index) {
    threads_.push_back(std::make_unique<Thread>(fmt::format("{}-{}", name, index)));
  }
}

ReaderPool::~ReaderPool() = default;

Executor& ReaderPool::next() {
  // The turn breaks ties, so that an idle pool is used evenly.
  const std::size_t start = turn_.fetch_add(1, std::memory_order_relaxed) % threads_.size();
  Thread* best = threads_[start].get();
  for (std::size_t step = 1; step < threads_.size(); ++step) {
    Thread* other = threads_[(start + step) % threads_.size()].get();
    if (other->load() < best->load()) best = other;
  }
  return *best;
}

Executor& ReaderPool::at(std::size_t index) {
  return *threads_[index];
}
std::size_t ReaderPool::size() const {
  return threads_.size();
}

std::size_t ReaderPool::waiting() const {
  std::size_t sum = 0;
  for (const auto& thread : threads_) sum += thread->load();
  return sum;
}

}  // namespace millrace
