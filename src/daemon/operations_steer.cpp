#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <charconv>

#include "daemon/operations.hpp"
#include "daemon/reload.hpp"

namespace millrace::daemon {
namespace {

std::vector<std::string> texts(const Json& args, std::string_view key) {
  std::vector<std::string> list;
  const Json* value = find(args, key);
  if (value == nullptr || !value->is_array()) return list;
  for (const Json& element : value->get_array()) {
    if (element.is_string()) list.emplace_back(element.get_string());
  }
  return list;
}

}  // namespace

void Operations::add_to(admin::AdminApi& api) {
  using Kind = deliver::Decision::Kind;
  const auto add = [&api](std::string_view name, admin::OperationHandler handler) {
    api.add(admin::operation(name, std::move(handler)));
  };
  add("status", [this](Json args) { return status(std::move(args)); });
  add("where", [this](Json args) { return where(std::move(args)); });
  add("dead.list", [this](Json args) { return list(std::move(args), true); });
  add("dead.show", [this](Json args) { return show(std::move(args)); });
  add("dead.resubmit", [this](Json args) { return decide(std::move(args), Kind::resubmit); });
  add("dead.discard", [this](Json args) { return decide(std::move(args), Kind::discard); });
  add("parked.list", [this](Json args) { return list(std::move(args), false); });
  add("parked.release", [this](Json args) { return decide(std::move(args), Kind::applied); });
  add("parked.skip", [this](Json args) { return decide(std::move(args), Kind::skip); });
  add("routes.list", [this](Json args) { return routes(std::move(args)); });
  add("routes.pause", [this](Json args) { return pause(std::move(args), true); });
  add("routes.resume", [this](Json args) { return pause(std::move(args), false); });
  add("routes.drain", [this](Json args) { return steer(std::move(args), &RouteSteer::drain); });
  add("routes.seek", [this](Json args) { return steer(std::move(args), &RouteSteer::seek); });
  add("routes.skip", [this](Json args) { return steer(std::move(args), &RouteSteer::skip); });
  add("routes.drop", [this](Json args) { return steer(std::move(args), &RouteSteer::drop); });
  add("replay", [this](Json args) { return replay(std::move(args)); });
  add("replay.stop", [this](Json args) { return stop_replay(std::move(args)); });
  add("connections.list", [this](Json args) { return connections(std::move(args)); });
  add("connections.check", [this](Json args) { return check(std::move(args)); });
  add("connections.resume", [this](Json args) { return resume_source(std::move(args)); });
  add("fetch", [this](Json args) { return fetch(std::move(args)); });
  add("reload", [this](Json args) { return reload(std::move(args), true); });
  add("plan", [this](Json args) { return plan(std::move(args)); });
  add("backfill.list", [this](Json) { return backfills(); });
  add("backfill", [this](Json args) { return backfill(std::move(args), false); });
  add("backfill.stop", [this](Json args) { return backfill(std::move(args), true); });
  add("checks.run", [this](Json args) { return check_model(std::move(args), false); });
  add("checks.accept", [this](Json args) { return check_model(std::move(args), true); });
  add("backup", [this](Json args) { return backup(std::move(args)); });
  add("clock.accept", [this](Json args) { return accept_clock(std::move(args)); });
  add("keys.list", [this](Json) { return list_keys(); });
  add("keys.create", [this](Json args) { return create_key(std::move(args)); });
  add("keys.revoke", [this](Json args) { return revoke_key(std::move(args)); });
}

Awaitable<Result<Json>> Operations::pause(Json args, bool paused) {
  const std::string name(string_or(args, "name", ""));
  const auto running = broker_.running_routes();
  const RunningRoute* found = running->find(name);
  if (found == nullptr) {
    co_return fail(Errc::not_found, fmt::format("there is no route '{}'", name));
  }
  const std::string id = found->route().id();
  std::string reason(string_or(args, "reason", ""));
  if (paused && reason.empty()) reason = "paused by an operator";
  Batch batch;
  const std::string key = pause_key(id);
  if (paused) {
    batch.put(Table::routes, key,
              write_json(Json(JsonObject{{"reason", reason},
                                         {"since", to_rfc3339(broker_.clock_.wall_now())}})));
  } else {
    batch.erase(Table::routes, key);
  }
  broker_.audit(batch, paused ? "pause route" : "resume route", name, reason);
  auto start = [this, batch = std::move(batch)](StateStore::CommitDone done) mutable {
    broker_.state_->commit(std::move(batch), Urgency::now, home_, std::move(done));
  };
  auto committed = co_await await_callback<Result<void>>(home_, std::move(start));
  if (!committed) co_return std::unexpected(committed.error());
  for (const auto& unit : broker_.units_) {
    unit->shard.post([&unit = *unit, id, paused, reason] {
      const auto lane = unit.lanes.find(id);
      if (lane == unit.lanes.end()) return;
      if (paused) {
        lane->second->pause(reason);
      } else {
        lane->second->resume();
      }
    });
  }
  const auto target = broker_.target_of(found->route().to);
  if (!paused && target) target->resume();
  if (!paused && found->drain && !found->drain->removed) {
    auto undrained = co_await steer(args, &RouteSteer::go_on);
    if (!undrained) co_return std::unexpected(undrained.error());
  }
  spdlog::info("route {} route={} reason=\"{}\"", paused ? "paused" : "resumed", name, reason);
  co_return Json(JsonObject{{"route", name}, {"state", paused ? "paused" : "running"}});
}

Awaitable<Result<Json>> Operations::steer(Json args, Steer what) {
  RouteSteer::Request request;
  request.route = string_or(args, "name", "");
  request.to = string_or(args, "to", "");
  request.record = string_or(args, "record", "");
  request.reason = string_or(args, "reason", "");
  request.yes = bool_or(args, "yes", false);
  auto work = [this, request, what]() -> Result<Json> {
    MILLRACE_CHECK_OK(broker_.need_all_partitions());
    return (RouteSteer(broker_, request).*what)();
  };
  auto done = co_await offload(broker_.control_->next(), home_, std::move(work));
  co_return done;
}

// In steps, so that reloads and moves get their turn while a long log is looked through.
Awaitable<Result<Json>> Operations::replay(Json args) {
  RouteReplay::Request request;
  request.route = string_or(args, "name", "");
  request.from = string_or(args, "from", "");
  request.to = string_or(args, "to", "");
  request.record = string_or(args, "record", "");
  request.key = string_or(args, "key", "");
  request.reason = string_or(args, "reason", "");
  request.history = bool_or(args, "history", false);
  request.again = bool_or(args, "again", false);
  request.yes = bool_or(args, "yes", false);
  const auto replay = std::make_shared<RouteReplay>(broker_, std::move(request));
  auto open = [this, replay]() -> Result<void> {
    MILLRACE_CHECK_OK(broker_.need_all_partitions());
    return replay->open();
  };
  auto opened = co_await offload(broker_.control_->next(), home_, std::move(open));
  if (!opened) co_return std::unexpected(opened.error());
  for (bool through = false; !through;) {
    auto step = [replay] { return replay->step(); };
    auto stepped = co_await offload(broker_.control_->next(), home_, std::move(step));
    if (!stepped) co_return std::unexpected(stepped.error());
    through = *stepped;
  }
  auto finish = [replay] { return replay->finish(); };
  auto done = co_await offload(broker_.control_->next(), home_, std::move(finish));
  co_return done;
}

Awaitable<Result<Json>> Operations::stop_replay(Json args) {
  const std::string name(string_or(args, "name", ""));
  const std::string reason(string_or(args, "reason", ""));
  auto stop = [this, name, reason] { return RouteReplay::stop(broker_, name, reason); };
  auto done = co_await offload(broker_.control_->next(), home_, std::move(stop));
  co_return done;
}

Awaitable<Result<Json>> Operations::check(Json args) {
  const std::string name(string_or(args, "name", ""));
  auto outcome = co_await broker_.check_connection(name, home_);
  if (!outcome) co_return std::unexpected(outcome.error());
  const bool ok = outcome->kind == Outcome::Kind::delivered;
  co_return Json(JsonObject{{"name", name}, {"ok", ok}, {"detail", outcome->reason}});
}

Awaitable<Result<Json>> Operations::resume_source(Json args) {
  const std::string name(string_or(args, "name", ""));
  const std::string reason(string_or(args, "reason", ""));
  if (reason.empty()) co_return fail(Errc::invalid_argument, "say why: `reason` is empty");
  const auto source = broker_.kafka_source(name);
  if (!source) co_return fail(Errc::not_found, fmt::format("'{}' is no kafka connection", name));
  MILLRACE_CO_CHECK_OK(source->resume());
  broker_.audit("resume connection", name, reason);
  co_return Json(JsonObject{{"name", name}, {"resumed", true}});
}

// Rings the doorbell of one record by hand: the read-back says what is true.
Awaitable<Result<Json>> Operations::fetch(Json args) {
  RawMessage message;
  message.kind = RawMessage::Kind::doorbell;
  message.connection = string_or(args, "connection", "");
  const std::string model(string_or(args, "model", ""));
  std::int64_t id = int_or(args, "id", 0);
  if (const std::string_view text = string_or(args, "id", ""); !text.empty()) {
    std::from_chars(text.data(), text.data() + text.size(), id);
  }
  const auto config = broker_.config();
  const auto connection = config->connections.find(message.connection);
  if (connection == config->connections.end() || connection->second.type != "odoo") {
    co_return fail(Errc::not_found,
                   fmt::format("'{}' is no connection that is read back", message.connection));
  }
  if (model.empty() || id <= 0) {
    co_return fail(Errc::invalid_argument, "say which record: model and a positive id");
  }
  message.record = fmt::format("{}/{}/{}", message.connection, model, id);
  message.origin = "fetch";
  message.received_at = broker_.clock_.wall_now();
  message.body = write_json(Json(JsonObject{{"_model", model}, {"_id", id}}));
  std::vector<LogEntry> group;
  group.push_back({partition_of(message.record), message.connection, encode(message)});
  auto start = [this, group = std::move(group)](EventLog::AppendDone done) mutable {
    broker_.log_->append(Journal::inbox, std::move(group), home_, std::move(done));
  };
  auto appended = co_await await_callback<Result<std::vector<Offset>>>(home_, std::move(start));
  if (!appended) co_return std::unexpected(appended.error());
  co_return Json(JsonObject{{"record", message.record}, {"rung", true}});
}

Awaitable<Result<Json>> Operations::reload(Json args, bool apply) {
  std::string author(string_or(args, "author", "admin"));
  auto work = [this, author, apply] { return Reload(broker_).run(author, apply); };
  auto done = co_await offload(broker_.control_->next(), home_, std::move(work));
  co_return done;
}

Awaitable<Result<Json>> Operations::list_keys() {
  co_return broker_.keys_->list_keys();
}

Awaitable<Result<Json>> Operations::create_key(Json args) {
  auto created =
      co_await broker_.keys_->create_key(texts(args, "sources"), texts(args, "types"),
                                         std::string(string_or(args, "note", "")), home_);
  if (!created) co_return std::unexpected(created.error());
  broker_.audit("create key", created->id, string_or(args, "note", ""));
  co_return Json(JsonObject{{"id", created->id}, {"key", created->key}});
}

Awaitable<Result<Json>> Operations::revoke_key(Json args) {
  const std::string id(string_or(args, "id", ""));
  auto revoked = co_await broker_.keys_->revoke_key(id, home_);
  if (!revoked) co_return std::unexpected(revoked.error());
  broker_.audit("revoke key", id, "");
  co_return Json(JsonObject{{"id", id}, {"revoked", true}});
}

}  // namespace millrace::daemon
