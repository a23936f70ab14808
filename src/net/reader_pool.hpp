// Threads for blocking work: reading the state store and the log. Shards hand work over with
// offload() and never wait themselves.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "millrace/executor.hpp"

namespace millrace {

class ReaderPool {
 public:
  /// Starts `threads` threads.
  explicit ReaderPool(std::size_t threads, const std::string& name = "reader");
  /// Runs what is queued, then ends the threads.
  ~ReaderPool();
  ReaderPool(const ReaderPool&) = delete;
  ReaderPool& operator=(const ReaderPool&) = delete;

  /// The thread with the least to do; tasks posted to one executor run in order.
  Executor& next();
  Executor& at(std::size_t index);
  std::size_t size() const;
  /// Tasks queued or running, over all threads.
  std::size_t waiting() const;

 private:
  class Thread;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::atomic<std::size_t> turn_{0};
};

}  // namespace millrace
