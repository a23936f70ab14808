#include "log/journal_writer.hpp"

#include <fmt/format.h>

#include "core/thread_name.hpp"
#include "log/completions.hpp"

namespace millrace::log {

JournalWriter::JournalWriter(std::unique_ptr<JournalAppender> appender, WriterOptions options)
    : options_(std::move(options)), appender_(std::move(appender)), thread_([this] { run(); }) {}

void JournalWriter::append(std::vector<LogEntry> entries, Executor& home,
                           EventLog::AppendDone done) {
  auto bytes = measure(entries);
  if (!bytes) return complete_one(home, std::move(done), std::unexpected(std::move(bytes).error()));
  std::size_t memory = *bytes;
  for (const LogEntry& entry : entries) {
    if (entry.decoded) memory += entry.payload.size() * kDecodedFactor;
  }
  {
    std::unique_lock guard(mutex_);
    if (failed_) return;  // the process is stopping: no completion follows a failed disk
    if (closing_) {
      guard.unlock();
      return complete_one(home, std::move(done), fail(Errc::stopping, "the log is closing"));
    }
    if (queued_bytes_ + memory > options_.queued_bytes_max) {
      guard.unlock();
      return complete_one(
          home, std::move(done),
          fail(Errc::overloaded, fmt::format("more than {} bytes wait for the disk already",
                                             options_.queued_bytes_max)));
    }
    queued_bytes_ += memory;
    queue_.push_back(
        {.group = {std::move(entries), *bytes, {}}, .home = &home, .done = std::move(done)});
    if (queue_.size() > 1) return;  // the writer was told already
  }
  changed_.notify_one();
}

void JournalWriter::set_tail_listener(TailListener listener) {
  std::lock_guard guard(mutex_);
  listener_ = std::move(listener);
}

void JournalWriter::close() {
  {
    std::lock_guard guard(mutex_);
    closing_ = true;
  }
  changed_.notify_one();
  std::call_once(joined_, [this] { thread_.join(); });
}

void JournalWriter::run() {
  name_this_thread("log-" + std::string(to_string(appender_->journal())));
  std::vector<Pending> taken;
  for (;;) {
    const bool closing = wait(taken);
    const bool idle = taken.empty();
    auto done = idle ? keep_house(closing) : append_all(taken);
    taken.clear();
    if (!done) return stop_for_good(done.error());
    if (idle && closing) return;
  }
}

/// Waits for groups, a duty or closing; returns whether closing.
bool JournalWriter::wait(std::vector<Pending>& taken) {
  std::unique_lock guard(mutex_);
  const auto awake = [this] { return closing_ || !queue_.empty(); };
  const Clock::time_point duty = next_duty();
  if (duty == Clock::time_point::max()) {
    changed_.wait(guard, awake);
  } else {
    changed_.wait_until(guard, duty, awake);
  }
  if (has_company_ && !queue_.empty()) {
    changed_.wait_until(guard, batch_began_ + options_.spacing, [this] { return closing_; });
  }
  taken.swap(queue_);
  queued_bytes_ = 0;
  return closing_;
}

JournalWriter::Clock::time_point JournalWriter::next_duty() const {
  // A mark says that the last records are durable, so it waits for their sync.
  if (appender_->wants_mark() && !appender_->unsynced()) return last_append_ + options_.idle_mark;
  if (appender_->wants_mark()) return last_sync_ + options_.sync_every;
  return Clock::time_point::max();
}

Result<void> JournalWriter::append_all(std::vector<Pending>& taken) {
  batch_began_ = Clock::now();
  has_company_ = taken.size() > 1;
  std::vector<Group*> groups;
  groups.reserve(taken.size());
  for (Pending& pending : taken) groups.push_back(&pending.group);
  std::span<Pending> left = taken;
  std::span<Group* const> left_groups = groups;
  while (!left.empty()) {
    const std::size_t count = appender_->fitting(left_groups);
    MILLRACE_CHECK_OK(append_batch(left.first(count), left_groups.first(count)));
    left = left.subspan(count);
    left_groups = left_groups.subspan(count);
  }
  last_append_ = Clock::now();
  if (appender_->unsynced() && last_append_ >= last_sync_ + options_.sync_every) {
    MILLRACE_CHECK_OK(appender_->sync());
    last_sync_ = last_append_;
  }
  return appender_->prepare();
}

Result<void> JournalWriter::append_batch(std::span<Pending> batch, std::span<Group* const> groups) {
  TailListener listener;
  {
    std::lock_guard guard(mutex_);
    listener = listener_;
  }
  auto appended = appender_->append(groups, listener != nullptr);
  if (!appended && appended.error().code != Errc::disk_full) {
    return std::unexpected(std::move(appended).error());
  }
  if (appended && listener) listener(*appended);
  Completions completions;
  for (Pending& pending : batch) {
    Result<std::vector<Offset>> result = std::move(pending.group.offsets);
    if (!appended) result = std::unexpected(appended.error());
    completions.add(*pending.home, std::move(pending.done), std::move(result));
  }
  completions.post();
  return {};
}

Result<void> JournalWriter::keep_house(bool closing) {
  const Clock::time_point now = Clock::now();
  if (appender_->unsynced() &&
      (closing || (appender_->wants_mark() && now >= last_sync_ + options_.sync_every))) {
    MILLRACE_CHECK_OK(appender_->sync());
    last_sync_ = now;
  }
  if (appender_->wants_mark() && !appender_->unsynced() &&
      (closing || now >= last_append_ + options_.idle_mark)) {
    MILLRACE_CHECK_OK(appender_->mark());
    if (closing && appender_->unsynced()) MILLRACE_CHECK_OK(appender_->sync());
  }
  return {};
}

void JournalWriter::stop_for_good(const Error& error) {
  std::vector<Pending> dropped;
  {
    std::lock_guard guard(mutex_);
    failed_ = true;
    dropped.swap(queue_);
  }
  options_.fatal(error);
}

}  // namespace millrace::log
