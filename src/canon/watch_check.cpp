// Checks: what a source holds is compared with what is stored, and every difference rings. Daily
// what was written in the last 26 hours, weekly the whole model as well, which alone finds deletes.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "canon/projection.hpp"
#include "canon/source_time.hpp"
#include "canon/watch_ask.hpp"
#include "canon/watch_state.hpp"

namespace millrace::canon {
namespace {

constexpr int kPageRows = 1000;
constexpr std::size_t kRowsPerScan = 1000;
constexpr std::size_t kAnnouncedMax = 1000;
constexpr milliseconds kTurn{1000};
constexpr std::chrono::hours kRecent{26};
constexpr std::chrono::hours kRecentEvery{24};
constexpr std::chrono::hours kWholeEvery{24 * 7};

/// A record that some projection stands for; id first, so that they sort by it.
struct Stored {
  std::int64_t id = 0;
  std::string version;  ///< the write_date it was made from; the oldest of its entities'
  bool listed = false;
};

/// Blocking. Sorted by id.
Result<std::vector<Stored>> stored_records(StateStore& state, const ModelPlan& model) {
  std::vector<Stored> stored;
  for (const std::string& entity : model.entities()) {
    const std::string prefix =
        row_key(entity, fmt::format("{}/{}/", model.connection, model.model));
    std::string after;
    for (;;) {
      MILLRACE_TRY(rows, state.scan(Table::projections, prefix, after, kRowsPerScan));
      for (const Row& row : rows) {
        MILLRACE_TRY(header, decode_projection_header(row.value));
        Stored one;
        std::from_chars(row.key.data() + prefix.size(), row.key.data() + row.key.size(), one.id);
        const auto version = parse_json(header.version);
        if (version && version->is_string()) one.version = version->get_string();
        if (!header.deleted) stored.push_back(std::move(one));
      }
      if (rows.size() < kRowsPerScan) break;
      after = rows.back().key;
    }
  }
  std::ranges::sort(stored, [](const Stored& a, const Stored& b) {
    return std::tie(a.id, a.version) < std::tie(b.id, b.version);
  });
  const auto same = std::ranges::unique(stored, {}, &Stored::id);
  stored.erase(same.begin(), same.end());
  return stored;
}

// What is listed and has no projection is news only where nothing else says why it has none.
bool lists_what_it_stores(const ModelPlan& model) {
  return model.targets.size() == 1 && !model.targets.front().source->only;
}

}  // namespace

Awaitable<Result<void>> SourceWatch::load_check(WatchPtr watch, CollectPlanPtr plan) {
  const ModelPlan& model = plan->models.at(watch->key);
  auto row = co_await mark_row(check_key(watch->key));
  if (!row) co_return std::unexpected(row.error());
  watch->check_row = *row;
  if (*row) {
    auto mark = decode_check(**row);
    if (!mark) co_return std::unexpected(mark.error());
    watch->check = *std::move(mark);
    co_return Result<void>{};
  }
  // The full read has just seen everything.
  watch->check = {};
  watch->check.connection = model.connection;
  watch->check.model = model.model;
  watch->check.recent_at = watch->check.whole_at = collector_.context_.clock.wall_now();
  auto saved = co_await save_check(watch);
  co_return saved;
}

Awaitable<Result<void>> SourceWatch::save_check(WatchPtr watch) {
  std::string text = encode(watch->check);
  Batch batch;
  batch.require.push_back({Table::marks, check_key(watch->key), watch->check_row});
  batch.put(Table::marks, check_key(watch->key), text);
  auto committed = co_await commit(std::move(batch));
  if (committed) watch->check_row = std::move(text);
  co_return by_hand(*watch, std::move(committed));
}

BootTime SourceWatch::next_check(const Watch& watch) const {
  const Clock& clock = collector_.context_.clock;
  if (watch.check.asked != CheckMark::Asked::nothing) return clock.boot_now();
  const WallTime due =
      std::min(watch.check.recent_at + kRecentEvery, watch.check.whole_at + kWholeEvery);
  return clock.boot_now() + std::max(due - clock.wall_now(), microseconds(0));
}

Awaitable<Result<void>> SourceWatch::run_check(WatchPtr watch, CollectPlanPtr plan) {
  const WallTime now = collector_.context_.clock.wall_now();
  const bool whole =
      watch->check.asked == CheckMark::Asked::whole || now >= watch->check.whole_at + kWholeEvery;
  // Of what is stored nothing says when it was read. The look at recent writes finds the second one
  // of a second; a day on which the whole is compared needs it like any other.
  auto checked = co_await check_recent(watch, plan);
  MILLRACE_CO_CHECK_OK(std::move(checked));
  if (outdated(plan)) co_return Result<void>{};
  if (whole) {
    checked = co_await check_whole(watch, plan);
    MILLRACE_CO_CHECK_OK(std::move(checked));
    if (outdated(plan)) co_return Result<void>{};
  }
  watch->check.recent_at = now;
  if (whole) watch->check.whole_at = now;
  watch->check.asked = CheckMark::Asked::nothing;
  auto saved = co_await save_check(watch);
  co_return saved;
}

Awaitable<Result<void>> SourceWatch::check_recent(WatchPtr watch, CollectPlanPtr plan) {
  const ModelPlan& model = plan->models.at(watch->key);
  auto ahead = co_await source_ahead(model.connection);
  if (!ahead) co_return std::unexpected(ahead.error());
  const WallTime from = collector_.context_.clock.wall_now() + *ahead - kRecent;
  std::int64_t after_id = 0;
  for (;;) {
    ListRequest request;
    request.model = model.model;
    JsonArray since{"write_date", ">=", to_source_time(from)};
    request.domain = JsonArray(1, Json(std::move(since)));
    request.after_id = after_id;
    request.limit = kPageRows;
    auto rows = co_await collector_.context_.sources.list(collector_.context_.shard,
                                                          model.connection, std::move(request));
    if (!rows) co_return std::unexpected(rows.error());
    if (rows->empty() || outdated(plan)) co_return Result<void>{};
    after_id = rows->back().id;
    auto room = co_await await_room(watch, plan);
    MILLRACE_CO_CHECK_OK(std::move(room));
    auto rung = co_await ring_unseen(watch, plan, *std::move(rows), false);
    MILLRACE_CO_CHECK_OK(std::move(rung));
  }
}

Awaitable<Result<void>> SourceWatch::check_whole(WatchPtr watch, CollectPlanPtr plan) {
  const ModelPlan& model = plan->models.at(watch->key);
  CollectorContext& context = collector_.context_;
  auto scan = [&state = context.state, plan, key = watch->key] {
    return stored_records(state, plan->models.at(key));
  };
  auto stored = co_await offload_until_back(context.readers, context.shard, std::move(scan));
  if (!stored) co_return std::unexpected(stored.error());
  const bool unknown_is_news = lists_what_it_stores(model);
  std::int64_t after_id = 0;
  std::size_t different = 0;
  for (;;) {
    ListRequest request;
    request.model = model.model;
    if (lists_its_domain(model)) {
      request.domain = *model.targets.front().source->domain;
    }
    request.after_id = after_id;
    request.limit = kPageRows;
    auto rows = co_await context.sources.list(context.shard, model.connection, std::move(request));
    if (!rows) co_return std::unexpected(rows.error());
    if (outdated(plan)) co_return Result<void>{};
    if (rows->empty()) break;
    after_id = rows->back().id;
    std::vector<ListedRecord> ring;
    for (ListedRecord& row : *rows) {
      const auto known = std::ranges::lower_bound(*stored, row.id, {}, &Stored::id);
      const bool found = known != stored->end() && known->id == row.id;
      if (found) known->listed = true;
      const bool differs = found && known->version != whole_seconds(row.write_date);
      if (differs || (!found && unknown_is_news)) ring.push_back(std::move(row));
    }
    different += ring.size();
    auto room = co_await await_room(watch, plan);
    MILLRACE_CO_CHECK_OK(std::move(room));
    auto rung = co_await ring_all(plan, watch->key, std::move(ring), "check");
    MILLRACE_CO_CHECK_OK(std::move(rung));
  }
  std::vector<ListedRecord> gone;
  for (const Stored& one : *stored) {
    if (!one.listed) gone.push_back({one.id, "", ""});
  }
  spdlog::info("checked connection={} model={} stored={} different={} gone={}", model.connection,
               model.model, stored->size(), different, gone.size());
  auto done =
      co_await ring_gone(watch, plan, std::move(gone), static_cast<std::int64_t>(stored->size()));
  co_return done;
}

// A right taken from our login looks like a model that was emptied: many deletes need a person.
// Each is read before it counts, whoever accepted it.
Awaitable<Result<void>> SourceWatch::ring_gone(WatchPtr watch, CollectPlanPtr plan,
                                               std::vector<ListedRecord> gone,
                                               std::int64_t stored) {
  const auto count = static_cast<std::int64_t>(gone.size());
  const bool held = count > deletes_max(stored) && !watch->check.accepted;
  watch->check.held = held ? count : 0;
  watch->check.of = stored;
  watch->check.accepted = false;
  if (held) {
    spdlog::warn(
        "a check found many records gone; they wait for a person connection={} model={} "
        "gone={} stored={}",
        watch->check.connection, watch->check.model, count, stored);
    co_return Result<void>{};
  }
  for (std::size_t at = 0; at < gone.size(); at += kPageRows) {
    const auto end = std::min(gone.size(), at + kPageRows);
    std::vector<ListedRecord> page(gone.begin() + static_cast<std::ptrdiff_t>(at),
                                   gone.begin() + static_cast<std::ptrdiff_t>(end));
    auto room = co_await await_room(watch, plan);
    MILLRACE_CO_CHECK_OK(std::move(room));
    auto rung = co_await ring_all(plan, watch->key, std::move(page), "check");
    MILLRACE_CO_CHECK_OK(std::move(rung));
  }
  co_return Result<void>{};
}

Awaitable<Result<void>> SourceWatch::await_room(WatchPtr watch, CollectPlanPtr plan) {
  for (;;) {
    if (outdated(plan)) co_return fail(Errc::stopping, "another configuration is in use");
    auto waiting = co_await announced(plan, watch->key);
    if (!waiting) co_return std::unexpected(waiting.error());
    if (*waiting < kAnnouncedMax) co_return Result<void>{};
    co_await collector_.context_.wait(watch->wake, kTurn);
  }
}

}  // namespace millrace::canon
