#include "canon/source_watch.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "canon/source_time.hpp"
#include "canon/watch_ask.hpp"
#include "canon/watch_state.hpp"

namespace millrace::canon {
namespace {

constexpr int kPageRows = 1000;
constexpr milliseconds kIdle{3'600'000};
constexpr milliseconds kRetryMin{1000};
constexpr milliseconds kRetryMax{30'000};
constexpr milliseconds kProgressPoll{50};

}  // namespace

bool SourceWatch::watches(const std::string& key) const {
  return collector_.is_mine(partition_of(key));
}

bool SourceWatch::outdated(const CollectPlanPtr& plan) const {
  return stopping_ || held_ || plan != collector_.plan_;
}

void SourceWatch::replace(const CollectPlanPtr& plan) {
  Shard& shard = collector_.context_.shard;
  look_again();
  for (const auto& [key, model] : plan->models) {
    if (model.targets.empty() || !watches(key) || watches_.contains(key)) continue;
    auto watch = std::make_shared<Watch>(key, shard.context());
    watches_[key] = watch;
    shard.spawn("watch a source", run(watch));
  }
}

void SourceWatch::stop() {
  stopping_ = true;
  for (const auto& [key, watch] : watches_) watch->wake.notify();
}

void SourceWatch::hold() {
  held_ = true;
}

void SourceWatch::resume(const CollectPlanPtr& plan) {
  held_ = false;
  replace(plan);
}

bool SourceWatch::idle() const {
  return std::ranges::all_of(watches_, [](const auto& entry) { return entry.second->waiting; });
}

Awaitable<void> SourceWatch::run(WatchPtr watch) {
  while (!stopping_) {
    const CollectPlanPtr plan = collector_.plan_;
    const auto model = plan->models.find(watch->key);
    if (model == plan->models.end() || model->second.targets.empty()) break;
    if (!held_ && !watches(watch->key)) break;
    auto done = held_ ? Result<void>{} : co_await step(watch);
    if (stopping_) co_return;
    watch->name = model->second.connection + "/" + model->second.model;
    unreadable_.erase(watch->name);
    if (!done && done.error().code == Errc::config) {
      unreadable_[watch->name] = done.error().message;
    }
    if (done) {
      watch->failures = 0;
    } else if (watch->failures++ == 0) {
      spdlog::warn("a full read or sweep waits for its source connection={} model={} error=\"{}\"",
                   model->second.connection, model->second.model, done.error().message);
    }
    watch->waiting = true;
    co_await collector_.context_.wait(watch->wake, until_next(*watch));
    watch->waiting = false;
  }
  unreadable_.erase(watch->name);
  watches_.erase(watch->key);
}

milliseconds SourceWatch::until_next(const Watch& watch) const {
  if (held_) return kIdle;
  if (watch.failures > 0)
    return std::min(kRetryMin * (1 << std::min(watch.failures - 1, 5)), kRetryMax);
  const auto model = collector_.plan_->models.find(watch.key);
  if (model == collector_.plan_->models.end()) return milliseconds(1);
  if (!collector_.lanes_[watch.key].open) return milliseconds(1);
  if (!watch.walks_loaded) return milliseconds(1);
  BootTime next = collector_.context_.clock.boot_now() + kIdle;
  if (model->second.sweep) next = std::min(next, watch.next_sweep);
  next = std::min(next, next_check(watch));
  for (const Walk& walk : watch.walks) next = std::min(next, walk.due);
  const auto left = next - collector_.context_.clock.boot_now();
  return std::clamp(std::chrono::ceil<milliseconds>(left), milliseconds(1), kIdle);
}

// What is due now: the full read, or a sweep, or nothing.
Awaitable<Result<void>> SourceWatch::step(WatchPtr watch) {
  const CollectPlanPtr plan = collector_.plan_;
  const ModelPlan& model = plan->models.at(watch->key);
  // Its mark could not be saved either: the same doorbells would ring at every try.
  if (collector_.context_.projector.waits_for_space()) {
    co_return fail(Errc::disk_full, "what was projected cannot be saved");
  }
  if (!collector_.lanes_[watch->key].open) {
    auto done = co_await full_read(watch, plan);
    co_return done;
  }
  if (!watch->walks_loaded) {
    auto loaded = co_await load_walks(watch, plan);
    MILLRACE_CO_CHECK_OK(std::move(loaded));
    auto check = co_await load_check(watch, plan);
    MILLRACE_CO_CHECK_OK(std::move(check));
  }
  const BootTime now = collector_.context_.clock.boot_now();
  if (model.sweep && now >= watch->next_sweep) {
    auto swept = co_await sweep(watch, plan);
    MILLRACE_CO_CHECK_OK(std::move(swept));
    watch->next_sweep = now + *model.sweep;
  }
  if (watch->walks_loaded && next_check(*watch) <= now) {
    auto checked = co_await run_check(watch, plan);
    MILLRACE_CO_CHECK_OK(std::move(checked));
  }
  for (std::size_t i = 0; i < watch->walks.size() && watch->walks_loaded; ++i) {
    if (now < watch->walks[i].due || outdated(plan)) continue;
    auto walked = co_await walk(watch, plan, watch->walks[i]);
    co_return walked;
  }
  co_return Result<void>{};
}

SourceWatch::ByShard SourceWatch::by_shard(const ModelPlan& model,
                                           const std::vector<ListedRecord>& rows) const {
  ByShard parts(collector_.context_.shard_count);
  for (const ListedRecord& row : rows) {
    const Partition partition = partition_of(record_name(model.connection, model.model, row.id));
    parts[partition % parts.size()].push_back(row);
  }
  return parts;
}

Awaitable<Result<void>> SourceWatch::full_read(WatchPtr watch, CollectPlanPtr plan) {
  const ModelPlan& model = plan->models.at(watch->key);
  auto begun = co_await begin_full_read(watch, plan);
  if (!begun) co_return std::unexpected(begun.error());
  std::int64_t after_id = *begun;
  for (;;) {
    ListRequest request;
    request.model = model.model;
    if (lists_its_domain(model)) {
      request.domain = *model.targets.front().source->domain;
    }
    request.after_id = after_id;
    request.limit = kPageRows;
    auto rows = co_await collector_.context_.sources.list(collector_.context_.shard,
                                                          model.connection, std::move(request));
    if (!rows) co_return std::unexpected(rows.error());
    if (outdated(plan)) co_return Result<void>{};
    if (rows->empty()) break;
    after_id = rows->back().id;
    auto taken = co_await read_page(watch, plan, *std::move(rows));
    MILLRACE_CO_CHECK_OK(std::move(taken));
    if (outdated(plan)) co_return Result<void>{};
  }
  auto ended = co_await end_full_read(watch, plan, after_id);
  co_return ended;
}

// The mark is durable before the first page; a full read that was cut off goes on behind the page
// that every shard saved.
Awaitable<Result<std::int64_t>> SourceWatch::begin_full_read(WatchPtr watch, CollectPlanPtr plan) {
  const ModelPlan& model = plan->models.at(watch->key);
  CollectorContext& context = collector_.context_;
  auto row = co_await mark_row(baseline_key(watch->key));
  if (!row) co_return std::unexpected(row.error());
  BaselineMark mark;
  if (*row) {
    auto decoded = decode_baseline(**row);
    if (!decoded) co_return std::unexpected(decoded.error());
    mark = *std::move(decoded);
  }
  auto scan = [&state = context.state, prefix = progress_prefix(watch->key)] {
    return state.scan(Table::marks, prefix, "", kPartitionCount);
  };
  auto progress = co_await offload_until_back(context.readers, context.shard, std::move(scan));
  if (!progress) co_return std::unexpected(progress.error());
  std::int64_t after_id = 0;
  Batch batch;
  if (mark.running) {
    bool first = true;
    for (const Row& part : *progress) {
      const auto json = parse_json(part.value);
      const std::int64_t reached = json ? int_or(*json, "after_id", 0) : 0;
      after_id = first ? reached : std::min(after_id, reached);
      first = false;
    }
  } else {
    auto time = co_await context.sources.server_time(context.shard, model.connection);
    if (!time) co_return std::unexpected(time.error());
    auto parsed = parse_source_time(*time);
    if (!parsed) co_return std::unexpected(parsed.error());
    mark.mark = *parsed;
    mark.running = true;
  }
  // The shards may not be those that were cut off.
  for (const Row& part : *progress) batch.erase(Table::marks, part.key);
  mark.shards = context.shard_count;
  for (std::size_t shard = 0; shard < mark.shards; ++shard) {
    batch.put(Table::marks, progress_key(watch->key, shard),
              fmt::format(R"({{"after_id":{}}})", after_id));
  }
  batch.put(Table::marks, baseline_key(watch->key), encode(mark));
  watch->mark = mark;
  auto committed = co_await commit(std::move(batch));
  MILLRACE_CO_CHECK_OK(std::move(committed));
  spdlog::info("full read connection={} model={} after_id={} mark=\"{}\"", model.connection,
               model.model, after_id, to_source_time(mark.mark));
  co_return after_id;
}

Awaitable<Result<void>> SourceWatch::read_page(WatchPtr watch, CollectPlanPtr plan,
                                               std::vector<ListedRecord> rows) {
  const ModelPlan& model = plan->models.at(watch->key);
  const std::int64_t after_id = rows.back().id;
  ByShard parts = by_shard(model, rows);
  for (std::size_t shard = 0; shard < parts.size(); ++shard) {
    BaselinePage page{.plan = plan,
                      .connection = model.connection,
                      .model = model.model,
                      .rows = std::move(parts[shard]),
                      .mark = watch->mark.mark,
                      .after_id = after_id};
    std::function<Awaitable<Result<void>>(Collector&)> work = [page](Collector& collector) {
      return collector.take_baseline(page);
    };
    auto taken = co_await ask<void>(shard, std::move(work));
    MILLRACE_CO_CHECK_OK(std::move(taken));
  }
  co_return Result<void>{};
}

Awaitable<Result<void>> SourceWatch::end_full_read(WatchPtr watch, CollectPlanPtr plan,
                                                   std::int64_t after_id) {
  const ModelPlan& model = plan->models.at(watch->key);
  auto saved = co_await await_progress(watch, after_id);
  MILLRACE_CO_CHECK_OK(std::move(saved));
  if (outdated(plan)) co_return Result<void>{};
  const auto entities = model.entities();
  watch->mark.running = false;
  watch->mark.covered.insert(entities.begin(), entities.end());
  watch->mark.programs = model.programs();
  Batch batch;
  for (std::size_t shard = 0; shard < watch->mark.shards; ++shard) {
    batch.erase(Table::marks, progress_key(watch->key, shard));
  }
  batch.put(Table::marks, baseline_key(watch->key), encode(watch->mark));
  auto committed = co_await commit(std::move(batch));
  MILLRACE_CO_CHECK_OK(std::move(committed));
  const CollectorContext& context = collector_.context_;
  watch->walks_loaded = false;
  for (std::size_t shard = 0; shard < context.shard_count; ++shard) {
    if (shard == context.shard.index()) continue;
    context.on_peer(shard, [connection = model.connection, name = model.model,
                            mark = watch->mark](Collector& collector) {
      collector.open(connection, name, mark.mark, mark.covered);
    });
  }
  collector_.open(model.connection, model.model, watch->mark.mark, watch->mark.covered);
  spdlog::info("full read done connection={} model={} last_id={}", model.connection, model.model,
               after_id);
  co_return Result<void>{};
}

// Until every shard's last page is durable.
Awaitable<Result<void>> SourceWatch::await_progress(WatchPtr watch, std::int64_t after_id) {
  CollectorContext& context = collector_.context_;
  while (!stopping_) {
    auto scan = [&state = context.state, prefix = progress_prefix(watch->key)] {
      return state.scan(Table::marks, prefix, "", kPartitionCount);
    };
    auto rows = co_await offload_until_back(context.readers, context.shard, std::move(scan));
    if (!rows) co_return std::unexpected(rows.error());
    const bool all = std::ranges::all_of(*rows, [after_id](const Row& row) {
      const auto json = parse_json(row.value);
      return json && int_or(*json, "after_id", 0) >= after_id;
    });
    if (all) co_return Result<void>{};
    co_await sleep_for(kProgressPoll);
  }
  co_return fail(Errc::stopping, "stopping");
}

Awaitable<Result<void>> SourceWatch::commit(Batch batch) {
  CollectorContext& context = collector_.context_;
  auto start = [&context, batch = std::move(batch)](StateStore::CommitDone done) mutable {
    context.state.commit(std::move(batch), Urgency::now, context.shard, std::move(done));
  };
  auto committed = co_await await_callback<Result<void>>(context.shard, std::move(start));
  co_return committed;
}

Awaitable<Result<std::optional<std::string>>> SourceWatch::mark_row(std::string key) {
  CollectorContext& context = collector_.context_;
  auto read = [&state = context.state, key] { return state.get(Table::marks, key); };
  auto row = co_await offload_until_back(context.readers, context.shard, std::move(read));
  co_return row;
}

}  // namespace millrace::canon
