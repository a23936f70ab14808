// Connections that are read back: their readers and collectors.
#include <fmt/format.h>

#include <algorithm>

#include "daemon/broker.hpp"

namespace millrace::daemon {

void Broker::publish_sources() {
  canon::SourceReaders::Map readers;
  for (const auto& [name, unit] : connections_) {
    if (unit.reader) readers[name] = unit.reader;
  }
  sources_.set(std::move(readers));
}

std::unique_ptr<canon::Collector> Broker::make_collector(ShardUnit& unit) {
  canon::CollectorContext context{
      .shard = unit.shard,
      .log = *log_,
      .state = *state_,
      .readers = *readers_,
      .sources = sources_,
      .clock = clock_,
      .trail = *unit.trail,
      .projector = *unit.projector,
      .shard_count = shards_->size(),
      .shared = shares(),
      .owned = unit.owned,
      .on_peer =
          [this](std::size_t shard, std::move_only_function<void(canon::Collector&)> work) {
            ShardUnit& there = *units_.at(shard);
            there.shard.post(
                [&there, work = std::move(work)]() mutable { work(*there.collector); });
          },
      .wait = {}};
  return std::make_unique<canon::Collector>(std::move(context));
}

void Broker::replace_doorbells(const config::ConfigPtr& config, const canon::PastPrograms& past) {
  for (const auto& unit : units_) {
    unit->shard.post([&unit = *unit, config, past] { unit.collector->replace(config, past); });
  }
}

Awaitable<Json> Broker::doorbell_status(Shard& home) {
  canon::CollectorStatus sum;
  for (const auto& unit : units_) {
    auto read = [&unit = *unit] { return unit.collector->status(); };
    const canon::CollectorStatus part = co_await offload(unit->shard, home, std::move(read));
    sum.waiting += part.waiting;
    if (part.oldest_at && (!sum.oldest_at || *part.oldest_at < *sum.oldest_at)) {
      sum.oldest_at = part.oldest_at;
    }
    sum.readings += part.readings;
    sum.unchanged += part.unchanged;
    sum.phantoms += part.phantoms;
    sum.deleted += part.deleted;
    sum.hidden += part.hidden;
    sum.failed += part.failed;
    sum.baselined += part.baselined;
    sum.swept += part.swept;
    sum.parked += part.parked;
    for (const auto& [what, count] : part.silenced) sum.silenced[what] += count;
    for (const auto& [model, why] : part.unreadable) sum.unreadable[model] = why;
  }
  JsonObject silenced;
  for (const auto& [what, count] : sum.silenced) {
    silenced.emplace(what, static_cast<std::int64_t>(count));
  }
  JsonObject unreadable;
  for (const auto& [model, why] : sum.unreadable) unreadable.emplace(model, why);
  const Json oldest = sum.oldest_at ? Json(to_rfc3339(*sum.oldest_at)) : Json(nullptr);
  co_return Json(JsonObject{{"waiting", sum.waiting},
                            {"oldest_at", oldest},
                            {"readings_total", sum.readings},
                            {"unchanged_total", sum.unchanged},
                            {"phantoms_total", sum.phantoms},
                            {"deleted_total", sum.deleted},
                            {"hidden_total", sum.hidden},
                            {"failed_total", sum.failed},
                            {"baselined_total", sum.baselined},
                            {"swept_total", sum.swept},
                            {"parked", sum.parked},
                            {"unreadable", std::move(unreadable)},
                            {"silenced", std::move(silenced)}});
}

deliver::TargetStatus Broker::source_status(const std::string& connection) const {
  if (const auto kafka = kafka_source(connection)) {
    const auto status = kafka->status();
    return {.state = status.state, .reason = status.reason, .since = status.since};
  }
  const canon::SourceStatus source = sources_.status(connection);
  return {.state = source.state,
          .reason = source.reason,
          .since = source.since,
          .in_flight = source.in_flight,
          .waiting = source.waiting};
}

Awaitable<Result<std::vector<std::string>>> Broker::unfit_plans(canon::CollectPlanPtr wanted,
                                                                canon::CollectPlanPtr running,
                                                                std::string connection,
                                                                Shard& home) {
  std::vector<std::string> problems;
  for (const auto& [key, model] : wanted->models) {
    if (model.connection != connection) continue;
    const canon::ModelPlan* old = running ? running->find(connection, model.model) : nullptr;
    if (old != nullptr && old->programs() == model.programs()) continue;
    auto checked = co_await sources_.check_plan(home, connection, model.model, model.fields);
    if (checked) continue;
    if (checked.error().code != Errc::config) co_return std::unexpected(checked.error());
    problems.push_back(checked.error().message);
  }
  co_return problems;
}

Awaitable<Result<Outcome>> Broker::check_source(std::string name, Shard& home) {
  auto checked = co_await sources_.check(home, name);
  if (!checked && checked.error().code == Errc::not_found) {
    co_return std::unexpected(checked.error());
  }
  Outcome outcome;
  outcome.kind = checked ? Outcome::Kind::delivered : Outcome::Kind::again;
  outcome.scope = Outcome::Scope::target;
  outcome.reason = checked ? *checked : checked.error().message;
  if (!checked) co_return outcome;
  auto unfit = co_await unfit_plans(canon::make_collect_plan(config()), nullptr, name, home);
  if (unfit && unfit->empty()) co_return outcome;
  outcome.kind = Outcome::Kind::again;
  outcome.reason = unfit ? fmt::format("{}", fmt::join(*unfit, "; ")) : unfit.error().message;
  co_return outcome;
}

}  // namespace millrace::daemon
