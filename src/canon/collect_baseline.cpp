// This shard's part of a full read, and the rows that keep how far full reads are.
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "canon/collect_pass.hpp"
#include "canon/source_time.hpp"

namespace millrace::canon {
namespace {

constexpr std::size_t kIdsPerRead = 200;

}  // namespace

std::string baseline_key(const std::string& model) {
  return row_key(std::string("baseline"), model);
}

std::string progress_prefix(const std::string& model) {
  return row_key(std::string("baseline-progress"), model) + '\0';
}

std::string progress_key(const std::string& model, std::size_t shard) {
  return progress_prefix(model) + fmt::format("{:04}", shard);
}

std::string sweep_key(const std::string& model) {
  return row_key(std::string("sweep"), model);
}

std::string encode(const BaselineMark& mark) {
  JsonObject programs;
  for (const auto& [entity, program] : mark.programs) programs.emplace(entity, program);
  return write_json(
      Json(JsonObject{{"state", mark.running ? "running" : "done"},
                      {"mark", to_source_time(mark.mark)},
                      {"shards", mark.shards},
                      {"entities", JsonArray(mark.covered.begin(), mark.covered.end())},
                      {"programs", std::move(programs)}}));
}

Result<BaselineMark> decode_baseline(std::string_view text) {
  MILLRACE_TRY(json, parse_json(text));
  BaselineMark mark;
  mark.running = string_or(json, "state", "") == "running";
  MILLRACE_TRY(time, parse_source_time(string_or(json, "mark", "")));
  mark.mark = time;
  mark.shards = static_cast<std::size_t>(int_or(json, "shards", 0));
  const Json* entities = find(json, "entities");
  if (entities == nullptr || !entities->is_array()) {
    return fail(Errc::corrupt, "a full read's mark does not name its entities");
  }
  for (const Json& entity : entities->get_array()) {
    if (entity.is_string()) mark.covered.emplace(entity.get_string());
  }
  if (const Json* programs = find(json, "programs"); programs && programs->is_object()) {
    for (const auto& [entity, program] : programs->get_object()) {
      if (program.is_string()) mark.programs[std::string(entity)] = program.get_string();
    }
  }
  return mark;
}

RawMessage Collector::baseline_doorbell(const BaselinePage& page, std::int64_t id,
                                        std::string origin) const {
  RawMessage message;
  message.kind = RawMessage::Kind::doorbell;
  message.connection = page.connection;
  message.record = record_name(page.connection, page.model, id);
  message.origin = std::move(origin);
  message.received_at = context_.clock.wall_now();
  message.body = write_json(Json(JsonObject{{"_model", page.model}, {"_id", id}}));
  return message;
}

// What was created since the mark is news and goes through a doorbell; what may have been committed
// after the mark and rang its own is left to that one. The rest is history.
Awaitable<Result<void>> Collector::take_baseline(BaselinePage page) {
  const ModelPlan* model = page.plan->find(page.connection, page.model);
  MILLRACE_INVARIANT(model != nullptr);
  Lane& lane = this->lane(page.connection, page.model);
  std::vector<std::int64_t> ids;
  std::vector<RawMessage> doorbells;
  for (const ListedRecord& row : page.rows) {
    const auto created = parse_source_time(row.create_date);
    const bool news = created && *created > page.mark;
    if (!is_mine(page.connection, page.model, row.id)) {  // of another instance
      doorbells.push_back(baseline_doorbell(page, row.id, news ? "check" : "baseline"));
      continue;
    }
    const bool rang = lane.rows.find(row.id) != nullptr;
    if (news) {
      if (!rang) doorbells.push_back(baseline_doorbell(page, row.id, "check"));
    } else if (!created || !rang || *created < page.mark - model->longest_transaction) {
      ids.push_back(row.id);
    }
  }
  std::span<const std::int64_t> rest(ids);
  while (!rest.empty()) {
    const std::size_t count = std::min(rest.size(), kIdsPerRead);
    auto pass = std::make_shared<Pass>();
    pass->plan = page.plan;
    pass->model = model;
    pass->lane = &lane;
    pass->ids.assign(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(count));
    pass->baseline = true;
    pass->mark = page.mark;
    ++working_;
    auto done = co_await baseline_batch(pass);
    --working_;
    MILLRACE_CO_CHECK_OK(std::move(done));
    for (const std::int64_t id : pass->moved) {
      doorbells.push_back(baseline_doorbell(page, id, "baseline"));
    }
    rest = rest.subspan(count);
  }
  auto rung = co_await ring_through_inbox(std::move(doorbells));
  MILLRACE_CO_CHECK_OK(std::move(rung));
  // Saved behind the projections of this page, never before them.
  Batch progress;
  progress.put(Table::marks,
               progress_key(model_key(page.connection, page.model), context_.shard.index()),
               fmt::format(R"({{"after_id":{}}})", page.after_id));
  context_.projector.save(std::move(progress));
  co_return Result<void>{};
}

// Leaves in `moved` what could not be stored: those are read again after the full read.
Awaitable<Result<void>> Collector::baseline_batch(PassPtr pass) {
  auto fetched = co_await fetch(pass);
  MILLRACE_CO_CHECK_OK(std::move(fetched));
  build_changes(*pass);
  const auto changes =
      std::make_shared<const std::vector<SourceChange>>(std::exchange(pass->changes, {}));
  auto results = co_await context_.projector.project(pass->plan->config, changes, ExtraWrites{});
  if (!results) co_return std::unexpected(results.error());
  for (std::size_t i = 0; i < results->size(); ++i) {
    const ProjectResult::Kind kind = (*results)[i].kind;
    const ReadRecord& record = pass->records[pass->of[i].record];
    if (kind == ProjectResult::Kind::failed) pass->moved.insert(record.id);
    if (kind == ProjectResult::Kind::baselined) ++counters_.baselined;
  }
  for (const ReadRecord& record : pass->records) {
    if (record.state == ReadRecord::State::found) {
      remember(*pass, record, false);
    } else if (record.state != ReadRecord::State::absent) {
      pass->moved.insert(record.id);
    }
  }
  co_return Result<void>{};
}

Awaitable<Result<std::size_t>> Collector::announced_of(std::string connection, std::string model) {
  co_return lane(connection, model).rows.committed();
}

Awaitable<Result<std::vector<std::int64_t>>> Collector::unseen_in(SweepPage page) {
  std::vector<std::int64_t> ids;
  Lane& lane = this->lane(page.connection, page.model);
  for (const ListedRecord& row : page.rows) {
    if (!is_mine(page.connection, page.model, row.id)) {
      ids.push_back(row.id);  // what another instance read last is known there
      continue;
    }
    const DoorbellRow* waiting = lane.rows.find(row.id);
    // Its next reading is still to come and shows what the listing showed.
    if (waiting != nullptr && !waiting->reading) continue;
    const SeenRecord* seen = seen_.find(record_name(page.connection, page.model, row.id));
    const auto written = parse_source_time(row.write_date);
    bool ring = seen == nullptr || !written;
    if (!ring) {
      // RPC shows whole seconds, and a transaction commits long after its write_date.
      const bool early =
          seen->read_at + page.source_ahead < *written + page.longest_transaction + seconds(1);
      ring = early || (!page.touched && seen->write_date != whole_seconds(row.write_date));
    }
    if (ring) ids.push_back(row.id);
  }
  counters_.swept += ids.size();
  co_return ids;
}

}  // namespace millrace::canon
