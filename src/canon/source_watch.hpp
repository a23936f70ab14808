// What a collector does without being rung: the first full read of a model, its sweeps, checks of
// what is stored, and walks through the whole of it (after a change of its program; a backfill).
// One shard watches a model; records of other shards are handed to their collectors in bounded
// pages. Promise: a mark moves only after what it stands for is durable.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "canon/collector.hpp"

namespace millrace::canon {

class SourceWatch {
 public:
  /// Owned by the collector.
  explicit SourceWatch(Collector& collector) : collector_(collector) {}

  void replace(const CollectPlanPtr& plan);
  void stop();
  /// Steps under way end soon, and none begins before resume(): see idle().
  void hold();
  /// Other models may be watched here than before.
  void resume(const CollectPlanPtr& plan);
  void look_again();
  /// Models whose full read cannot begin as configured, by "<connection>/<model>", and why.
  const std::map<std::string, std::string>& unreadable() const { return unreadable_; }
  /// Every watch waits for its time.
  bool idle() const;

 private:
  struct Watch;
  struct Walk;
  using WatchPtr = std::shared_ptr<Watch>;
  /// Rows of one page by the shard of their record.
  using ByShard = std::vector<std::vector<ListedRecord>>;

  bool watches(const std::string& key) const;
  bool outdated(const CollectPlanPtr& plan) const;
  ByShard by_shard(const ModelPlan& model, const std::vector<ListedRecord>& rows) const;
  Awaitable<void> run(WatchPtr watch);
  Awaitable<Result<void>> step(WatchPtr watch);
  milliseconds until_next(const Watch& watch) const;

  Awaitable<Result<void>> full_read(WatchPtr watch, CollectPlanPtr plan);
  Awaitable<Result<std::int64_t>> begin_full_read(WatchPtr watch, CollectPlanPtr plan);
  Awaitable<Result<void>> read_page(WatchPtr watch, CollectPlanPtr plan,
                                    std::vector<ListedRecord> rows);
  Awaitable<Result<void>> end_full_read(WatchPtr watch, CollectPlanPtr plan, std::int64_t after_id);
  Awaitable<Result<void>> await_progress(WatchPtr watch, std::int64_t after_id);

  Awaitable<Result<void>> sweep(WatchPtr watch, CollectPlanPtr plan);
  /// `touching`: the model listed, when it is not the watched one itself.
  Awaitable<Result<void>> sweep_model(WatchPtr watch, CollectPlanPtr plan, std::string touching);
  Awaitable<Result<void>> ring_unseen(WatchPtr watch, CollectPlanPtr plan,
                                      std::vector<ListedRecord> rows, bool touched);
  // watch_check.cpp
  Awaitable<Result<void>> load_check(WatchPtr watch, CollectPlanPtr plan);
  Awaitable<Result<void>> save_check(WatchPtr watch);
  BootTime next_check(const Watch& watch) const;
  Awaitable<Result<void>> run_check(WatchPtr watch, CollectPlanPtr plan);
  Awaitable<Result<void>> check_recent(WatchPtr watch, CollectPlanPtr plan);
  Awaitable<Result<void>> check_whole(WatchPtr watch, CollectPlanPtr plan);
  Awaitable<Result<void>> ring_gone(WatchPtr watch, CollectPlanPtr plan,
                                    std::vector<ListedRecord> gone, std::int64_t stored);
  Awaitable<Result<void>> await_room(WatchPtr watch, CollectPlanPtr plan);

  // watch_walk.cpp
  Awaitable<Result<void>> load_walks(WatchPtr watch, CollectPlanPtr plan);
  Awaitable<Result<void>> walk(WatchPtr watch, CollectPlanPtr plan, Walk& walk);
  Awaitable<Result<void>> end_walk(WatchPtr watch, CollectPlanPtr plan, Walk& walk);
  static Result<void> by_hand(Watch& watch, Result<void> committed);
  Awaitable<Result<std::size_t>> announced(CollectPlanPtr plan, std::string key);
  Awaitable<Result<void>> ring_all(CollectPlanPtr plan, std::string key,
                                   std::vector<ListedRecord> rows, std::string origin);

  Awaitable<Result<microseconds>> source_ahead(std::string connection);

  Awaitable<Result<void>> commit(Batch batch);
  Awaitable<Result<std::optional<std::string>>> mark_row(std::string key);
  template <typename T>
  Awaitable<Result<T>> ask(std::size_t shard, std::function<Awaitable<Result<T>>(Collector&)> work);

  Collector& collector_;
  std::map<std::string, WatchPtr> watches_;  ///< by model_key
  struct Ahead {
    microseconds by{0};
    BootTime asked;
  };
  std::map<std::string, Ahead> ahead_;  ///< by connection
  std::map<std::string, std::string> unreadable_;
  bool held_ = false;
  bool stopping_ = false;
};

}  // namespace millrace::canon
