// An event log whose inbox takes nothing for as long as a test holds it.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "millrace/event_log.hpp"

namespace millrace::canon::test {

class WatchedLog final : public EventLog {
 public:
  explicit WatchedLog(std::unique_ptr<EventLog> log) : log_(std::move(log)) {}

  /// What is appended to the inbox waits for `release`, and is not durable before.
  void hold() {
    const std::lock_guard lock(mutex_);
    holding_ = true;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    holding_ = false;
    for (auto& append : held_) append();
    held_.clear();
  }
  std::size_t held() {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }

  void append(Journal journal, std::vector<LogEntry> group, Executor& home,
              AppendDone done) override {
    const std::lock_guard lock(mutex_);
    if (!holding_ || journal != Journal::inbox) {
      log_->append(journal, std::move(group), home, std::move(done));
      return;
    }
    held_.emplace_back([this, group = std::move(group), &home, done = std::move(done)]() mutable {
      log_->append(Journal::inbox, std::move(group), home, std::move(done));
    });
  }
  void set_tail_listener(Journal journal, TailListener listener) override {
    log_->set_tail_listener(journal, std::move(listener));
  }
  Result<std::unique_ptr<LogReader>> open_reader(const LogStream& stream,
                                                 const PartitionOffsets& from) override {
    return log_->open_reader(stream, from);
  }
  PartitionOffsets ends(const LogStream& stream) const override { return log_->ends(stream); }
  PartitionOffsets begins(const LogStream& stream) const override { return log_->begins(stream); }
  std::string durable_ends() const override { return log_->durable_ends(); }
  Result<void> verify_ends(std::string_view stored) const override {
    return log_->verify_ends(stored);
  }
  std::string uuid() const override { return log_->uuid(); }
  bool empty() const override { return log_->empty(); }
  Usage usage() const override { return log_->usage(); }
  Result<void> trim(const LogStream& stream, WallTime older_than,
                    const PartitionOffsets& keep_from) override {
    return log_->trim(stream, older_than, keep_from);
  }
  void close() override { log_->close(); }

 private:
  std::unique_ptr<EventLog> log_;
  std::mutex mutex_;  // guards what follows
  bool holding_ = false;
  std::vector<std::move_only_function<void()>> held_;
};

}  // namespace millrace::canon::test
