// What is wrong, for `status`: each thing with since when, whose it is, and what to type next. What
// keeps most from going on comes first.
#include <fmt/format.h>

#include <algorithm>

#include "daemon/operations.hpp"

namespace millrace::daemon {
namespace {

/// Nobody lets go of what comes back by itself.
std::string next_when_unreadable(const Follower::Failure& failure, std::string otherwise) {
  if (!is_retryable(failure.error.code)) return otherwise;
  return "nothing is lost; it goes on by itself once the log answers";
}

std::string next_of_route(const Follower::Failure& failure, const std::string& route,
                          bool on_kafka) {
  // Kafka dropped it.
  if (failure.error.code == Errc::not_found) {
    return fmt::format("go on behind it: millrace routes skip {} --to beginning", route);
  }
  return next_when_unreadable(
      failure, fmt::format("{}let go of what cannot be read: millrace routes skip {} --to end",
                           on_kafka ? "" : "put the file back, or ", route));
}

}  // namespace

Json Operations::problem(std::string what, const std::optional<WallTime>& since,
                         std::string_view owner, std::string_view object, std::string next) {
  return JsonObject{{"what", std::move(what)},
                    {"since", since ? Json(to_rfc3339(*since)) : Json(nullptr)},
                    {"owner", owner},
                    {"object", object},
                    {"next", std::move(next)}};
}

JsonArray Operations::problems(const std::map<std::string, RouteSum>& sums,
                               const watch::DiskReport& disk,
                               const std::map<std::string, Stuck>& stuck,
                               const std::optional<Follower::Failure>& inbox) const {
  JsonArray list;
  const auto config = broker_.config();
  const WallTime now = broker_.clock_.wall_now();
  const auto jump = broker_.clock_watch_.jump();
  add_log_problems(list, sums, inbox);
  for (const auto& [name, connection] : config->connections) {
    const auto unit = broker_.connections_.find(name);
    deliver::TargetStatus status = unit != broker_.connections_.end() && unit->second.target
                                       ? unit->second.target->status()
                                       : broker_.source_status(name);
    if (status.state == "up" || status.state == "unknown") continue;
    std::string owner;
    std::string first_route;
    for (const auto& [route_name, route] : config->routes) {
      if (route.to != name) continue;
      owner = route.owner;
      first_route = route_name;
      break;
    }
    std::string next = fmt::format("millrace connections check {}", name);
    if (status.state == "paused" && connection.type == "kafka") {
      next = fmt::format("millrace connections resume {} --reason TEXT", name);
    } else if (status.state == "paused") {
      next = fmt::format("millrace routes resume {}", first_route);
    }
    list.push_back(
        problem(fmt::format("connection {} is {}: {}", name, status.state, status.reason),
                status.since, owner, name, std::move(next)));
  }
  const auto running = broker_.running_routes();
  for (const auto& [id, why] : running->broken) {
    list.push_back(problem(fmt::format("removed route {} cannot deliver what it had: {}", id, why),
                           {}, "", id, fmt::format("millrace routes drop {}", id)));
  }
  for (const auto& [id, sum] : sums) {
    const auto found = running->routes.find(id);
    if (found == running->routes.end()) continue;
    const config::Route& route = found->second.route();
    const std::string& name = route.name;
    const std::string& owner = route.owner;
    const deliver::LaneStatus& lane = sum.status;
    if (lane.paused) {
      list.push_back(problem(fmt::format("route {} is paused: {}", name, lane.pause_reason), {},
                             owner, name, fmt::format("millrace routes resume {}", name)));
    }
    if (found->second.drain && !found->second.drain->removed) {
      list.push_back(problem(
          fmt::format("route {} takes up nothing new: {}", name, found->second.drain->reason),
          found->second.drain->since, owner, name, fmt::format("millrace routes resume {}", name)));
    }
    if (lane.replay && !lane.replay->failed.empty()) {
      list.push_back(
          problem(fmt::format("the replay of route {} cannot go on: {}", name, lane.replay->failed),
                  {}, owner, name, fmt::format("millrace replay {} --stop --reason TEXT", name)));
    }
    if (lane.crowded) {
      list.push_back(problem(
          fmt::format(
              "route {} takes up nothing: {} deliveries are parked, as many as `parked_max` "
              "allows; decide them, or raise it",
              name, lane.parked + lane.dead),
          {}, owner, name,
          fmt::format("millrace {} list --route {} --by cause", lane.dead > 0 ? "dead" : "parked",
                      name)));
    }
    if (lane.dead > 0) {
      list.push_back(problem(fmt::format("{} dead letters on route {}", lane.dead, name), {}, owner,
                             name, fmt::format("millrace dead list --route {}", name)));
    }
    if (lane.undecided > 0) {
      list.push_back(problem(
          fmt::format("{} deliveries of route {} wait for a decision", lane.undecided, name), {},
          owner, name, fmt::format("millrace parked list --route {}", name)));
    }
    add_late_problem(list, route, sum);
  }
  add_disk_problems(list, disk, holder_of(disk, sums));
  add_certificate_problem(list, now);
  if (jump) {
    list.push_back(problem(watch::describe(*jump), jump->since, "", "clock",
                           "correct the clock, or: millrace clock accept --reason TEXT"));
  }
  for (const auto& [owner, rows] : stuck) {
    const std::string name = owner.substr(owner.find('.') + 1);
    const bool collected = owner.starts_with("collect.");
    if (rows.dead > 0) {
      list.push_back(problem(fmt::format("{} messages of {} could not be read", rows.dead, name),
                             {}, "", owner, fmt::format("millrace dead list --route {}", owner)));
    }
    if (rows.waiting > 0) {
      list.push_back(problem(
          collected ? fmt::format("{} records of {} cannot be read", rows.waiting, name)
                    : fmt::format("{} records cannot be projected as {}", rows.waiting, name),
          {}, "", owner, fmt::format("millrace parked list --route {}", owner)));
    }
  }
  return list;
}

microseconds Operations::undelivered_for(const deliver::LaneStatus& lane) const {
  if (!lane.oldest_at) return microseconds{0};
  // After a jump of the wall clock an append time says nothing about an age.
  if (broker_.clock_watch_.jump()) return lane.oldest_held;
  return std::max(lane.oldest_held, broker_.clock_.wall_now() - *lane.oldest_at);
}

void Operations::add_late_problem(JsonArray& list, const config::Route& route,
                                  const RouteSum& sum) const {
  const deliver::LaneStatus& lane = sum.status;
  if (!lane.oldest_at || undelivered_for(lane) <= route.slo_within) return;
  const bool parked = !lane.oldest_row.empty();
  std::string what = fmt::format("route {} is late: {} is undelivered", route.name,
                                 lane.oldest_record.empty() ? "an event" : lane.oldest_record);
  if (!sum.oldest_why.empty()) what += fmt::format(" ({})", sum.oldest_why);
  std::string next = fmt::format("millrace connections check {}", route.to);
  if (parked) next = fmt::format("millrace parked list --route {}", route.name);
  if (!sum.oldest_id.empty()) next = fmt::format("millrace dead show {}", sum.oldest_id);
  list.push_back(problem(std::move(what), lane.oldest_at, route.owner, route.name, next));
}

void Operations::add_log_problems(JsonArray& list, const std::map<std::string, RouteSum>& sums,
                                  const std::optional<Follower::Failure>& inbox) const {
  for (const EventLog::Trouble& trouble : broker_.log_->troubles()) {
    list.push_back(problem(trouble.what, trouble.since, "", "log", trouble.next));
  }
  if (inbox) {
    list.push_back(
        problem(fmt::format("nothing is taken from the inbox any more: {}", inbox->error.message),
                inbox->since, "", "inbox",
                next_when_unreadable(*inbox, "millrace log verify, with the daemon stopped")));
  }
  const auto running = broker_.running_routes();
  for (const auto& [id, sum] : sums) {
    const auto found = running->routes.find(id);
    if (found == running->routes.end() || !sum.status.unreadable) continue;
    const config::Route& route = found->second.route();
    list.push_back(problem(
        fmt::format("route {} stands still: {}", route.name, sum.status.unreadable->error.message),
        sum.status.unreadable->since, route.owner, route.name,
        next_of_route(*sum.status.unreadable, route.name,
                      broker_.config()->installation.kafka_log.has_value())));
  }
}

Operations::Holder Operations::holder_of(const watch::DiskReport& disk,
                                         const std::map<std::string, RouteSum>& sums) const {
  if (!disk.holder) return {};
  const std::string& owner = disk.holder->owner;
  if (owner.starts_with("replay/")) {
    const std::string id = owner.substr(7);
    return {fmt::format("the replay of {}", id), fmt::format("millrace replay {} --stop", id)};
  }
  // Both move when what came in was projected.
  if (!owner.starts_with("route/")) return {"the inbox", "millrace parked list"};
  const std::string id = owner.substr(6);
  const auto running = broker_.running_routes();
  const auto found = running->routes.find(id);
  if (found == running->routes.end()) {
    return {fmt::format("removed route {}", id), fmt::format("millrace routes drop {}", id)};
  }
  const config::Route& route = found->second.route();
  const auto sum = sums.find(id);
  const bool paused = sum != sums.end() && sum->second.status.paused;
  return {route.name, paused ? fmt::format("millrace routes resume {}", route.name)
                             : fmt::format("millrace connections check {}", route.to)};
}

void Operations::add_certificate_problem(JsonArray& list, WallTime now) const {
  const auto ends = broker_.certificate_ends();
  if (!ends || now < *ends - config::kCertificateAlarm) return;
  const auto config = broker_.config();
  const std::string file =
      config->installation.tls ? config->installation.tls->certificate : std::string();
  list.push_back(problem(fmt::format("the certificate of both listeners {} {}: {}",
                                     now < *ends ? "ends" : "ended", to_rfc3339(*ends), file),
                         *ends - config::kCertificateAlarm, "", "tls",
                         "put a new one in its place, then: millrace reload"));
}

void Operations::add_disk_problems(JsonArray& list, const watch::DiskReport& disk,
                                   const Holder& holder) const {
  const std::string next = holder.next.empty()
                               ? "free space on the log's file system, or shorten retention"
                               : holder.next;
  const double free = disk.usage.disk_free_fraction;
  if (free < broker_.config()->installation.retention.min_free_fraction) {
    list.push_back(
        problem(fmt::format("the disk has {:.1f} % left: nothing is accepted", free * 100), {}, "",
                "disk", "free space on the log's file system"));
  }
  if (disk.alarm == 0) return;
  std::string what = fmt::format("the log takes {:.0f} % of its share of the disk",
                                 std::min(disk.used, 9.99) * 100);
  what += disk.holder
              ? fmt::format("; {} holds {} MB of it", holder.name, disk.holder->bytes / 1'000'000)
              : "; nobody holds it: beyond its share the oldest goes before its time";
  list.push_back(problem(std::move(what),
                         disk.holder ? std::optional(disk.holder->since) : std::nullopt, "", "disk",
                         next));
}

}  // namespace millrace::daemon
