#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "daemon/ask.hpp"
#include "daemon/operations.hpp"
#include "millrace/state_keys.hpp"

namespace millrace::daemon {
namespace {

constexpr std::size_t kRowsPerScan = 1000;
constexpr std::size_t kListMax = 1000;
constexpr std::size_t kHopsMax = 1000;

Json summary(const ParkedRow& row) {
  return JsonObject{{"id", row.id()},
                    {"stage", row.stage},
                    {"route", row.owner},
                    {"record", row.record},
                    {"event", string_or(row.payload, "id", "")},
                    {"type", row.type},
                    {"subject", row.subject},
                    {"state", to_string(row.state)},
                    {"cause", row.cause},
                    {"reason", row.reason},
                    {"attempts", row.attempts},
                    {"since", to_rfc3339(row.since)},
                    {"next_at", to_rfc3339(row.next_at)},
                    {"status", row.answer_status}};
}

Json whole(const ParkedRow& row) {
  Json json = summary(row);
  JsonObject& object = json.as_object();
  object.emplace("event_document", row.payload);
  if (row.rendered) {
    object.emplace("request", JsonObject{{"method", row.request.method},
                                         {"path", row.request.target},
                                         {"body", row.request.body}});
  }
  if (row.answer_status != 0) {
    object.emplace("answer", JsonObject{{"status", row.answer_status}, {"body", row.answer_body}});
  }
  return json;
}

// Rows of one cause on one route: how many, since when, and one to look at.
struct Cause {
  std::uint64_t count = 0;
  WallTime since = WallTime::max();
  std::string example;
  std::string reason;

  void add(const ParkedRow& row) {
    ++count;
    if (row.since >= since) return;
    since = row.since;
    example = row.id();
    reason = row.reason;
  }
  Json json(const std::string& cause, const std::string& owner) const {
    return JsonObject{{"cause", cause},     {"route", owner},
                      {"count", count},     {"since", to_rfc3339(since)},
                      {"example", example}, {"reason", reason}};
  }
};

// Calls `each` for every parked row below `prefix`; blocking.
Result<void> for_each_parked(StateStore& state, const std::string& prefix,
                             const std::function<void(const ParkedRow&)>& each) {
  std::string after;
  for (;;) {
    MILLRACE_TRY(rows, state.scan(Table::parked, prefix, after, kRowsPerScan));
    for (const Row& stored : rows) {
      MILLRACE_TRY(row, decode_parked_row(stored.value));
      each(row);
    }
    if (rows.size() < kRowsPerScan) return {};
    after = rows.back().key;
  }
}

bool is_waiting(ParkedState state) {
  return state != ParkedState::dead && state != ParkedState::resubmitted &&
         state != ParkedState::discarded;
}

}  // namespace

Awaitable<Result<Json>> Operations::list(Json args, bool dead) {
  const std::string route(string_or(args, "route", ""));
  std::size_t limit = 100;
  const std::string wanted(string_or(args, "limit", "100"));
  std::from_chars(wanted.data(), wanted.data() + wanted.size(), limit);
  limit = std::min(limit, kListMax);
  const std::string by(string_or(args, "by", ""));
  if (!by.empty() && by != "cause") {
    co_return fail(Errc::invalid_argument, "rows are grouped by `cause` only");
  }
  auto read = [this, route, limit, dead, grouped = !by.empty()]() -> Result<Json> {
    JsonArray items;
    std::uint64_t total = 0;
    std::map<std::pair<std::string, std::string>, Cause> causes;
    const std::string prefix = route.empty() ? "" : route + '\0';
    MILLRACE_CHECK_OK(for_each_parked(*broker_.state_, prefix, [&](const ParkedRow& row) {
      if (dead ? row.state != ParkedState::dead : !is_waiting(row.state)) return;
      ++total;
      if (grouped) {
        causes[{row.cause, row.owner}].add(row);
      } else if (items.size() < limit) {
        items.push_back(summary(row));
      }
    }));
    for (const auto& [key, cause] : causes) items.push_back(cause.json(key.first, key.second));
    return Json(JsonObject{{"items", std::move(items)}, {"total", total}});
  };
  auto listed = co_await offload(broker_.readers_->next(), home_, std::move(read));
  co_return listed;
}

Awaitable<Result<Json>> Operations::show(Json args) {
  auto key = parse_parked_id(string_or(args, "id", ""));
  if (!key) co_return std::unexpected(key.error());
  auto read = [this, key = *key] { return broker_.state_->get(Table::parked, key); };
  auto text = co_await offload(broker_.readers_->next(), home_, std::move(read));
  if (!text) co_return std::unexpected(text.error());
  if (!*text) {
    co_return fail(Errc::not_found,
                   "there is no such parked row; `millrace dead list` names those there are");
  }
  auto row = decode_parked_row(**text);
  if (!row) co_return std::unexpected(row.error());
  co_return whole(*row);
}

Awaitable<Result<Json>> Operations::decide(Json args, deliver::Decision::Kind kind) {
  const std::string id(string_or(args, "id", ""));
  auto key = parse_parked_id(id);
  if (!key) co_return std::unexpected(key.error());
  deliver::Decision decision;
  decision.kind = kind;
  decision.reason = string_or(args, "reason", "");
  decision.external_id = string_or(args, "external_id", "");
  if (!decision.external_id.empty() && !is_identifier(decision.external_id)) {
    co_return fail(Errc::invalid_argument,
                   fmt::format("an external id has at most {} bytes and no control characters",
                               kIdentifierBytesMax));
  }
  decision.again = bool_or(args, "again", false);
  decision.history = bool_or(args, "history", false);
  if (kind == deliver::Decision::Kind::applied) {
    const Json* applied = find(args, "applied");
    if (applied == nullptr || !applied->is_bool()) {
      decision.kind = deliver::Decision::Kind::retry_now;
    } else if (!applied->get_bool()) {
      decision.kind = deliver::Decision::Kind::not_applied;
    }
  }
  const bool needs_reason = decision.kind == deliver::Decision::Kind::discard ||
                            decision.kind == deliver::Decision::Kind::skip ||
                            decision.kind == deliver::Decision::Kind::not_applied || decision.again;
  if (needs_reason && decision.reason.empty()) {
    co_return fail(Errc::invalid_argument, "say why: --reason TEXT");
  }
  const std::string owner = id.substr(0, id.find(':'));
  const auto numbers = id.substr(id.find(':') + 1);
  const auto partition =
      static_cast<Partition>(std::strtoul(numbers.c_str(), nullptr, 10) % kPartitionCount);
  if (auto ours = broker_.need_partition(partition); !ours) {
    co_return std::unexpected(std::move(ours).error());
  }
  const auto unit = std::ranges::find_if(broker_.units_, [&](const auto& each) {
    return &broker_.shards_->of(partition) == &each->shard;
  });
  MILLRACE_INVARIANT(unit != broker_.units_.end());
  std::function<Awaitable<Result<Json>>()> work = [this, &unit = **unit, owner, key = *key,
                                                   decision]() -> Awaitable<Result<Json>> {
    return decide_there(unit, owner, key, decision);
  };
  auto decided = co_await ask<Result<Json>>((*unit)->shard, home_, std::move(work));
  if (decided) broker_.audit("decide", id, decision.reason);
  co_return decided;
}

Awaitable<Result<Json>> Operations::decide_there(ShardUnit& unit, std::string owner,
                                                 std::string key, deliver::Decision decision) {
  for (const auto& [name, found] : unit.lanes) {
    if (found->id() != owner) continue;
    const auto lane = found;  // the route may go while it is decided
    auto decided = co_await lane->decide(std::move(key), std::move(decision));
    co_return decided;
  }
  auto given_up = co_await give_up(unit, std::move(key), std::move(decision));
  co_return given_up;
}

// Rows of collect and project, and rows of routes that are gone. Nobody takes their message up
// again, so that a row that is given up goes at once.
Awaitable<Result<Json>> Operations::give_up(ShardUnit& unit, std::string key,
                                            deliver::Decision decision) {
  auto read = [this, key] { return broker_.state_->get(Table::parked, key); };
  auto text = co_await offload(broker_.readers_->next(), unit.shard, std::move(read));
  if (!text) co_return std::unexpected(text.error());
  if (!*text) co_return fail(Errc::not_found, "there is no such parked row");
  auto row = decode_parked_row(**text);
  if (!row) co_return std::unexpected(row.error());
  if (decision.kind != deliver::Decision::Kind::discard &&
      decision.kind != deliver::Decision::Kind::skip) {
    co_return fail(Errc::conflict,
                   "this row is not a delivery: mend the cause (configuration, table, message) and "
                   "`millrace reload`, or discard it");
  }
  const std::string_view state = to_string(ParkedState::discarded);
  unit.trail->note({row->record, "operator", row->owner, state, "", decision.reason});
  unit.collector->given_up(*row);
  unit.pump->given_up(*row);
  Batch gone;
  gone.erase(Table::parked, std::move(key));
  unit.projector->save(std::move(gone));
  co_await unit.projector->durable();
  co_return Json(JsonObject{{"id", row->id()}, {"state", state}});
}

namespace {

struct Found {
  std::string entity;
  std::string record;
};

// Records a key may mean: an entity's name, an external id, or the record itself.
Result<std::vector<Found>> find_records(StateStore& state, const config::Config& config,
                                        const std::string& key) {
  std::vector<Found> found;
  std::set<std::pair<std::string, std::string>> seen;
  const auto add = [&](std::string entity, std::string record) {
    if (seen.emplace(entity, record).second) found.push_back({entity, record});
  };
  MILLRACE_TRY(names, state.scan(Table::names, indexed_name(key) + '\0', "", kRowsPerScan));
  for (const Row& row : names) {
    const std::size_t first = row.key.find('\0');
    const std::size_t second = row.key.find('\0', first + 1);
    if (second == row.key.npos) continue;
    add(row.key.substr(first + 1, second - first - 1), row.key.substr(second + 1));
  }
  for (const auto& [entity, object] : config.entities) {
    MILLRACE_TRY(row, state.get(Table::projections, row_key(entity, key)));
    if (row) add(entity, key);
    std::set<std::string> systems;
    for (const auto& [name, connection] : config.connections) systems.insert(connection.system);
    for (const std::string& system : systems) {
      const std::string prefix = row_key(entity, system, key) + '\0';
      MILLRACE_TRY(ids, state.scan(Table::xref_by_id, prefix, "", kRowsPerScan));
      for (const Row& row_of_id : ids) add(entity, row_of_id.key.substr(prefix.size()));
    }
  }
  if (found.empty()) add("", key);
  return found;
}

// Every hop of these records, oldest first, the newest kHopsMax of each.
Result<std::map<std::string, JsonArray>> read_hops(EventLog& log,
                                                   const std::vector<Found>& records) {
  std::map<std::string, JsonArray> hops;
  std::set<std::string> wanted_records;  // a partner can be customer and supplier
  for (const Found& found : records) wanted_records.insert(found.record);
  MILLRACE_TRY(reader, log.open_reader(Journal::trail, log.begins(Journal::trail)));
  for (;;) {
    MILLRACE_TRY(batch, reader->next(1000, std::size_t{4} << 20));
    if (batch->records.empty()) return hops;
    for (const LogRecord& record : batch->records) {
      for (const std::string& wanted : wanted_records) {
        if (record.payload.find(wanted) == std::string_view::npos) continue;
        std::string_view lines = record.payload;
        while (!lines.empty()) {
          const std::size_t end = lines.find('\n');
          auto line = parse_json(lines.substr(0, end));
          lines = end == lines.npos ? "" : lines.substr(end + 1);
          if (!line || string_or(*line, "record", "") != wanted) continue;
          JsonArray& list = hops[wanted];
          if (list.size() >= kHopsMax) list.erase(list.begin());
          list.push_back(*std::move(line));
        }
      }
    }
  }
}

}  // namespace

Awaitable<Result<Json>> Operations::where(Json args) {
  const std::string key(string_or(args, "key", ""));
  if (key.empty()) co_return fail(Errc::invalid_argument, "say which key: where?key=S00042");
  auto look = [this, key, config = broker_.config(),
               running = broker_.running_routes()]() -> Result<Json> {
    StateStore& state = *broker_.state_;
    MILLRACE_TRY(records, find_records(state, *config, key));
    MILLRACE_TRY(hops, read_hops(*broker_.log_, records));
    JsonArray list;
    for (const Found& found : records) {
      JsonObject json{{"record", found.record}, {"entity", found.entity}};
      MILLRACE_TRY(row, state.get(Table::projections, row_key(found.entity, found.record)));
      if (row) {
        MILLRACE_TRY(projection, parse_json(*row));
        for (const char* member : {"name", "rev", "data"}) {
          if (const Json* value = find(projection, member)) json.emplace(member, *value);
        }
      }
      JsonArray xrefs;
      std::set<std::string> systems;
      for (const auto& [name, connection] : config->connections) systems.insert(connection.system);
      for (const std::string& system : systems) {
        MILLRACE_TRY(id, state.get(Table::xref, row_key(found.entity, system, found.record)));
        if (id) xrefs.push_back(JsonObject{{"system", system}, {"id", *id}});
      }
      json.emplace("xrefs", std::move(xrefs));
      JsonArray parked;
      const Partition partition = partition_of(found.record);
      std::vector<std::string> owners;
      for (const auto& [id, route] : running->routes) owners.push_back(id);
      for (const auto& [name, entity] : config->entities) owners.push_back("project." + name);
      for (const auto& [name, entity] : config->connections) owners.push_back("collect." + name);
      for (const std::string& owner : owners) {
        MILLRACE_CHECK_OK(
            for_each_parked(state, parked_prefix(owner, partition), [&](const ParkedRow& waiting) {
              if (waiting.record == found.record) {
                parked.push_back(summary(waiting));
              }
            }));
      }
      json.emplace("parked", std::move(parked));
      const auto trail = hops.find(found.record);
      json.emplace("hops", trail == hops.end() ? JsonArray{} : trail->second);
      const bool anything =
          row.has_value() || trail != hops.end() || !json.at("parked").as_array().empty();
      if (anything) list.push_back(std::move(json));
    }
    return Json(JsonObject{{"key", key}, {"records", std::move(list)}});
  };
  auto answer = co_await offload(broker_.readers_->next(), home_, std::move(look));
  co_return answer;
}

}  // namespace millrace::daemon
