#include <fmt/format.h>

#include <algorithm>

#include "daemon/operations.hpp"
#include "net/callback.hpp"

namespace millrace::daemon {
namespace {

constexpr std::size_t kStuckRowsMax = 1000;  // counted for status; beyond it the number is enough

template <typename T>
bool is_away(const Result<T>& result) {
  return !result && result.error().code == Errc::state_away;
}

void add(RouteSum& sum, const deliver::LaneStatus& lane) {
  sum.status.paused = sum.status.paused || lane.paused;
  if (!lane.pause_reason.empty()) sum.status.pause_reason = lane.pause_reason;
  sum.status.crowded = sum.status.crowded || lane.crowded;
  sum.status.unsaved = sum.status.unsaved || lane.unsaved;
  sum.status.delivered += lane.delivered;
  sum.status.skipped += lane.skipped;
  sum.status.retries += lane.retries;
  sum.status.repeated_unknown += lane.repeated_unknown;
  sum.status.waiting += lane.waiting;
  sum.status.lag += lane.lag;
  sum.status.parked += lane.parked;
  sum.status.dead += lane.dead;
  sum.status.undecided += lane.undecided;
  if (lane.replay) {
    if (!sum.status.replay) sum.status.replay.emplace();
    deliver::ReplayStatus& replay = *sum.status.replay;
    replay.counts += lane.replay->counts;
    replay.passed += lane.replay->passed;
    replay.whole += lane.replay->whole;
    if (!lane.replay->failed.empty()) replay.failed = lane.replay->failed;
  }
  if (lane.unreadable && !sum.status.unreadable) sum.status.unreadable = lane.unreadable;
  if (lane.oldest_at && (!sum.status.oldest_at || *lane.oldest_at < *sum.status.oldest_at)) {
    sum.status.oldest_at = lane.oldest_at;
    sum.status.oldest_held = lane.oldest_held;
    sum.status.oldest_record = lane.oldest_record;
    sum.status.oldest_row = lane.oldest_row;
  }
}

Json replay_json(const deliver::ReplayOrder& order, const deliver::ReplayStatus& status) {
  const double part = status.whole == 0
                          ? 1
                          : static_cast<double>(status.passed) / static_cast<double>(status.whole);
  return JsonObject{{"number", order.number},
                    {"state", status.failed.empty() ? "running" : "failed"},
                    {"since", to_rfc3339(order.since)},
                    {"reason", status.failed.empty() ? order.reason : status.failed},
                    {"about", order.about},
                    {"part", part},
                    {"sent", status.counts.sent},
                    {"parked", status.counts.parked},
                    {"superseded", status.counts.superseded},
                    {"held", status.counts.held},
                    {"decided", status.counts.decided},
                    {"overtaken", status.counts.overtaken}};
}

}  // namespace

Awaitable<std::map<std::string, RouteSum>> Operations::ask_lanes() {
  std::map<std::string, RouteSum> sums;
  for (const auto& unit : broker_.units_) {
    auto collect = [&unit = *unit] {
      std::vector<std::pair<std::string, deliver::LaneStatus>> found;
      for (const auto& [name, lane] : unit.lanes) found.emplace_back(name, lane->status());
      return found;
    };
    const auto found = co_await offload(unit->shard, home_, std::move(collect));
    for (const auto& [name, status] : found) add(sums[name], status);
  }
  co_return sums;
}

Awaitable<void> Operations::name_oldest(std::map<std::string, RouteSum>* sums) {
  std::vector<std::string> keys;
  std::vector<RouteSum*> owners;
  for (auto& [id, sum] : *sums) {
    if (sum.status.oldest_row.empty()) continue;
    keys.push_back(sum.status.oldest_row);
    owners.push_back(&sum);
  }
  if (keys.empty()) co_return;
  auto read = [this, keys] { return broker_.state_->get_many(Table::parked, keys); };
  const auto texts = co_await offload(broker_.readers_->next(), home_, std::move(read));
  if (!texts) co_return;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!(*texts)[i]) continue;  // it was delivered meanwhile
    const auto row = decode_parked_row(*(*texts)[i]);
    if (!row) continue;
    owners[i]->status.oldest_record = row->record;
    owners[i]->oldest_id = row->id();
    owners[i]->oldest_why = fmt::format("{}, {}", to_string(row->state), row->reason);
  }
}

Awaitable<std::optional<Follower::Failure>> Operations::ask_inbox() {
  std::optional<Follower::Failure> failure;
  for (const auto& unit : broker_.units_) {
    auto ask = [&unit = *unit] { return unit.pump->unreadable(); };
    auto found = co_await offload(unit->shard, home_, std::move(ask));
    if (found && !failure) failure = std::move(found);
  }
  co_return failure;
}

Json Operations::route_json(const RunningRoute& running, const RouteSum& sum) const {
  const config::Route& route = running.route();
  const deliver::LaneStatus& lane = sum.status;
  std::string state = "running";
  std::string reason;
  Json since;
  if (running.drain) {
    const bool over = lane.lag == 0 && lane.parked == 0 && lane.dead == 0;
    state = over ? "drained" : "draining";
    reason = running.drain->reason;
    since = to_rfc3339(running.drain->since);
  }
  if (lane.crowded) {
    state = "crowded";
    reason = "as much is parked as `parked_max` allows";
  }
  const auto target = broker_.target_of(route.to);
  if (lane.unreadable) {
    state = "unreadable";
    reason = lane.unreadable->error.message;
    since = to_rfc3339(lane.unreadable->since);
  } else if (lane.paused) {
    state = "paused";
    reason = lane.pause_reason;
  } else if (lane.unsaved) {
    state = "held_by_state";
    reason = "its progress cannot be saved";
  } else if (target && state != "drained") {
    const auto status = target->status();
    if (status.state == "down" || status.state == "paused") {
      if (state == "running") state = "held_by_target";
      reason = status.reason;
      if (status.since) since = to_rfc3339(*status.since);
    }
  }
  JsonObject json{
      {"name", route.name},
      {"summary", route.summary},
      {"state", state},
      {"reason", reason},
      {"since", since},
      {"lag", lane.lag},
      {"waiting", lane.waiting},
      {"oldest_undelivered_at", lane.oldest_at ? Json(to_rfc3339(*lane.oldest_at)) : Json(nullptr)},
      {"oldest_undelivered_record", lane.oldest_record},
      {"parked", lane.parked},
      {"dead", lane.dead},
      {"undecided", lane.undecided},
      {"delivered_total", lane.delivered},
      {"skipped_total", lane.skipped},
      {"retries_total", lane.retries},
      {"repeated_unknown_total", lane.repeated_unknown},
      {"owner", route.owner},
      {"criticality", route.criticality},
      {"draining", running.drain.has_value()},
      {"slo", JsonObject{{"within_ms", route.slo_within.count()}, {"target", route.slo_target}}}};
  if (running.replay) {
    json.emplace("replay",
                 replay_json(*running.replay, lane.replay.value_or(deliver::ReplayStatus{})));
  }
  return Json(std::move(json));
}

Json Operations::connections_json() const {
  JsonArray list;
  const auto config = broker_.config();
  for (const auto& [name, connection] : config->connections) {
    deliver::TargetStatus status;
    const auto unit = broker_.connections_.find(name);
    const bool target = unit != broker_.connections_.end() && unit->second.target;
    if (target) status = unit->second.target->status();
    if (!target) status = broker_.source_status(name);
    const DroppedCounts dropped = broker_.counters_->dropped.of(name);
    list.push_back(
        JsonObject{{"name", name},
                   {"type", connection.type},
                   {"state", status.state},
                   {"reason", status.reason},
                   {"since", status.since ? Json(to_rfc3339(*status.since)) : Json(nullptr)},
                   {"in_flight", status.in_flight},
                   {"waiting", status.waiting},
                   {"dropped", JsonObject{{"stale", dropped.stale},
                                          {"unreadable", dropped.unreadable},
                                          {"model_not_read", dropped.model_not_read}}}});
  }
  return Json(std::move(list));
}

Json Operations::spool_json(const EventLog::Spooled& spooled) {
  return JsonObject{
      {"messages", spooled.records},
      {"bytes", spooled.bytes},
      {"oldest_at", spooled.oldest_at ? Json(to_rfc3339(*spooled.oldest_at)) : Json(nullptr)},
      {"spooled_total", spooled.spooled_total},
      {"forwarded_total", spooled.forwarded_total}};
}

Json Operations::disk_json(const watch::DiskReport& disk, const Holder& holder) {
  return JsonObject{
      {"log_bytes", disk.usage.bytes},
      {"free_fraction", disk.usage.disk_free_fraction},
      {"budget_bytes", disk.budget_bytes},
      {"budget_used", disk.used},
      {"alarm", disk.alarm},
      {"held_by", holder.name},
      {"held_bytes", disk.holder ? disk.holder->bytes : 0},
      {"held_since", disk.holder ? Json(to_rfc3339(disk.holder->since)) : Json(nullptr)},
      {"next", holder.next}};
}

// Rows before any route: messages that could not be read, records that could not be projected.
Result<std::map<std::string, Operations::Stuck>> Operations::count_stuck() {
  std::map<std::string, Stuck> stuck;
  const auto config = broker_.config();
  std::vector<std::string> owners;
  for (const auto& [name, connection] : config->connections) {
    owners.push_back(parked_owner("collect", name));
  }
  for (const auto& [name, entity] : config->entities) {
    owners.push_back(parked_owner("project", name));
  }
  for (const std::string& owner : owners) {
    MILLRACE_TRY(rows, broker_.state_->scan(Table::parked, owner + '\0', "", kStuckRowsMax));
    for (const Row& stored : rows) {
      MILLRACE_TRY(row, decode_parked_row(stored.value));
      ++(row.state == ParkedState::dead ? stuck[owner].dead : stuck[owner].waiting);
    }
  }
  return stuck;
}

Awaitable<Result<Json>> Operations::status(Json) {
  auto sums = co_await ask_lanes();
  co_await name_oldest(&sums);
  auto measure = [this] { return broker_.measure_disk(); };
  auto disk = co_await offload(broker_.readers_->next(), home_, std::move(measure));
  if (!disk) co_return std::unexpected(disk.error());
  auto count = [this] { return count_stuck(); };
  auto stuck = co_await offload(broker_.readers_->next(), home_, std::move(count));
  if (!stuck && !is_away(stuck)) co_return std::unexpected(stuck.error());
  auto check = [this] { return held_checks(); };
  auto held = co_await offload(broker_.readers_->next(), home_, std::move(check));
  if (!held && !is_away(held)) co_return std::unexpected(held.error());
  auto sent = co_await backfills();
  if (!sent && !is_away(sent)) co_return std::unexpected(sent.error());
  // What only the store knows is left out while it is away; that it is away is said.
  if (!stuck) stuck.emplace();
  if (!held) held.emplace();
  if (!sent) sent = Json(JsonObject{{"backfills", JsonArray{}}});
  const auto config = broker_.config();
  JsonArray routes;
  const auto running = broker_.running_routes();
  for (const auto& [id, route] : running->routes) {
    routes.push_back(route_json(route, sums[id]));
  }
  auto doorbells = co_await broker_.doorbell_status(home_);
  const auto inbox = co_await ask_inbox();
  JsonArray wrong = state_problems();
  for (Json& one : group_problems()) wrong.push_back(std::move(one));
  for (Json& one : kafka_problems()) wrong.push_back(std::move(one));
  for (Json& one : problems(sums, *disk, *stuck, inbox)) wrong.push_back(std::move(one));
  for (Json& one : *held) wrong.push_back(std::move(one));
  for (const auto& [model, why] : doorbells.at("unreadable").as_object()) {
    wrong.push_back(problem(fmt::format("{} cannot be read as configured: {}", std::string(model),
                                        std::string(why.as_string())),
                            {}, "", std::string(model),
                            "mend `read:` of its entities, then millrace reload"));
  }
  for (const auto& [what, stored] : doorbells.at("silenced").as_object()) {
    wrong.push_back(problem(
        fmt::format("{} records were stored without a word after a change of the configuration: "
                    "the source no longer has what the old one read ({})",
                    stored.as_int64(), std::string(what)),
        {}, "", std::string(what),
        "compare with the source where it matters; a restart clears this"));
  }
  JsonObject json{{"name", config->installation.name},
                  {"environment", config->installation.environment},
                  {"version", MILLRACE_VERSION},
                  {"generation", broker_.generation_.load()},
                  {"started_at", to_rfc3339(broker_.started_at_)},
                  {"problems", std::move(wrong)},
                  {"routes", std::move(routes)},
                  {"connections", connections_json()},
                  {"state", state_json()},
                  {"group", group_json()},
                  // A log on Kafka takes none.
                  {"disk", disk->usage.disk_size == 0 ? Json(nullptr)
                                                      : disk_json(*disk, holder_of(*disk, sums))},
                  {"doorbells", std::move(doorbells)},
                  {"backfills", sent->at("backfills")}};
  if (const auto spooled = broker_.log_->spooled()) json.emplace("spool", spool_json(*spooled));
  co_return Json(std::move(json));
}

Awaitable<Result<Json>> Operations::routes(Json) {
  auto sums = co_await ask_lanes();
  co_await name_oldest(&sums);
  JsonArray list;
  const auto running = broker_.running_routes();
  for (const auto& [id, route] : running->routes) list.push_back(route_json(route, sums[id]));
  co_return Json(JsonObject{{"routes", std::move(list)}});
}

Awaitable<Result<Json>> Operations::connections(Json) {
  co_return Json(JsonObject{{"connections", connections_json()}});
}

}  // namespace millrace::daemon
