// What tests of event logs share: an executor the test thread runs itself, and appends that wait.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "millrace/event_log.hpp"

namespace millrace::test {

/// Tasks wait until the test runs them on its own thread.
class TestExecutor final : public Executor {
 public:
  void post(Task task) override {
    // Notified under the lock: the waiter may destroy this as soon as the task has run.
    std::lock_guard guard(mutex_);
    tasks_.push_back(std::move(task));
    posted_.notify_one();
  }

  /// Runs tasks until `done()`. False after 60 s, the net under a hanging test.
  template <typename Predicate>
  bool run_until(Predicate done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!done()) {
      std::unique_lock guard(mutex_);
      if (!posted_.wait_until(guard, deadline, [this] { return !tasks_.empty(); })) return false;
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      guard.unlock();
      task();
    }
    return true;
  }

  /// Runs one waiting task; false when there is none.
  bool run_one() {
    std::unique_lock guard(mutex_);
    if (tasks_.empty()) return false;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    guard.unlock();
    task();
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<Task> tasks_;
};

using AppendResult = Result<std::vector<Offset>>;

/// Appends and waits for the completion.
inline AppendResult append_and_wait(EventLog& log, Journal journal, std::vector<LogEntry> group) {
  TestExecutor executor;
  std::optional<AppendResult> result;
  log.append(journal, std::move(group), executor,
             [&](AppendResult given) { result = std::move(given); });
  if (!executor.run_until([&] { return result.has_value(); })) {
    return fail(Errc::internal, "the append was never completed");
  }
  return std::move(*result);
}

struct ReadRecord {
  Partition partition = 0;
  Offset offset = 0;
  std::string topic;
  std::string payload;
  WallTime appended_at;
};

/// Everything from the given offsets to the durable end.
inline Result<std::vector<ReadRecord>> read_all(EventLog& log, const LogStream& stream,
                                                const PartitionOffsets& from,
                                                std::size_t records_max = 1000) {
  MILLRACE_TRY(reader, log.open_reader(stream, from));
  std::vector<ReadRecord> records;
  for (;;) {
    MILLRACE_TRY(batch, reader->next(records_max, std::size_t{1} << 20));
    if (batch->records.empty()) return records;
    for (const LogRecord& record : batch->records) {
      records.push_back({record.partition, record.offset, std::string(record.topic),
                         std::string(record.payload), record.appended_at});
    }
  }
}

}  // namespace millrace::test
