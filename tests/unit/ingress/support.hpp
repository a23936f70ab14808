// What ingress tests share: a log that completes when told to, a state store in memory, and a shard
// to run endpoints on.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "config/model.hpp"
#include "ingress/data_plane.hpp"
#include "millrace/event.hpp"
#include "millrace/ids.hpp"

namespace millrace::ingress {

/// Completes each append at once, unless it is held.
class FakeLog final : public EventLog {
 public:
  struct Entry {
    Journal journal;
    LogEntry entry;
  };

  void append(Journal journal, std::vector<LogEntry> group, Executor& home,
              AppendDone done) override {
    Pending pending{journal, std::move(group), &home, std::move(done)};
    const std::lock_guard lock(mutex_);
    ++appends_;
    pending_.push_back(std::move(pending));
    arrived_.notify_all();
    if (!held_) complete_all();
  }

  void hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    arrived_.notify_all();
    complete_all();
  }
  void fail_next(Errc code) {
    const std::lock_guard lock(mutex_);
    failure_ = code;
  }
  /// Blocks until `count` appends wait for `release`.
  void wait_for_held(std::size_t count) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return pending_.size() >= count; });
  }
  std::vector<Entry> entries() {
    const std::lock_guard lock(mutex_);
    return entries_;
  }
  RawMessage message(std::size_t index) {
    auto all = entries();
    EXPECT_LT(index, all.size());
    return *decode_raw_message(all.at(index).entry.payload);
  }

  /// From now on these ids lie in side files.
  void archive(std::vector<RecordId> ids) {
    const std::lock_guard lock(mutex_);
    archived_ = std::move(ids);
  }
  /// Look-ups wait until `release`.
  Result<std::vector<bool>> known_ids(Journal, std::span<const RecordId> ids, WallTime) override {
    std::unique_lock lock(mutex_);
    ++lookups_;
    arrived_.notify_all();
    arrived_.wait(lock, [this] { return !held_; });
    std::vector<bool> known;
    for (const RecordId& id : ids) known.push_back(std::ranges::count(archived_, id) > 0);
    return known;
  }
  bool archives_ids(Journal) const override {
    const std::lock_guard lock(mutex_);
    return !archived_.empty();
  }
  std::size_t appends() const {
    const std::lock_guard lock(mutex_);
    return appends_;
  }
  std::size_t lookups() const {
    const std::lock_guard lock(mutex_);
    return lookups_;
  }
  void wait_for_lookups(std::size_t count) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return lookups_ >= count; });
  }

  void set_tail_listener(Journal, TailListener) override {}
  Result<std::unique_ptr<LogReader>> open_reader(const LogStream&,
                                                 const PartitionOffsets&) override {
    return fail(Errc::not_supported, "not in this test");
  }
  PartitionOffsets ends(const LogStream&) const override { return {}; }
  PartitionOffsets begins(const LogStream&) const override { return {}; }
  std::string durable_ends() const override { return "{}"; }
  Result<void> verify_ends(std::string_view) const override { return {}; }
  std::string uuid() const override { return "test"; }
  bool empty() const override { return true; }
  Usage usage() const override { return {}; }
  Result<void> trim(const LogStream&, WallTime, const PartitionOffsets&) override { return {}; }
  void close() override {}

 private:
  struct Pending {
    Journal journal;
    std::vector<LogEntry> group;
    Executor* home;
    AppendDone done;
  };

  void complete_all() {
    for (; !pending_.empty(); pending_.pop_front()) {
      Pending& pending = pending_.front();
      Result<std::vector<Offset>> result = std::vector<Offset>{entries_.size()};
      if (failure_ != Errc::internal) {
        result = fail(std::exchange(failure_, Errc::internal), "the test wants it");
      } else {
        for (LogEntry& entry : pending.group) {
          entries_.push_back({pending.journal, std::move(entry)});
        }
      }
      pending.home->post([result = std::move(result), done = std::move(pending.done)]() mutable {
        done(std::move(result));
      });
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<RecordId> archived_;
  std::size_t lookups_ = 0;
  std::size_t appends_ = 0;
  bool held_ = false;
  Errc failure_ = Errc::internal;
  std::deque<Pending> pending_;
  std::vector<Entry> entries_;
};

class FakeState final : public StateStore {
 public:
  void commit(Batch batch, Urgency, Executor& home, CommitDone done) override {
    for (Write& write : batch.writes) {
      if (write.value) {
        rows_[{write.table, write.key}] = *write.value;
      } else {
        rows_.erase({write.table, write.key});
      }
    }
    home.post([done = std::move(done)]() mutable { done({}); });
  }
  Result<std::optional<std::string>> get(Table table, std::string_view key) override {
    const auto found = rows_.find({table, std::string(key)});
    if (found == rows_.end()) return std::optional<std::string>();
    return std::optional(found->second);
  }
  Result<std::vector<std::optional<std::string>>> get_many(Table,
                                                           std::span<const std::string>) override {
    return fail(Errc::not_supported, "not in this test");
  }
  Result<std::vector<Row>> scan(Table table, std::string_view, std::string_view,
                                std::size_t) override {
    std::vector<Row> rows;
    for (const auto& [where, value] : rows_) {
      if (where.first == table) rows.push_back({where.second, value});
    }
    return rows;
  }
  Result<std::uint64_t> count(Table, std::string_view) override { return rows_.size(); }
  StateCondition condition() const override { return {}; }
  void set_journal_ends(std::function<std::string()>) override {}
  void close() override {}

 private:
  std::map<std::pair<Table, std::string>, std::string> rows_;
};

class FixedClock final : public Clock {
 public:
  WallTime wall_now() const override { return wall; }
  BootTime boot_now() const override { return BootTime(); }
  WallTime wall{seconds(1'795'298'748)};
};

template <typename T>
Awaitable<void> run_into(Awaitable<T> task, std::promise<T>& promise) {
  T value = co_await std::move(task);
  promise.set_value(std::move(value));
}

/// The endpoints on one running shard.
class Harness {
 public:
  /// Tests hold the log for as long as they like.
  explicit Harness(Intake::Limits limits = {.wait_max = seconds(60)})
      : intake(log, counters, limits) {
    shard.start();
  }
  ~Harness() {
    log.release();
    shard.stop(seconds(10));
  }

  std::future<HttpResponse> start(IncomingRequest request) {
    request.shard = &shard;
    if (request.target.empty()) request.target = request.path;
    auto promise = std::make_unique<std::promise<HttpResponse>>();
    auto future = promise->get_future();
    shard.spawn("request", run_into(plane.handler()(std::move(request)), *promise));
    promises.push_back(std::move(promise));
    return future;
  }
  HttpResponse send(IncomingRequest request) { return start(std::move(request)).get(); }
  template <typename T>
  T run(Awaitable<T> task) {
    std::promise<T> promise;
    shard.spawn("task", run_into(std::move(task), promise));
    return promise.get_future().get();
  }

  void set_config(const config::Config& config) {
    hooks.set_table(std::make_shared<const HookTable>(config));
    events.set_table(std::make_shared<const EventsTable>(config));
  }

  FakeLog log;
  FakeState state;
  FixedClock clock;
  Counters counters;
  Intake intake;
  DedupeIndex inbox_ids{{.journal = Journal::inbox}};
  DedupeIndex event_ids{{.journal = Journal::events}};
  KeyStore keys{state, clock};
  HookEndpoint hooks{intake, inbox_ids, counters, {clock, clock}};
  EventsEndpoint events{intake, event_ids, keys, counters, {clock, clock}};
  DataPlane plane{hooks, events};
  std::vector<std::unique_ptr<std::promise<HttpResponse>>> promises;
  Shard shard{"test"};
};

inline config::Program program(std::string text, std::vector<std::string> variables = {}) {
  ExpressionScope scope;
  scope.variables = std::move(variables);
  auto compiled = Expression::compile(text, scope);
  EXPECT_TRUE(compiled.has_value()) << text;
  return {text, {}, *compiled};
}

inline IncomingRequest post(std::string path, std::string body, HttpHeaders headers = {}) {
  IncomingRequest request;
  request.method = "POST";
  request.path = std::move(path);
  request.body = std::move(body);
  request.headers = std::move(headers);
  return request;
}

}  // namespace millrace::ingress
