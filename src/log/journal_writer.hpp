// The thread that appends to one journal. Group commit: what waits when a sync returns is the next
// batch. Between batches it writes the mark of going idle, syncs the trail and makes the next
// segment.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "log/journal_appender.hpp"
#include "millrace/executor.hpp"

namespace millrace::log {

struct WriterOptions {
  milliseconds idle_mark{100};
  /// Batches begin at least this far apart while more than one group comes with each: a sync and a
  /// wake-up per few groups would cost more than the groups. A lone appender never waits for it.
  microseconds spacing{250};
  milliseconds sync_every{1000};  ///< for a journal that is not synced each batch
  std::size_t queued_bytes_max = std::size_t{256} << 20;  ///< beyond: Errc::overloaded
  std::function<void(Error)> fatal;                       ///< runs on the writer thread
};

class JournalWriter {
 public:
  using TailListener = std::function<void(const RecordBatchPtr&)>;

  JournalWriter(std::unique_ptr<JournalAppender> appender, WriterOptions options);
  ~JournalWriter() { close(); }
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  void append(std::vector<LogEntry> entries, Executor& home, EventLog::AppendDone done);
  void set_tail_listener(TailListener listener);
  const std::shared_ptr<SegmentCatalog>& catalog() const { return appender_->catalog(); }
  /// Appends what is queued, marks, syncs and joins the thread.
  void close();

 private:
  struct Pending {
    Group group;
    Executor* home = nullptr;
    EventLog::AppendDone done;
  };
  using Clock = std::chrono::steady_clock;

  void run();
  bool wait(std::vector<Pending>& taken);
  Result<void> append_all(std::vector<Pending>& taken);
  Result<void> append_batch(std::span<Pending> batch, std::span<Group* const> groups);
  Result<void> keep_house(bool closing);
  Clock::time_point next_duty() const;
  void stop_for_good(const Error& error);

  WriterOptions options_;
  std::unique_ptr<JournalAppender> appender_;
  Clock::time_point last_append_ = Clock::now();
  Clock::time_point last_sync_ = Clock::now();
  Clock::time_point batch_began_{};
  bool has_company_ = false;  ///< the last batch held more than one group

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<Pending> queue_;
  std::size_t queued_bytes_ = 0;
  TailListener listener_;
  bool closing_ = false;
  bool failed_ = false;

  std::once_flag joined_;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace millrace::log
