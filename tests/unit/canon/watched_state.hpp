// A state store that tells which projections were read, says of keys what a test wants, and stores
// only as long as the test lets it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "millrace/state_store.hpp"

namespace millrace::canon::test {

class WatchedState final : public StateStore {
 public:
  explicit WatchedState(std::unique_ptr<StateStore> state) : state_(std::move(state)) {}

  /// From now on these projections alone are surely absent.
  void say_absent(std::set<std::string> keys) {
    const std::lock_guard lock(mutex_);
    absent_ = std::move(keys);
  }
  /// Projections that were read since the last call, in any order.
  std::vector<std::string> take_read() {
    const std::lock_guard lock(mutex_);
    return std::exchange(read_, {});
  }

  /// Commits find no space from now on, or do again.
  void refuse_commits(bool refuse) {
    const std::lock_guard lock(mutex_);
    refusing_ = refuse;
  }
  bool refuses() {
    const std::lock_guard lock(mutex_);
    return refusing_;
  }
  int refused() {
    const std::lock_guard lock(mutex_);
    return refused_;
  }
  /// Commits are not answered from now on, and what they hold is never stored.
  void lose_commits() {
    const std::lock_guard lock(mutex_);
    losing_ = true;
  }

  bool is_surely_absent(Table table, std::string_view key) override {
    const std::lock_guard lock(mutex_);
    if (!absent_) return state_->is_surely_absent(table, key);
    return table == Table::projections && absent_->contains(std::string(key));
  }
  Result<std::vector<std::optional<std::string>>> get_many(
      Table table, std::span<const std::string> keys) override {
    if (table == Table::projections) {
      const std::lock_guard lock(mutex_);
      read_.insert(read_.end(), keys.begin(), keys.end());
    }
    return state_->get_many(table, keys);
  }

  Result<std::optional<std::string>> get(Table table, std::string_view key) override {
    return state_->get(table, key);
  }
  Result<std::vector<Row>> scan(Table table, std::string_view prefix, std::string_view after,
                                std::size_t rows_max) override {
    return state_->scan(table, prefix, after, rows_max);
  }
  Result<std::uint64_t> count(Table table, std::string_view prefix) override {
    return state_->count(table, prefix);
  }
  void commit(Batch batch, Urgency urgency, Executor& home, CommitDone done) override {
    {
      const std::lock_guard lock(mutex_);
      if (losing_) {
        lost_.push_back(std::move(done));
        return;
      }
      if (refusing_) {
        home.post([done = std::move(done)]() mutable {
          done(fail(Errc::disk_full, "no space in this test"));
        });
        ++refused_;
        return;
      }
    }
    state_->commit(std::move(batch), urgency, home, std::move(done));
  }
  StateCondition condition() const override { return state_->condition(); }
  void set_journal_ends(std::function<std::string()> ends) override {
    state_->set_journal_ends(std::move(ends));
  }
  void close() override { state_->close(); }

 private:
  std::unique_ptr<StateStore> state_;
  std::mutex mutex_;  // guards what follows
  std::optional<std::set<std::string>> absent_;
  std::vector<std::string> read_;
  bool refusing_ = false;
  bool losing_ = false;
  int refused_ = 0;
  std::vector<CommitDone> lost_;
};

}  // namespace millrace::canon::test
