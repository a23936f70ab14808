// What a collector does without being rung: the first full read of a model, and its sweeps. One
// shard watches a model; records of other shards are handed to their collectors in bounded pages.
// Promise: a mark moves only after what it stands for is durable.
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
  /// Every watch waits for its time.
  bool idle() const;

 private:
  struct Watch;
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
  bool stopping_ = false;
};

}  // namespace millrace::canon
