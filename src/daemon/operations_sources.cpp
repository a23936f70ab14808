// What operators ask of sources: rereadings that a reload would cause, backfills, checks.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "canon/backfill_mark.hpp"
#include "canon/check_mark.hpp"
#include "canon/collect_plan.hpp"
#include "canon/judgement.hpp"
#include "canon/past_program.hpp"
#include "canon/projection.hpp"
#include "daemon/operations.hpp"
#include "daemon/reload.hpp"
#include "state/blocking_commit.hpp"

namespace millrace::daemon {
namespace {

using canon::BackfillMark;
using canon::CheckMark;

constexpr std::int64_t kSampleMax = 200;
constexpr std::int64_t kPaceDefault = 100;
constexpr int kTriesMax = 20;  // a walk writes its row once a page
constexpr std::size_t kMarksMax = 10'000;

/// An entity's source whose program or filter is not the running one.
struct Reread {
  const config::Entity* entity = nullptr;
  const config::EntitySource* source = nullptr;
  std::string prefix;  ///< of its projections' keys
};

std::vector<Reread> rereads(const config::Config& running, const config::Config& wanted) {
  std::vector<Reread> found;
  for (const auto& [name, entity] : wanted.entities) {
    const auto old = running.entities.find(name);
    if (old == running.entities.end()) continue;
    for (const config::EntitySource& source : entity.from) {
      const bool changed = std::ranges::any_of(old->second.from, [&](const auto& before) {
        return !source.model.empty() && before.connection == source.connection &&
               before.model == source.model &&
               (before.program != source.program || before.filter != source.filter);
      });
      if (!changed) continue;
      found.push_back({&entity, &source,
                       row_key(name, fmt::format("{}/{}/", source.connection, source.model))});
    }
  }
  return found;
}

struct Sample {
  std::int64_t read = 0;
  std::int64_t silent = 0;
  std::int64_t news = 0;
  std::int64_t leaving = 0;  ///< outside the wanted filter: withdrawn
  std::int64_t failed = 0;
};

/// What one record would come to if the wanted configuration ran.
void judge_one(const config::Config& wanted, const Reread& reread, const Row& row,
               const Json& record, bool in_domain, const canon::PastPrograms& past, WallTime now,
               Sample& sample) {
  const auto projection = canon::decode_projection(row.value);
  const Json own = canon::reshaped(record, reread.source->read);
  const auto inside = canon::is_wanted(wanted, *reread.source, own, now);
  if (projection && inside && !(in_domain && *inside)) {
    sample.leaving += projection->deleted ? 0 : 1;
    return;
  }
  const auto data = canon::map_record(wanted, *reread.source, own, now);
  if (!projection || !inside || !data) {
    ++sample.failed;
    return;
  }
  bool silent = canon::same_data(*data, projection->data);
  const auto program =
      past->find(canon::program_key(projection->program, reread.entity->name, *reread.source));
  if (!silent && program != past->end()) {
    const auto judged = canon::judge(program->second, record, projection->data, now);
    silent = judged.has_value() && judged->types.empty();
  }
  ++(silent ? sample.silent : sample.news);
}

Json eta_of(const BackfillMark& mark, WallTime now) {
  const double passed = std::chrono::duration<double>(now - mark.since).count();
  const auto done = static_cast<double>(mark.rung - mark.rung_before);
  if (mark.state != BackfillMark::State::running || passed <= 0 || done <= 0) return nullptr;
  const auto left = static_cast<double>(std::max<std::int64_t>(mark.about - mark.rung, 0));
  return static_cast<std::int64_t>(left * passed / done);
}

}  // namespace

Awaitable<Result<Json>> Operations::plan(Json args) {
  const std::int64_t sample_max =
      std::clamp<std::int64_t>(int_or(args, "sample", 0), 0, kSampleMax);
  auto answer = co_await reload(std::move(args), false);
  if (!answer) co_return answer;
  auto load = [this]() -> Result<config::ConfigPtr> {
    return config::load({.directory = broker_.options_.config_directory,
                         .connectors = broker_.registry_,
                         .environment = config::process_environment()})
        .config;
  };
  auto wanted = co_await offload(broker_.control_->next(), home_, std::move(load));
  if (!wanted) co_return std::unexpected(wanted.error());
  JsonArray list;
  if (!*wanted) co_return answer;  // it would be refused
  const config::ConfigPtr running = broker_.config();
  for (const Reread& reread : rereads(*running, **wanted)) {
    auto count = [this, prefix = reread.prefix] {
      return broker_.state_->count(Table::projections, prefix);
    };
    auto records = co_await offload(broker_.readers_->next(), home_, std::move(count));
    if (!records) co_return std::unexpected(records.error());
    JsonObject one{{"entity", reread.entity->name},
                   {"connection", reread.source->connection},
                   {"model", reread.source->model},
                   {"records", *records}};
    if (sample_max > 0 && *records > 0) {
      auto sampled = co_await sample(*wanted, reread.entity->name, reread.prefix, sample_max);
      if (!sampled) co_return std::unexpected(sampled.error());
      one.emplace("sample", *std::move(sampled));
    }
    list.push_back(std::move(one));
  }
  answer->as_object()["rereads"] = std::move(list);
  co_return answer;
}

// Reads some records as the rereading would, and judges them without storing anything.
Awaitable<Result<Json>> Operations::sample(config::ConfigPtr wanted, std::string entity,
                                           std::string prefix, std::int64_t records_max) {
  const auto all = rereads(*broker_.config(), *wanted);
  const auto reread = std::ranges::find_if(
      all, [&](const Reread& one) { return one.entity->name == entity && one.prefix == prefix; });
  if (reread == all.end()) co_return Json(nullptr);
  auto scan = [this, prefix, records_max] {
    return broker_.state_->scan(Table::projections, prefix, "",
                                static_cast<std::size_t>(records_max));
  };
  auto rows = co_await offload(broker_.readers_->next(), home_, std::move(scan));
  if (!rows) co_return std::unexpected(rows.error());
  auto load = [this] { return canon::load_programs(*broker_.state_); };
  auto past = co_await offload(broker_.readers_->next(), home_, std::move(load));
  if (!past) co_return std::unexpected(past.error());
  const auto merged = canon::make_collect_plan(wanted, *past);
  const canon::ModelPlan* model = merged->find(reread->source->connection, reread->source->model);
  ReadRequest request;
  request.model = reread->source->model;
  request.plan = model->fields;
  for (const Row& row : *rows) {
    std::int64_t id = 0;
    std::from_chars(row.key.data() + prefix.size(), row.key.data() + row.key.size(), id);
    request.ids.push_back(id);
  }
  const std::vector<std::int64_t> ids = request.ids;
  auto records =
      co_await broker_.sources_.read(home_, reread->source->connection, std::move(request));
  if (!records) co_return std::unexpected(records.error());
  auto inside = co_await inside_domain(*reread->source, ids);
  if (!inside) co_return std::unexpected(inside.error());
  Sample sum;
  const WallTime now = broker_.clock_.wall_now();
  for (std::size_t i = 0; i < records->size() && i < rows->size(); ++i) {
    if ((*records)[i].state != ReadRecord::State::found) continue;
    ++sum.read;
    const Json& record = (*records)[i].value;
    judge_one(*wanted, *reread, (*rows)[i], record, inside->contains(ids[i]), *past, now, sum);
  }
  co_return Json(JsonObject{{"read", sum.read},
                            {"silent", sum.silent},
                            {"news", sum.news},
                            {"leaving", sum.leaving},
                            {"failed", sum.failed}});
}

Awaitable<Result<std::set<std::int64_t>>> Operations::inside_domain(
    const config::EntitySource& source, std::vector<std::int64_t> ids) {
  if (!source.domain) co_return std::set<std::int64_t>(ids.begin(), ids.end());
  ListRequest request;
  request.model = source.model;
  request.domain = canon::with_ids(*source.domain, ids);
  auto listed = co_await broker_.sources_.list(home_, source.connection, std::move(request));
  if (!listed) co_return std::unexpected(listed.error());
  std::set<std::int64_t> inside;
  for (const ListedRecord& row : *listed) inside.insert(row.id);
  co_return inside;
}

void Operations::watches_look_again() {
  for (const auto& unit : broker_.units_) {
    unit->shard.post([&unit = *unit] { unit.collector->look_again(); });
  }
}

// The rows belong to a watch that is at work: what is written replaces what was read, or is tried
// again.
Result<std::string> Operations::change_mark(
    const std::string& key,
    const std::function<Result<std::string>(const std::optional<std::string>&)>& change) {
  for (int attempt = 0; attempt < kTriesMax; ++attempt) {
    MILLRACE_TRY(row, broker_.state_->get(Table::marks, key));
    MILLRACE_TRY(text, change(row));
    Batch batch;
    batch.require.push_back({Table::marks, key, row});
    batch.put(Table::marks, key, text);
    const auto committed = commit_blocking(*broker_.state_, std::move(batch));
    if (committed) return text;
    if (committed.error().code != Errc::precondition_failed) {
      return std::unexpected(committed.error());
    }
  }
  return fail(Errc::conflict, "it changes all the time; try again");
}

Awaitable<Result<Json>> Operations::backfill(Json args, bool stop) {
  const std::string name(string_or(args, "name", ""));
  const std::int64_t pace = int_or(args, "per_second", kPaceDefault);
  if (pace < 1) co_return fail(Errc::invalid_argument, "`per_second` is at least 1");
  auto work = [this, name, pace, stop]() -> Result<Json> {
    const auto config = broker_.config();
    const auto entity = config->entities.find(name);
    if (entity == config->entities.end()) {
      return fail(Errc::not_found, fmt::format("there is no entity '{}'", name));
    }
    JsonArray list;
    for (const config::EntitySource& source : entity->second.from) {
      if (source.model.empty()) continue;
      MILLRACE_TRY(text, change_backfill(name, source, pace, stop));
      MILLRACE_TRY(json, parse_json(text));
      list.push_back(std::move(json));
    }
    if (list.empty()) {
      return fail(Errc::invalid_argument,
                  fmt::format("'{}' is not read back: its history is not ours to ask for", name));
    }
    broker_.audit(stop ? "stop backfill" : "backfill", name, "");
    return Json(JsonObject{{"backfills", std::move(list)}});
  };
  auto done = co_await offload(broker_.control_->next(), home_, std::move(work));
  if (done) watches_look_again();
  co_return done;
}

Result<std::string> Operations::change_backfill(const std::string& entity,
                                                const config::EntitySource& source,
                                                std::int64_t pace, bool stop) {
  using State = BackfillMark::State;
  BackfillMark fresh;
  fresh.entity = entity;
  fresh.connection = source.connection;
  fresh.model = source.model;
  const std::string prefix =
      row_key(entity, fmt::format("{}/{}/", source.connection, source.model));
  MILLRACE_TRY(about, broker_.state_->count(Table::projections, prefix));
  fresh.about = static_cast<std::int64_t>(about);
  return change_mark(
      backfill_key(fresh), [&](const std::optional<std::string>& row) -> Result<std::string> {
        BackfillMark mark = fresh;
        if (row) {
          MILLRACE_TRY(known, canon::decode_backfill(*row));
          if (known.state != State::done) mark = known;
          if (stop && known.state == State::done) return *row;
        } else if (stop) {
          return fail(Errc::not_found, fmt::format("no backfill of '{}' is under way", entity));
        }
        mark.state = stop ? State::stopped : State::running;
        if (!stop) {
          mark.per_second = pace;
          mark.since = broker_.clock_.wall_now();
          mark.rung_before = mark.rung;
        }
        return encode(mark);
      });
}

Awaitable<Result<Json>> Operations::backfills() {
  auto read = [this]() -> Result<Json> {
    JsonArray list;
    MILLRACE_TRY(rows, broker_.state_->scan(Table::marks, canon::backfill_prefix(), "", kMarksMax));
    for (const Row& row : rows) {
      MILLRACE_TRY(mark, canon::decode_backfill(row.value));
      list.push_back(JsonObject{{"entity", mark.entity},
                                {"model", mark.model},
                                {"state", to_string(mark.state)},
                                {"records", mark.rung},
                                {"about", mark.about},
                                {"per_second", mark.per_second},
                                {"eta_seconds", eta_of(mark, broker_.clock_.wall_now())}});
    }
    return Json(JsonObject{{"backfills", std::move(list)}});
  };
  auto answer = co_await offload(broker_.readers_->next(), home_, std::move(read));
  co_return answer;
}

Awaitable<Result<Json>> Operations::check_model(Json args, bool accept) {
  const std::string connection(string_or(args, "connection", ""));
  const std::string model(string_or(args, "model", ""));
  const bool whole = accept || bool_or(args, "whole", false);
  const std::string reason(string_or(args, "reason", ""));
  auto work = [this, connection, model, whole, accept, reason]() -> Result<Json> {
    const std::string key = canon::check_key(canon::model_key(connection, model));
    MILLRACE_TRY(
        text, change_mark(key, [&](const std::optional<std::string>& row) -> Result<std::string> {
          if (!row) {
            return fail(Errc::not_found,
                        fmt::format("{} of {} is not read back, or its first reading is not done",
                                    model, connection));
          }
          MILLRACE_TRY(mark, canon::decode_check(*row));
          if (accept && mark.held == 0) {
            return fail(Errc::conflict, fmt::format("no deletes of {} wait for a person", model));
          }
          mark.asked = whole ? CheckMark::Asked::whole : CheckMark::Asked::recent;
          mark.accepted = accept;
          return encode(mark);
        }));
    broker_.audit(accept ? "accept deletes" : "check", connection + "/" + model, reason);
    return Json(JsonObject{{"model", model}, {"check", whole ? "whole" : "recent"}});
  };
  auto done = co_await offload(broker_.control_->next(), home_, std::move(work));
  if (done) watches_look_again();
  co_return done;
}

Result<JsonArray> Operations::held_checks() {
  JsonArray list;
  MILLRACE_TRY(rows, broker_.state_->scan(Table::marks, canon::check_prefix(), "", kMarksMax));
  for (const Row& row : rows) {
    MILLRACE_TRY(mark, canon::decode_check(row.value));
    if (mark.held == 0) continue;
    list.push_back(JsonObject{
        {"what", fmt::format("{} of {} records of {}/{} are gone at the source, or outside "
                             "`domain:`: that many deletes wait for a person",
                             mark.held, mark.of, mark.connection, mark.model)},
        {"since", to_rfc3339(mark.whole_at)},
        {"owner", ""},
        {"object", mark.connection + "/" + mark.model},
        {"next",
         fmt::format("millrace checks accept {} {} --reason ...", mark.connection, mark.model)}});
  }
  return list;
}

}  // namespace millrace::daemon
