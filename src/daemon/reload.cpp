#include "daemon/reload.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <future>

#include "config/problems.hpp"
#include "daemon/listener_tls.hpp"
#include "daemon/route_swap.hpp"
#include "state/blocking_commit.hpp"

namespace millrace::daemon {
namespace {

constexpr seconds kSourceWait{10};

template <typename T>
Awaitable<void> keep_promise(Awaitable<T> work, std::shared_ptr<std::promise<T>> promise) {
  T value = co_await std::move(work);
  promise->set_value(std::move(value));
}

template <typename Objects>
void compare(const Objects& running, const Objects& wanted, const char* kind,
             std::vector<Change>& changes) {
  for (const auto& [name, object] : wanted) {
    const auto old = running.find(name);
    if (old == running.end()) {
      changes.push_back({name, kind, "added"});
    } else if (old->second.fingerprint != object.fingerprint) {
      changes.push_back({name, kind, "changed"});
    }
  }
  for (const auto& [name, object] : running) {
    if (!wanted.contains(name)) changes.push_back({name, kind, "removed"});
  }
}

// A route is the same by its id, whatever its name.
void compare_routes(const std::map<std::string, config::Route, std::less<>>& running,
                    const std::map<std::string, config::Route, std::less<>>& wanted,
                    std::vector<Change>& changes) {
  std::map<std::string, const config::Route*> by_id;
  for (const auto& [name, route] : running) by_id[route.id()] = &route;
  for (const auto& [name, route] : wanted) {
    const auto old = by_id.find(route.id());
    if (old == by_id.end()) {
      changes.push_back({name, "route", "added"});
      continue;
    }
    if (old->second->name != name) {
      changes.push_back({name, "route", fmt::format("renamed from {}", old->second->name)});
    } else if (old->second->fingerprint != route.fingerprint) {
      changes.push_back({name, "route", "changed"});
    }
    by_id.erase(old);
  }
  for (const auto& [id, route] : by_id) {
    changes.push_back({route->name, "route", "removed: delivers what it has, then it is gone"});
  }
}

// A route that is renamed again says its first name, not its last: its id hangs on it.
void check_first_names(const RunningRoutes& running, const config::Config& wanted,
                       JsonArray& problems) {
  for (const auto& [name, route] : wanted.routes) {
    if (route.was.empty() || running.routes.contains(route.was)) continue;
    const RunningRoute* named = running.find(route.was);
    if (named == nullptr) continue;
    problems.push_back(JsonObject{
        {"level", "error"},
        {"file", route.place.file},
        {"line", route.place.line},
        {"column", route.place.column},
        {"path", fmt::format("route {} / was", name)},
        {"message", fmt::format("`{}` is not its first name: its place and its keys hang on "
                                "that; write `was: {}`",
                                route.was, named->route().id())}});
  }
}

Json changes_json(const std::vector<Change>& changes) {
  JsonArray list;
  for (const Change& change : changes) {
    list.push_back(
        JsonObject{{"object", change.object}, {"kind", change.kind}, {"change", change.change}});
  }
  return Json(std::move(list));
}

std::string where(const StateChoice& state) {
  return state.is_postgresql() ? state.postgresql + "\n" + state.schema : state.sqlite_path;
}

}  // namespace

namespace {

constexpr const char* kNeedsARestart = "needs a restart";

/// Each entity's events have a topic, and each route its place in one.
void need_topics(const config::Config& running, const config::Config& wanted,
                 std::vector<Change>& changes) {
  for (const auto& [name, entity] : wanted.entities) {
    if (!running.entities.contains(name)) changes.push_back({name, "entity", kNeedsARestart});
  }
}

/// In words; empty when all can be replaced while the daemon runs.
std::string what_needs_a_restart(const std::vector<Change>& changes) {
  std::vector<std::string> found;
  for (const Change& change : changes) {
    if (change.change != kNeedsARestart) continue;
    found.push_back(change.kind == "entity"
                        ? fmt::format("entity {} is new, and the topic of its events on Kafka is "
                                      "made at a start",
                                      change.object)
                        : fmt::format("`{}` is read at a start", change.object));
  }
  return fmt::format("{}", fmt::join(found, "; "));
}

}  // namespace

std::vector<Change> plan(const config::Config& running, const config::Config& wanted) {
  std::vector<Change> changes;
  const auto fixed = [&changes](const char* key, const std::string& old, const std::string& now) {
    if (old != now) changes.push_back({key, "installation", kNeedsARestart});
  };
  const config::Installation& old = running.installation;
  const config::Installation& now = wanted.installation;
  fixed("name", old.name, now.name);
  fixed("instance", old.state.instance, now.state.instance);
  fixed("environment", old.environment, now.environment);
  fixed("listen", old.listen, now.listen);
  fixed("admin", old.admin, now.admin);
  fixed("log", old.log_directory, now.log_directory);
  if (old.kafka_log != now.kafka_log) fixed("log.kafka", "", "other");
  fixed("state", where(old.state), where(now.state));
  fixed("data", old.data_directory, now.data_directory);
  compare(running.connections, wanted.connections, "connection", changes);
  compare(running.entities, wanted.entities, "entity", changes);
  if (now.kafka_log) need_topics(running, wanted, changes);
  const auto files = [](const config::Installation& installation) {
    return installation.tls ? installation.tls->certificate + "\n" + installation.tls->key : "";
  };
  if (files(old) != files(now)) changes.push_back({"tls", "installation", "changed"});
  compare(running.tables, wanted.tables, "table", changes);
  compare_routes(running.routes, wanted.routes, changes);
  return changes;
}

Result<Json> Reload::run(const std::string& author, bool apply_it) {
  MILLRACE_TRY(lock, broker_.begin_control());
  const auto report = config::load({.directory = broker_.options_.config_directory,
                                    .connectors = broker_.registry_,
                                    .environment = config::process_environment()});
  JsonObject answer{{"generation", broker_.generation_.load()},
                    {"applied", false},
                    {"problems", config::problems_to_json(report.problems)}};
  if (!report.config) {
    if (apply_it) {
      spdlog::error("reload refused, everything runs on author={}\n{}", author,
                    config::render(report.problems));
    }
    answer.emplace("changes", JsonArray{});
    return Json(std::move(answer));
  }
  const std::vector<Change> changes = plan(*broker_.config(), *report.config);
  answer.emplace("changes", changes_json(changes));
  const std::string restart = what_needs_a_restart(changes);
  if (!restart.empty() && apply_it) {
    answer["problems"].as_array().push_back(JsonObject{
        {"level", "error"}, {"message", restart + "; restart the daemon, nothing was replaced"}});
    return Json(std::move(answer));
  }
  const std::size_t before = answer["problems"].as_array().size();
  check_first_names(*broker_.running_routes(), *report.config, answer["problems"].as_array());
  check_sources(report.config, answer["problems"].as_array());
  if (auto kept = broker_.check_streams(broker_.lives_, *report.config); !kept) {
    answer["problems"].as_array().push_back(
        JsonObject{{"level", "error"}, {"message", kept.error().message}});
  }
  const auto is_error = [](const Json& one) { return string_or(one, "level", "") == "error"; };
  const JsonArray& problems = answer["problems"].as_array();
  const bool refused =
      std::any_of(problems.begin() + static_cast<std::ptrdiff_t>(before), problems.end(), is_error);
  if (refused && apply_it) {
    spdlog::error(
        "reload refused, everything runs on author={} error=\"{}\"", author,
        string_or(*std::find_if(problems.begin(), problems.end(), is_error), "message", ""));
  }
  if (refused || !apply_it) return Json(std::move(answer));
  if (auto applied = apply(report.config); !applied) {
    spdlog::error("reload refused, everything runs on author={} error=\"{}\"", author,
                  applied.error().message);
    answer["problems"].as_array().push_back(
        JsonObject{{"level", "error"}, {"message", applied.error().message}});
    return Json(std::move(answer));
  }
  MILLRACE_CHECK_OK(record(*report.config, changes, author));
  answer["generation"] = broker_.generation_.load();
  answer["applied"] = true;
  spdlog::info("reloaded generation={} changes={} author={}", broker_.generation_.load(),
               changes.size(), author);
  return Json(std::move(answer));
}

// Asked with the connection that runs: one that is new or changed is asked when it is read.
void Reload::check_sources(const config::ConfigPtr& wanted, JsonArray& problems) {
  const auto plan = canon::make_collect_plan(wanted);
  for (const auto& [name, connection] : wanted->connections) {
    const auto unit = broker_.connections_.find(name);
    if (unit == broker_.connections_.end() || !unit->second.reader) continue;
    if (unit->second.fingerprint == connection.fingerprint) add_unfit(name, plan, problems);
  }
}

void Reload::add_unfit(const std::string& connection, const canon::CollectPlanPtr& wanted,
                       JsonArray& problems) {
  using Unfit = Result<std::vector<std::string>>;
  Shard& shard = broker_.shards_->at(0);
  const auto promise = std::make_shared<std::promise<Unfit>>();
  auto answer = promise->get_future();
  shard.spawn("check field plans",
              keep_promise(broker_.unfit_plans(wanted, canon::make_collect_plan(broker_.config()),
                                               connection, shard),
                           promise));
  const auto add = [&](const char* level, std::string message) {
    problems.push_back(JsonObject{
        {"level", level}, {"path", "connection " + connection}, {"message", std::move(message)}});
  };
  const bool answered = answer.wait_for(kSourceWait) == std::future_status::ready;
  const Unfit unfit =
      answered ? answer.get()
               : Unfit(fail(Errc::unanswered, fmt::format("no answer within {}", kSourceWait)));
  if (!unfit) {
    add("warning", fmt::format("it could not be asked whether it has the fields of `read:`: {}",
                               unfit.error().message));
    return;
  }
  for (const std::string& problem : *unfit) add("error", problem);
}

Result<void> Reload::apply(const config::ConfigPtr& wanted) {
  MILLRACE_TRY(tls, load_listener_tls(wanted->installation));
  MILLRACE_TRY(connections, make_connections(*wanted));
  RouteSwap routes(broker_, wanted);
  MILLRACE_CHECK_OK(routes.prepare());
  // The texts are kept before any projection names them.
  MILLRACE_CHECK_OK(commit_blocking(*broker_.state_, canon::program_writes(*wanted)));
  MILLRACE_TRY(past, canon::load_programs(*broker_.state_));
  broker_.replace_connections(std::move(connections));
  broker_.set_config(wanted);
  MILLRACE_CHECK_OK(routes.swap());
  for (const auto& unit : broker_.units_) {
    unit->shard.post([&unit = *unit, wanted, past] {
      unit.projector->set_past(past);
      unit.pump->replace(wanted);
      for (const auto& [id, lane] : unit.lanes) lane->release_waiting();
    });
  }
  broker_.replace_doorbells(wanted, past);
  broker_.hooks_->set_table(std::make_shared<const ingress::HookTable>(*wanted));
  broker_.events_->set_table(std::make_shared<const ingress::EventsTable>(*wanted));
  broker_.intake_->set_min_free(wanted->installation.retention.min_free_fraction);
  MILLRACE_CHECK_OK(broker_.start_kafka_sources());
  MILLRACE_CHECK_OK(publish_certificate(wanted->installation));
  broker_.note_certificate(tls);
  broker_.data_server_->set_tls(tls);
  broker_.admin_server_->set_tls(tls);
  return {};
}

Result<std::map<std::string, ConnectionUnit>> Reload::make_connections(
    const config::Config& wanted) {
  std::map<std::string, ConnectionUnit> made;
  for (const auto& [name, connection] : wanted.connections) {
    const auto old = broker_.connections_.find(name);
    if (old != broker_.connections_.end() && old->second.fingerprint == connection.fingerprint) {
      made[name] = old->second;
      continue;
    }
    auto unit = broker_.make_connection(connection);
    if (!unit) {
      return fail(unit.error().code, fmt::format("connection {}: {}", name, unit.error().message));
    }
    made[name] = *std::move(unit);
  }
  return made;
}

Result<void> Reload::record(const config::Config& wanted, const std::vector<Change>& changes,
                            const std::string& author) {
  const std::uint64_t generation = ++broker_.generation_;
  JsonObject row{{"generation", generation},
                 {"at", to_rfc3339(broker_.clock_.wall_now())},
                 {"author", author},
                 {"hash", wanted.content_hash},
                 {"changes", changes_json(changes)}};
  Batch batch;
  // Another instance may have as many generations behind it.
  const std::string& instance = wanted.installation.state.instance;
  batch.put(Table::generations,
            fmt::format("{:010}{}{}", generation, instance.empty() ? "" : "/", instance),
            write_json(Json(std::move(row))));
  return commit_blocking(*broker_.state_, std::move(batch));
}

}  // namespace millrace::daemon
