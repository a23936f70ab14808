// One batch of readings: read, check domains, project, settle. Every exit gives its rows back.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "canon/collect_pass.hpp"
#include "canon/source_time.hpp"
#include "net/callback.hpp"

namespace millrace::canon {
namespace {

constexpr milliseconds kPauseMin{1000};
constexpr milliseconds kPauseMax{30'000};
constexpr int kPauseDoublingsMax = 5;

// What concerns one model's configuration; everything else concerns the whole connection.
bool concerns_model(Errc code) {
  return code == Errc::config || code == Errc::invalid_argument || code == Errc::peer_rejected;
}

std::string store_key(const ModelPlan& model, std::int64_t id) {
  return row_key(model.connection, model.model, fmt::format("{}", id));
}

}  // namespace

Awaitable<void> Collector::read_batch(PassPtr pass) {
  ++working_;
  auto fetched = co_await fetch(pass);
  if (fetched && !stopping_ && pass->plan == plan_) {
    build_changes(*pass);
    const auto changes =
        std::make_shared<const std::vector<SourceChange>>(std::exchange(pass->changes, {}));
    ExtraWrites extra = [this, pass](const std::vector<ProjectResult>& results) {
      return finish(*pass, results);
    };
    auto projected =
        co_await context_.projector.project(pass->plan->config, changes, std::move(extra));
    if (!projected) fetched = std::unexpected(projected.error());
  }
  --working_;
  if (stopping_) co_return;
  if (fetched) {
    pass->lane->pause = {};
    pauses_[pass->model->connection] = {};
    give_back(*pass, std::nullopt);
  } else {
    give_back(*pass, fetched.error());
  }
  wake_.notify();
}

Awaitable<Result<void>> Collector::fetch(PassPtr pass) {
  pass->issued = context_.clock.boot_now();
  pass->issued_at = context_.clock.wall_now();
  ReadRequest request;
  request.model = pass->model->model;
  request.ids = pass->ids;
  request.plan = pass->model->fields;
  auto records =
      co_await context_.sources.read(context_.shard, pass->model->connection, std::move(request));
  if (!records) co_return std::unexpected(records.error());
  if (records->size() != pass->ids.size()) {
    co_return fail(Errc::protocol, "the reader did not answer every id it was asked for");
  }
  pass->records = *std::move(records);
  counters_.readings += pass->records.size();
  auto checked = co_await check_domains(pass);
  MILLRACE_CO_CHECK_OK(std::move(checked));
  auto rung = co_await ring_parents(pass);
  co_return rung;
}

// Which of the batch lie inside the domains of their sources. A record that moved between the two
// calls is neither: it is read again.
Awaitable<Result<void>> Collector::check_domains(PassPtr pass) {
  std::vector<std::int64_t> ids;
  std::map<std::int64_t, std::string> read;
  for (const ReadRecord& record : pass->records) {
    if (record.state != ReadRecord::State::found) continue;
    ids.push_back(record.id);
    read[record.id] = whole_seconds(record.write_date);
  }
  if (ids.empty()) co_return Result<void>{};
  for (const CollectTarget& target : pass->model->targets) {
    if (!target.source->domain) continue;
    ListRequest request;
    request.model = pass->model->model;
    request.domain = with_ids(*target.source->domain, ids);
    auto listed =
        co_await context_.sources.list(context_.shard, pass->model->connection, std::move(request));
    if (!listed) co_return std::unexpected(listed.error());
    auto& inside = pass->inside[target.source];
    for (const ListedRecord& row : *listed) {
      inside.insert(row.id);
      if (read[row.id] != whole_seconds(row.write_date)) pass->moved.insert(row.id);
    }
  }
  co_return Result<void>{};
}

// A line rings its parent through the inbox: the parent may live on another shard. The parent's own
// ladder takes over, because the line's transaction may still be open.
Awaitable<Result<void>> Collector::ring_parents(PassPtr pass) {
  std::map<std::pair<std::string, std::int64_t>, RawMessage> rung;
  for (const ReadRecord& record : pass->records) {
    if (record.state != ReadRecord::State::found || pass->baseline) continue;
    for (const CollectParent& parent : pass->model->parents) {
      const std::int64_t id = reference_id(record.value, parent.field);
      if (id == 0) continue;
      const DoorbellRow* row = pass->lane->rows.find(record.id);
      RawMessage message;
      message.kind = RawMessage::Kind::doorbell;
      message.connection = pass->model->connection;
      message.record = record_name(message.connection, parent.model, id);
      message.origin = row == nullptr || row->committed ? "check" : "hook";
      message.received_at = context_.clock.wall_now();
      message.body = write_json(Json(JsonObject{{"_model", parent.model}, {"_id", id}}));
      rung.insert_or_assign({parent.model, id}, std::move(message));
    }
  }
  std::vector<RawMessage> messages;
  for (auto& [key, message] : rung) messages.push_back(std::move(message));
  auto done = co_await ring_through_inbox(std::move(messages));
  co_return done;
}

Awaitable<Result<void>> Collector::ring_through_inbox(std::vector<RawMessage> doorbells) {
  if (doorbells.empty()) co_return Result<void>{};
  std::vector<LogEntry> entries;
  for (const RawMessage& message : doorbells) {
    entries.push_back({partition_of(message.record), message.connection, encode(message)});
  }
  auto start = [this, entries = std::move(entries)](EventLog::AppendDone done) mutable {
    context_.log.append(Journal::inbox, std::move(entries), context_.shard, std::move(done));
  };
  auto appended =
      co_await await_callback<Result<std::vector<Offset>>>(context_.shard, std::move(start));
  if (!appended) co_return std::unexpected(appended.error());
  co_return Result<void>{};
}

void Collector::build_changes(Pass& pass) {
  for (std::size_t index = 0; index < pass.records.size(); ++index) {
    build_changes_of(pass, index);
  }
}

void Collector::build_changes_of(Pass& pass, std::size_t index) {
  const ReadRecord& record = pass.records[index];
  const DoorbellRow* row = pass.lane->rows.find(record.id);
  const bool found = record.state == ReadRecord::State::found;
  if (pass.moved.contains(record.id) || (!found && record.state != ReadRecord::State::absent)) {
    return;
  }
  const Ladder ladder{pass.model->settle, pass.model->longest_transaction};
  if (!found) {
    // Before the ladder's end its creation may still be on its way.
    if (row == nullptr || !is_last_reading(*row, pass.issued, ladder)) return;
    pass.last.insert(record.id);
  }
  std::map<std::string, std::size_t> by_entity;  // entity -> its change
  for (const CollectTarget& target : pass.model->targets) {
    SourceChange change;
    change.entity = target.entity;
    change.source = target.source;
    change.record = record_name(pass.model->connection, pass.model->model, record.id);
    change.cause_partition = row != nullptr ? row->partition : partition_of(change.record);
    change.cause_offset = row != nullptr ? row->offset : 0;
    const auto domain = pass.inside.find(target.source);
    change.gone = !found || (domain != pass.inside.end() && !domain->second.contains(record.id));
    if (!change.gone) {
      change.value = target.reshape ? reshaped(record.value, target.source->read) : record.value;
      if (target.past) change.whole = std::make_shared<const Json>(record.value);
      change.again = row != nullptr && row->backfill == target.entity->name;
      change.checked = row != nullptr && row->origin == "check";
      change.version = Json(whole_seconds(record.write_date));
      change.silent = is_silent(pass, target, record);
    }
    // An entity with several sources of one model loses the record when it leaves all of them.
    const auto [known, fresh] = by_entity.emplace(target.entity->name, pass.changes.size());
    if (!fresh) {
      if (!change.gone && pass.changes[known->second].gone) {
        pass.changes[known->second] = std::move(change);
        pass.of[known->second] = {index, target, false, pass.changes[known->second].silent};
      }
      continue;
    }
    pass.of.push_back({index, target, change.gone, change.silent});
    pass.changes.push_back(std::move(change));
  }
}

// First sight says nothing of what was there before the first full read. Entering a filter is news,
// unless it was the filter that changed: what it lets in now is history, but for what no sweep can
// have seen yet.
bool Collector::is_silent(const Pass& pass, const CollectTarget& target,
                          const ReadRecord& record) const {
  if (!target.silent_at_first()) return false;
  if (pass.baseline) return true;
  const auto created = parse_source_time(record.create_date);
  if (!created || !pass.lane->mark) return false;
  const DoorbellRow* row = pass.lane->rows.find(record.id);
  if (row != nullptr && row->baseline) return *created < *pass.lane->mark;
  const seconds late = pass.model->longest_transaction;
  if (!target.filtered()) return *created < *pass.lane->mark - late;
  if (row == nullptr || !row->reread) return false;
  return *created < row->since - late - pass.model->sweep.value_or(seconds(0));
}

Batch Collector::finish(Pass& pass, const std::vector<ProjectResult>& results) {
  Batch writes;
  for (std::size_t index = 0; index < pass.records.size(); ++index) {
    finish_record(pass, index, results, writes);
  }
  return writes;
}

void Collector::finish_record(Pass& pass, std::size_t index,
                              const std::vector<ProjectResult>& results, Batch& writes) {
  const ReadRecord& record = pass.records[index];
  DoorbellRow* row = pass.lane->rows.find(record.id);
  if (row == nullptr) return;
  if (record.state == ReadRecord::State::hidden || record.state == ReadRecord::State::failed) {
    park_reading(pass, *row, record, writes);
    settle_row(pass, *row, record, false, false, writes);
    return;
  }
  const bool gone = pass.last.contains(record.id);
  if (record.state == ReadRecord::State::found || gone) {
    parked_.clear("collect", pass.model->connection, row->record, writes);
  }
  row->suspect = false;
  bool changed = false;
  bool deleted = false;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (pass.of[i].record != index) continue;
    const bool moved = apply_result(pass, *row, pass.of[i], results[i], writes);
    changed = changed || moved;
    deleted = deleted || (moved && pass.of[i].gone);
  }
  if (pass.moved.contains(record.id)) {
    row->dirty = true;
    row->due = context_.clock.boot_now() + kLadderSteps.front();
    return;
  }
  if (deleted && gone) ++counters_.deleted;
  settle_row(pass, *row, record, changed, deleted, writes);
}

// Whether the reading showed what the doorbell announced. A silent first sight does not: the row
// may be the one before its change.
bool Collector::apply_result(Pass& pass, DoorbellRow& row, const PassChange& change,
                             const ProjectResult& result, Batch& writes) {
  const std::string& entity = change.target.entity->name;
  if (result.kind != ProjectResult::Kind::failed) {
    parked_.clear("project", entity, row.record, writes);
    return result.kind == ProjectResult::Kind::emitted ||
           (result.kind == ProjectResult::Kind::baselined && !change.silent);
  }
  ++counters_.failed;
  const bool waits = result.error->code == Errc::missing_reference;
  const ParkedRow parked =
      parked_.park(*pass.model, row,
                   {.stage = "project",
                    .owner = entity,
                    .state = waits ? ParkedState::waiting_reference : ParkedState::needs_decision,
                    .cause = std::string(to_string(result.error->code)),
                    .text = result.error->message},
                   context_.clock.wall_now(), writes);
  if (parked.attempts == 1) {
    spdlog::warn("a record cannot be projected entity={} id={} record={} reason=\"{}\"", entity,
                 parked.id(), row.record, parked.reason);
    context_.trail.note(
        {row.record, "project", entity, to_string(parked.state), "", parked.reason});
  }
  return false;
}

void Collector::park_reading(Pass& pass, DoorbellRow& row, const ReadRecord& record,
                             Batch& writes) {
  const bool hidden = record.state == ReadRecord::State::hidden;
  row.suspect = true;
  const std::string& owner = pass.model->connection;
  const ParkedRow parked =
      parked_.park(*pass.model, row,
                   {.stage = "collect",
                    .owner = owner,
                    .cause = hidden ? "hidden" : "peer_rejected",
                    .text = record.problem.empty() ? "our login may not read it" : record.problem},
                   context_.clock.wall_now(), writes);
  if (parked.attempts > 1) return;
  ++(hidden ? counters_.hidden : counters_.failed);
  spdlog::warn("a record cannot be read connection={} id={} record={} reason=\"{}\"", owner,
               parked.id(), row.record, parked.reason);
  context_.trail.note(
      {row.record, "collect", owner, hidden ? "hidden" : "failed", "", parked.reason});
}

void Collector::settle_row(Pass& pass, DoorbellRow& row, const ReadRecord& record, bool changed,
                           bool gone, Batch& writes) {
  const bool found = record.state == ReadRecord::State::found;
  const bool absent = record.state == ReadRecord::State::absent;
  if (found) remember(pass, record, changed);
  const Ladder ladder{pass.model->settle, pass.model->longest_transaction};
  RowReading reading{pass.issued, context_.clock.boot_now(), changed,
                     whole_seconds(record.write_date)};
  const bool had_changed = row.changed_at.has_value();
  // Seen and gone again: only the ladder's end tells whether that was the end of it.
  if (absent) row.changed_at.reset();
  // What a line tells is its parent's name; the parent's own doorbell goes on from there.
  const bool told = found && pass.model->targets.empty() && !row.dirty;
  if (!told && !settle(row, reading, ladder)) return;
  const std::string& connection = pass.model->connection;
  if (absent) {
    seen_.forget(row.record);
    if (!gone) {
      ++counters_.phantoms;
      context_.trail.note({row.record, "collect", connection, "phantom", "", row.origin});
    }
  } else if (found && !told && !changed && !had_changed && !parked_.any(row.record)) {
    ++counters_.unchanged;
    // Every record of the model is rung after a change of its program: no line for each.
    if (row.origin != kReread)
      context_.trail.note({row.record, "collect", connection, "nothing to do", "", row.origin});
  }
  writes.erase(Table::doorbells, store_key(*pass.model, row.id));
  pass.lane->rows.erase(row.id);
  --rows_;
}

void Collector::remember(Pass& pass, const ReadRecord& record, bool changed) {
  SeenRecord& seen = seen_.at(record_name(pass.model->connection, pass.model->model, record.id));
  seen.write_date = whole_seconds(record.write_date);
  seen.read_at = pass.issued_at;
  if (changed) {
    seen.changed_at = context_.clock.boot_now();
    seen.changed_issued = pass.issued;
    seen.changed_write_date = seen.write_date;
  }
}

// Rows that are not settled wait for their next reading; after an error, for the end of the pause.
void Collector::give_back(Pass& pass, std::optional<Error> error) {
  for (const std::int64_t id : pass.ids) {
    DoorbellRow* row = pass.lane->rows.find(id);
    if (row == nullptr || !row->reading) continue;
    pass.lane->rows.put_back(*row);
  }
  pass.lane->reading[pass.suspects] = false;
  if (error) pause(pass, *error);
}

void Collector::pause(Pass& pass, const Error& error) {
  Pause& pause = concerns_model(error.code) ? pass.lane->pause : pauses_[pass.model->connection];
  const int doublings = std::min(pause.failures++, kPauseDoublingsMax);
  const milliseconds whole = std::min(kPauseMin * (1 << doublings), kPauseMax);
  std::uniform_int_distribution<std::int64_t> spread(whole.count() / 2, whole.count());
  const milliseconds length(spread(jitter_));
  if (error.code == Errc::config) pause.unreadable = error.message;
  pause.until = context_.clock.boot_now() + length;
  if (pause.failures == 1 || doublings == kPauseDoublingsMax) {
    spdlog::warn("reading pauses connection={} model={} pause_ms={} error=\"{}\"",
                 pass.model->connection, pass.model->model, length.count(), error.message);
  }
}

}  // namespace millrace::canon
