// Sweeps: what was written since a mark and rang no doorbell.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "canon/source_time.hpp"
#include "canon/watch_ask.hpp"
#include "canon/watch_state.hpp"

namespace millrace::canon {
namespace {

constexpr int kPageRows = 1000;
constexpr std::chrono::hours kAskTimeEvery{1};

}  // namespace

Awaitable<Result<void>> SourceWatch::sweep(WatchPtr watch, CollectPlanPtr plan) {
  auto own = co_await sweep_model(watch, plan, "");
  MILLRACE_CO_CHECK_OK(std::move(own));
  const ModelPlan& model = plan->models.at(watch->key);
  for (const auto& [touching, field] : model.touched_by) {
    if (outdated(plan)) co_return Result<void>{};
    auto touched = co_await sweep_model(watch, plan, touching);
    MILLRACE_CO_CHECK_OK(std::move(touched));
  }
  co_return Result<void>{};
}

// The window begins `longest_transaction` before the mark, because rows appear at their commit with
// the write_date of their transaction's start; it is paged by id, because many rows share a second.
// No `domain:` here: what left it must be seen too.
Awaitable<Result<void>> SourceWatch::sweep_model(WatchPtr watch, CollectPlanPtr plan,
                                                 std::string touching) {
  const ModelPlan& model = plan->models.at(watch->key);
  const std::string key = sweep_key(touching.empty() ? watch->key : row_key(watch->key, touching));
  auto row = co_await mark_row(key);
  if (!row) co_return std::unexpected(row.error());
  std::string mark;
  if (*row) {
    const auto json = parse_json(**row);
    if (json) mark = string_or(*json, "mark", "");
  }
  if (mark.empty()) {
    const auto& baseline = collector_.lanes_[watch->key].mark;
    if (!baseline) co_return fail(Errc::internal, "a sweep needs the mark of a full read");
    mark = to_source_time(*baseline);
  }
  auto parsed = parse_source_time(mark);
  if (!parsed) co_return std::unexpected(parsed.error());
  const std::string from = to_source_time(*parsed - model.longest_transaction);
  std::string newest = mark;
  std::int64_t after_id = 0;
  for (;;) {
    ListRequest request;
    request.model = touching.empty() ? model.model : touching;
    if (!touching.empty()) request.touched_field = model.touched_by.at(touching);
    JsonArray since{"write_date", ">=", from};
    request.domain = JsonArray(1, Json(std::move(since)));
    request.after_id = after_id;
    request.limit = kPageRows;
    auto rows = co_await collector_.context_.sources.list(collector_.context_.shard,
                                                          model.connection, std::move(request));
    if (!rows) co_return std::unexpected(rows.error());
    if (rows->empty() || outdated(plan)) break;
    after_id = rows->back().id;
    for (const ListedRecord& listed : *rows) {
      newest = std::max(newest, whole_seconds(listed.write_date));
    }
    const bool full = rows->size() >= static_cast<std::size_t>(kPageRows);
    auto rung = co_await ring_unseen(watch, plan, *std::move(rows), !touching.empty());
    MILLRACE_CO_CHECK_OK(std::move(rung));
    if (!full) break;
  }
  if (outdated(plan) || (*row && newest == mark)) co_return Result<void>{};
  Batch batch;
  batch.put(Table::marks, key, write_json(Json(JsonObject{{"mark", newest}})));
  auto committed = co_await commit(std::move(batch));
  co_return committed;
}

Awaitable<Result<void>> SourceWatch::ring_unseen(WatchPtr watch, CollectPlanPtr plan,
                                                 std::vector<ListedRecord> rows, bool touched) {
  const ModelPlan& model = plan->models.at(watch->key);
  auto ahead = co_await source_ahead(model.connection);
  if (!ahead) co_return std::unexpected(ahead.error());
  std::map<std::int64_t, std::string> written;
  for (const ListedRecord& row : rows) written[row.id] = row.write_date;
  ByShard parts = by_shard(model, rows);
  std::vector<RawMessage> doorbells;
  for (std::size_t shard = 0; shard < parts.size(); ++shard) {
    if (parts[shard].empty()) continue;
    SweepPage page{.connection = model.connection,
                   .model = model.model,
                   .rows = std::move(parts[shard]),
                   .touched = touched,
                   .source_ahead = *ahead,
                   .longest_transaction = model.longest_transaction};
    std::function<Awaitable<Result<std::vector<std::int64_t>>>(Collector&)> work =
        [page](Collector& collector) { return collector.unseen_in(page); };
    auto unseen = co_await ask<std::vector<std::int64_t>>(shard, std::move(work));
    if (!unseen) co_return std::unexpected(unseen.error());
    for (const std::int64_t id : *unseen) {
      RawMessage message;
      message.kind = RawMessage::Kind::doorbell;
      message.connection = model.connection;
      message.record = record_name(model.connection, model.model, id);
      message.origin = "sweep";
      message.received_at = collector_.context_.clock.wall_now();
      JsonObject body{{"_model", model.model}, {"_id", id}};
      if (!touched) body.emplace("write_date", written[id]);
      message.body = write_json(Json(std::move(body)));
      doorbells.push_back(std::move(message));
    }
  }
  auto rung = co_await collector_.ring_through_inbox(std::move(doorbells));
  co_return rung;
}

// How far the source's clock is before ours. Asked seldom: it costs Odoo a login.
Awaitable<Result<microseconds>> SourceWatch::source_ahead(std::string connection) {
  CollectorContext& context = collector_.context_;
  const auto known = ahead_.find(connection);
  const BootTime now = context.clock.boot_now();
  if (known != ahead_.end() && now - known->second.asked < kAskTimeEvery) {
    co_return known->second.by;
  }
  auto time = co_await context.sources.server_time(context.shard, connection);
  if (!time) co_return std::unexpected(time.error());
  auto parsed = parse_source_time(*time);
  if (!parsed) co_return std::unexpected(parsed.error());
  // Whole seconds, rounded down: the source may be ahead by less than this says, never by more.
  const microseconds by = *parsed - context.clock.wall_now();
  ahead_[connection] = {by, now};
  co_return by;
}

}  // namespace millrace::canon
