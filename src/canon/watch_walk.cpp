// Walks through a whole model: after a change of its program, and for backfills. They ring
// doorbells through the inbox, so each record is read in the one slot it has, beside everything
// else.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "canon/watch_ask.hpp"
#include "canon/watch_state.hpp"

namespace millrace::canon {
namespace {

constexpr int kPageRows = 1000;
constexpr std::size_t kAnnouncedMax = 1000;  // rung and not read yet: the next page waits
constexpr milliseconds kTurn{1000};
constexpr milliseconds kLetSettle{5000};

std::string reread_key(const std::string& model) {
  return row_key(std::string("reread"), model);
}

std::string encode_reread(const BackfillMark& mark,
                          const std::map<std::string, std::string>& programs) {
  JsonObject names;
  for (const auto& [entity, program] : programs) names.emplace(entity, program);
  return write_json(
      Json(JsonObject{{"mark", parse_json(encode(mark)).value()}, {"programs", std::move(names)}}));
}

}  // namespace

void SourceWatch::look_again() {
  for (const auto& [key, watch] : watches_) {
    watch->walks_loaded = false;
    watch->wake.notify();
  }
}

// What is to be walked: rows that say so, and a model whose programs are not those it was read
// with.
Awaitable<Result<void>> SourceWatch::load_walks(WatchPtr watch, CollectPlanPtr plan) {
  CollectorContext& context = collector_.context_;
  const ModelPlan& model = plan->models.at(watch->key);
  watch->walks_loaded = true;  // whoever changes the rows meanwhile says so anew
  const std::string reread = reread_key(watch->key);
  auto scan = [&state = context.state, prefix = backfill_prefix(watch->key)] {
    return state.scan(Table::marks, prefix, "", 1000);
  };
  auto rows = co_await offload_until_back(context.readers, context.shard, std::move(scan));
  if (!rows) co_return std::unexpected(rows.error());
  auto baseline = co_await mark_row(baseline_key(watch->key));
  if (!baseline) co_return std::unexpected(baseline.error());
  auto begun = co_await mark_row(reread);
  if (!begun) co_return std::unexpected(begun.error());
  std::vector<Walk> walks;
  for (const Row& row : *rows) {
    auto mark = decode_backfill(row.value);
    if (!mark) co_return std::unexpected(mark.error());
    if (mark->state == BackfillMark::State::running) {
      walks.push_back(
          {.key = row.key, .row = row.value, .mark = *std::move(mark), .programs = {}, .due = {}});
    }
  }
  if (*baseline) {
    auto mark = decode_baseline(**baseline);
    if (!mark) co_return std::unexpected(mark.error());
    watch->mark = *std::move(mark);
  }
  const auto programs = model.programs();
  if (!watch->mark.running && watch->mark.programs != programs) {
    Walk walk{.key = reread, .row = *begun, .mark = {}, .programs = programs, .due = {}};
    const auto json = *begun ? parse_json(**begun) : Result<Json>(Json());
    const Json* saved = json ? find(*json, "mark") : nullptr;
    auto mark = saved ? decode_backfill(write_json(*saved)) : Result<BackfillMark>(BackfillMark{});
    if (!mark) co_return std::unexpected(mark.error());
    // Of yet another program: from the beginning.
    if (*begun && **begun == encode_reread(*mark, programs)) walk.mark = *std::move(mark);
    spdlog::info("records are read again, their program changed connection={} model={} after_id={}",
                 model.connection, model.model, walk.mark.after_id);
    walks.push_back(std::move(walk));
  }
  watch->walks = std::move(walks);
  co_return Result<void>{};
}

// One page, then others have their turn.
Awaitable<Result<void>> SourceWatch::walk(WatchPtr watch, CollectPlanPtr plan, Walk& walk) {
  const ModelPlan& model = plan->models.at(watch->key);
  const Clock& clock = collector_.context_.clock;
  auto waiting = co_await announced(plan, watch->key);
  if (!waiting) co_return std::unexpected(waiting.error());
  if (*waiting >= kAnnouncedMax) {
    walk.due = clock.boot_now() + kTurn;
    co_return Result<void>{};
  }
  ListRequest request;
  request.model = model.model;
  if (lists_its_domain(model)) {
    request.domain = *model.targets.front().source->domain;
  }
  request.after_id = walk.mark.after_id;
  const std::int64_t pace = walk.mark.per_second;
  request.limit = pace > 0 ? static_cast<int>(std::min<std::int64_t>(pace, kPageRows)) : kPageRows;
  auto rows = co_await collector_.context_.sources.list(collector_.context_.shard, model.connection,
                                                        std::move(request));
  if (!rows) co_return std::unexpected(rows.error());
  if (outdated(plan) || !watch->walks_loaded) co_return Result<void>{};
  if (rows->empty()) {
    auto ended = co_await end_walk(watch, plan, walk);
    co_return ended;
  }
  const auto count = static_cast<std::int64_t>(rows->size());
  walk.mark.after_id = rows->back().id;
  walk.mark.rung += count;
  const std::string origin =
      walk.mark.entity.empty() ? std::string(kReread) : "backfill/" + walk.mark.entity;
  auto rung = co_await ring_all(plan, watch->key, *std::move(rows), origin);
  MILLRACE_CO_CHECK_OK(std::move(rung));
  walk.due = clock.boot_now() + (pace > 0 ? milliseconds(count * 1000 / pace) : milliseconds(0));
  const std::string text =
      walk.mark.entity.empty() ? encode_reread(walk.mark, walk.programs) : encode(walk.mark);
  Batch batch;
  batch.require.push_back({Table::marks, walk.key, walk.row});
  batch.put(Table::marks, walk.key, text);
  auto committed = co_await commit(std::move(batch));
  if (committed) walk.row = text;
  co_return by_hand(*watch, std::move(committed));
}

// A row that is not as we left it was changed by hand, and says what to do now.
Result<void> SourceWatch::by_hand(Watch& watch, Result<void> committed) {
  if (committed || committed.error().code != Errc::precondition_failed) return committed;
  watch.walks_loaded = false;
  return {};
}

Awaitable<Result<void>> SourceWatch::end_walk(WatchPtr watch, CollectPlanPtr plan, Walk& walk) {
  const ModelPlan& model = plan->models.at(watch->key);
  CollectorContext& context = collector_.context_;
  auto waiting = co_await announced(plan, watch->key);
  if (!waiting) co_return std::unexpected(waiting.error());
  if (*waiting > 0 && walk.mark.entity.empty()) {
    walk.due = context.clock.boot_now() + kLetSettle;
    co_return Result<void>{};
  }
  Batch batch;
  batch.require.push_back({Table::marks, walk.key, walk.row});
  if (walk.mark.entity.empty()) {
    watch->mark.programs = walk.programs;
    batch.put(Table::marks, baseline_key(watch->key), encode(watch->mark));
    batch.erase(Table::marks, walk.key);
    if (lists_its_domain(model)) {
      // What left the domain was not listed: a check finds it, and many need a person.
      watch->check.asked = CheckMark::Asked::whole;
      batch.require.push_back({Table::marks, check_key(watch->key), watch->check_row});
      watch->check_row = encode(watch->check);
      batch.put(Table::marks, check_key(watch->key), *watch->check_row);
    }
    for (const CollectTarget& target : model.targets) {
      // Whether others still have records of the old program is not known here.
      if (context.shared) break;
      auto forget = [&state = context.state, config = plan->config, entity = target.entity] {
        return forget_programs(state, *entity);
      };
      auto dropped = co_await offload_until_back(context.readers, context.shard, std::move(forget));
      if (!dropped) co_return std::unexpected(dropped.error());
      std::ranges::move(dropped->writes, std::back_inserter(batch.writes));
    }
    spdlog::info("records were read again connection={} model={} records={}", model.connection,
                 model.model, walk.mark.rung);
  } else {
    walk.mark.state = BackfillMark::State::done;
    batch.put(Table::marks, walk.key, encode(walk.mark));
    spdlog::info("backfill done entity={} model={} records={}", walk.mark.entity, model.model,
                 walk.mark.rung);
  }
  const std::string key = walk.key;
  auto committed = co_await commit(std::move(batch));
  auto done = by_hand(*watch, std::move(committed));
  MILLRACE_CO_CHECK_OK(std::move(done));
  std::erase_if(watch->walks, [&key](const Walk& done) { return done.key == key; });
  co_return Result<void>{};
}

// Over all shards.
Awaitable<Result<std::size_t>> SourceWatch::announced(CollectPlanPtr plan, std::string key) {
  const ModelPlan& model = plan->models.at(key);
  std::size_t sum = 0;
  for (std::size_t shard = 0; shard < collector_.context_.shard_count; ++shard) {
    std::function<Awaitable<Result<std::size_t>>(Collector&)> work =
        [connection = model.connection, name = model.model](Collector& collector) {
          return collector.announced_of(connection, name);
        };
    auto part = co_await ask<std::size_t>(shard, std::move(work));
    if (!part) co_return std::unexpected(part.error());
    sum += *part;
  }
  co_return sum;
}

Awaitable<Result<void>> SourceWatch::ring_all(CollectPlanPtr plan, std::string key,
                                              std::vector<ListedRecord> rows, std::string origin) {
  const ModelPlan& model = plan->models.at(key);
  std::vector<RawMessage> doorbells;
  for (const ListedRecord& row : rows) {
    RawMessage message;
    message.kind = RawMessage::Kind::doorbell;
    message.connection = model.connection;
    message.record = record_name(model.connection, model.model, row.id);
    message.origin = origin;
    message.received_at = collector_.context_.clock.wall_now();
    message.body = write_json(Json(JsonObject{{"_model", model.model}, {"_id", row.id}}));
    doorbells.push_back(std::move(message));
  }
  auto rung = co_await collector_.ring_through_inbox(std::move(doorbells));
  co_return rung;
}

}  // namespace millrace::canon
