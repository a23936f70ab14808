// One lane on a shard, between a state store whose commits the test can hold back and a target that
// answers when it is told to.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "deliver/lane.hpp"
#include "held_sink.hpp"
#include "log/fake_log.hpp"

namespace millrace::deliver::test {

class HeldState final : public StateStore {
 public:
  /// From now on commits wait, or no longer.
  void hold(bool held) {
    std::vector<Waiting> released;
    {
      const std::lock_guard lock(mutex_);
      held_ = held;
      if (!held) released.swap(waiting_);
    }
    for (Waiting& one : released) apply(one);
  }
  /// From now on there is no space for rows, or there is again.
  void refuse(bool refused) { refused_ = refused; }
  /// How many with rows in them wait.
  std::size_t waiting() {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }

  /// Whether a single one of them writes rows of both tables.
  bool waiting_with(Table one, Table other) {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(waiting_, [&](const Waiting& waiting) {
      const auto writes = [&](Table table) {
        return std::ranges::any_of(waiting.batch.writes,
                                   [&](const Write& write) { return write.table == table; });
      };
      return writes(one) && writes(other);
    });
  }

  void commit(Batch batch, Urgency, Executor& home, CommitDone done) override {
    Waiting one{std::move(batch), &home, std::move(done)};
    if (refused_ && !one.batch.writes.empty()) {
      home.post([done = std::move(one.done)]() mutable {
        done(millrace::fail(Errc::disk_full, "no space"));
      });
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      if (held_ && !one.batch.writes.empty()) {
        waiting_.push_back(std::move(one));
        return;
      }
    }
    apply(one);
  }
  StateCondition condition() const override { return {}; }
  Result<std::optional<std::string>> get(Table table, std::string_view key) override {
    const std::lock_guard lock(mutex_);
    const auto found = rows_.find({table, std::string(key)});
    return found == rows_.end() ? std::nullopt : std::optional(found->second);
  }
  Result<std::vector<std::optional<std::string>>> get_many(
      Table table, std::span<const std::string> keys) override {
    std::vector<std::optional<std::string>> found;
    for (const std::string& key : keys) found.push_back(*get(table, key));
    return found;
  }
  Result<std::vector<Row>> scan(Table table, std::string_view prefix, std::string_view after,
                                std::size_t rows_max) override {
    const std::lock_guard lock(mutex_);
    std::vector<Row> found;
    for (const auto& [at, value] : rows_) {
      const bool wanted = at.first == table && at.second.starts_with(prefix) && at.second > after;
      if (wanted && found.size() < rows_max) found.push_back({at.second, value});
    }
    return found;
  }
  Result<std::uint64_t> count(Table table, std::string_view prefix) override {
    return scan(table, prefix, "", ~std::size_t{0})->size();
  }
  void set_journal_ends(std::function<std::string()>) override {}
  void close() override {}

 private:
  struct Waiting {
    Batch batch;
    Executor* home = nullptr;
    CommitDone done;
  };
  void apply(Waiting& one) {
    {
      const std::lock_guard lock(mutex_);
      for (const Write& write : one.batch.writes) {
        if (write.value) {
          rows_[{write.table, write.key}] = *write.value;
        } else {
          rows_.erase({write.table, write.key});
        }
      }
    }
    one.home->post([done = std::move(one.done)]() mutable { done({}); });
  }

  std::mutex mutex_;
  bool held_ = false;
  std::atomic<bool> refused_{false};
  std::vector<Waiting> waiting_;
  std::map<std::pair<Table, std::string>, std::string> rows_;
};

/// Stands where the test puts it.
class StillClock final : public Clock {
 public:
  WallTime wall_now() const override { return WallTime(microseconds(wall_us.load())); }
  BootTime boot_now() const override { return BootTime(microseconds(boot_us.load())); }
  std::atomic<std::int64_t> wall_us{1'767'225'600'000'000};  ///< 2026-01-01T00:00:00Z
  std::atomic<std::int64_t> boot_us{3'600'000'000};
};

class SilentTrail final : public Trail {
 public:
  void note(const Hop&) override {}
};

class LaneWorld : public ::testing::Test {
 protected:
  LaneWorld();
  ~LaneWorld() override;

  /// A row of event `number` of record shop/1, due now.
  ParkedRow parked_row(std::string event);
  Event event(std::string id, std::string record = "shop/1") const;
  void put(const ParkedRow& row) { set_row(row.key(), encode(row)); }
  void set_row(const std::string& key, const std::string& value);
  std::optional<ParkedRow> stored(const std::string& key);
  /// Anew, as the configuration has it; before the start.
  void connect();
  /// The lane on what the state store has.
  void start();
  template <typename F>
  auto on_shard(F work) {
    std::promise<std::invoke_result_t<F&>> answer;
    auto future = answer.get_future();
    shard_.post([&] { answer.set_value(work()); });
    return future.get();
  }
  /// Waits until it holds.
  void until(const std::function<bool()>& holds, const char* what);
  void until_on_wire(const std::string& event);
  void answer(const std::string& event, Outcome outcome);
  /// A change comes from the log's tail.
  void append(std::string event, std::string record = "shop/1");
  /// From now on this event is answered so, without being told to.
  void answer_at_once(const std::string& event, Outcome outcome);
  /// The rows of this state.
  std::vector<ParkedRow> rows(ParkedState state);
  std::future<Result<Json>> decide(const std::string& key, Decision decision);

  Shard shard_;
  StillClock clock_;
  millrace::test::FakeLog log_;
  HeldState state_;
  SilentTrail trail_;
  ReaderPool readers_{1};
  TailDispatcher tail_{PartitionOffsets{}};
  std::shared_ptr<config::Config> config_;
  HeldSink* sink_ = nullptr;
  std::map<std::string, Outcome> at_once_;  ///< by event; "": all others
  std::shared_ptr<Target> target_;
  std::size_t shards_ = 1;  ///< that share what a lane may do; one of them is here
  std::shared_ptr<LanesTogether> together_ = std::make_shared<LanesTogether>();
  std::shared_ptr<Lane> lane_;
};

}  // namespace millrace::deliver::test
