// What is measured, for a scraper: the process, the log, the state store, connections and routes.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "daemon/operations.hpp"

namespace millrace::daemon {
namespace {

struct RouteMetric {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  double (*value)(const deliver::LaneStatus& lane);
};

constexpr std::array<RouteMetric, 7> kRouteMetrics{{
    {"millrace_route_lag", "gauge", "Events between the route and the end of the log.",
     [](const deliver::LaneStatus& lane) { return static_cast<double>(lane.lag); }},
    {"millrace_route_parked", "gauge", "Parked deliveries that wait.",
     [](const deliver::LaneStatus& lane) { return static_cast<double>(lane.parked); }},
    {"millrace_route_undecided", "gauge", "Of these, deliveries that wait for a person.",
     [](const deliver::LaneStatus& lane) { return static_cast<double>(lane.undecided); }},
    {"millrace_route_dead", "gauge", "Dead letters.",
     [](const deliver::LaneStatus& lane) { return static_cast<double>(lane.dead); }},
    {"millrace_route_delivered_total", "counter", "Events delivered since the start.",
     [](const deliver::LaneStatus& lane) { return static_cast<double>(lane.delivered); }},
    {"millrace_route_retries_total", "counter", "Attempts that have to be made again.",
     [](const deliver::LaneStatus& lane) { return static_cast<double>(lane.retries); }},
    {"millrace_route_repeated_unknown_total", "counter",
     "Requests sent again although they may have been applied: unanswered, or sent before the "
     "start.",
     [](const deliver::LaneStatus& lane) { return static_cast<double>(lane.repeated_unknown); }},
}};

}  // namespace

void Operations::append_route_metrics(std::string& out,
                                      const std::map<std::string, RouteSum>& sums) const {
  const auto running = broker_.running_routes();
  const auto each = [&](std::string_view name, std::string_view type, std::string_view help,
                        const auto& value) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
    for (const auto& [id, route] : running->routes) {
      const auto sum = sums.find(id);
      if (sum == sums.end()) continue;
      fmt::format_to(std::back_inserter(out), "{}{{route=\"{}\"}} {}\n", name, route.route().name,
                     value(route.route(), sum->second.status));
    }
  };
  each("millrace_route_oldest_undelivered_seconds", "gauge",
       "Age of the oldest event that was taken up and is not delivered, parked ones included; 0: "
       "none.",
       [this](const config::Route&, const deliver::LaneStatus& lane) {
         return std::chrono::duration<double>(undelivered_for(lane)).count();
       });
  each("millrace_route_late", "gauge", "1 while an event is undelivered past slo.within.",
       [this](const config::Route& route, const deliver::LaneStatus& lane) {
         return undelivered_for(lane) > route.slo_within ? 1 : 0;
       });
  for (const RouteMetric& metric : kRouteMetrics) {
    each(metric.name, metric.type, metric.help,
         [&metric](const config::Route&, const deliver::LaneStatus& lane) {
           return metric.value(lane);
         });
  }
}

// What never reached an endpoint of the data plane.
void Operations::append_http_metrics(std::string& out) const {
  if (!broker_.ready_) return;
  const HttpServer::Counters& counters = broker_.data_server_->counters();
  const std::pair<std::string_view, std::uint64_t> refused[] = {
      {"malformed", counters.refused},
      {"too_large", counters.too_large},
      {"late", counters.timed_out},
      {"connections", counters.over_connections}};
  out +=
      "# HELP millrace_http_refused_total Requests to the data plane refused before they were "
      "read.\n# TYPE millrace_http_refused_total counter\n";
  for (const auto& [outcome, count] : refused) {
    fmt::format_to(std::back_inserter(out), "millrace_http_refused_total{{outcome=\"{}\"}} {}\n",
                   outcome, count);
  }
}

void Operations::append_dropped_metrics(std::string& out) const {
  out +=
      "# HELP millrace_messages_dropped_total Messages that were acknowledged and came to "
      "nothing.\n# TYPE millrace_messages_dropped_total counter\n";
  const auto config = broker_.config();
  for (const auto& [name, connection] : config->connections) {
    const bool hooks = !connection.hook_tokens.empty() || connection.verify;
    if (!hooks && connection.type != "kafka") continue;
    const DroppedCounts counts = broker_.counters_->dropped.of(name);
    const std::pair<std::string_view, std::uint64_t> reasons[] = {
        {"stale", counts.stale},
        {"unreadable", counts.unreadable},
        {"model_not_read", counts.model_not_read}};
    for (const auto& [reason, count] : reasons) {
      fmt::format_to(std::back_inserter(out),
                     "millrace_messages_dropped_total{{connection=\"{}\",reason=\"{}\"}} {}\n",
                     name, reason, count);
    }
  }
}

Awaitable<std::string> Operations::metrics() {
  std::string out;
  ingress::append_metrics(out, *broker_.counters_);
  const auto gauge = [&out](std::string_view name, std::string_view help, std::string_view labels,
                            auto value) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} gauge\n{0}{2} {3}\n", name,
                   help, labels, value);
  };
  const auto counter = [&out](std::string_view name, std::string_view help, std::uint64_t value) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} counter\n{0} {2}\n", name,
                   help, value);
  };
  gauge("millrace_generation", "Generation of the running configuration.", "",
        broker_.generation_.load());
  gauge("millrace_ready", "1 while messages are taken in.", "", broker_.ready_.load() ? 1 : 0);
  gauge("millrace_log_troubles", "Files of the log that cannot be read or written as they should.",
        "", broker_.log_->troubles().size());
  if (const auto ends = broker_.certificate_ends()) {
    gauge("millrace_certificate_expiry_seconds",
          "When the certificate of both listeners ends, in seconds since 1970.", "",
          std::chrono::floor<std::chrono::seconds>(ends->time_since_epoch()).count());
  }
  const StateCondition state = broker_.state_->condition();
  const WallTime away_at = state.away_at.value_or(broker_.clock_.wall_now());
  gauge("millrace_state_up", "1 while the state store answers.", "", state.away_at ? 0 : 1);
  gauge("millrace_state_away_seconds", "For how long the state store has not answered; 0: it does.",
        "", std::chrono::duration<double>(broker_.clock_.wall_now() - away_at).count());
  gauge("millrace_state_full", "1 while the state store has no space for a commit.", "",
        state.full_at ? 1 : 0);
  counter("millrace_state_outages_total", "How often the state store was away.", state.outages);
  counter("millrace_state_repeats_total",
          "Transactions of the state store that were tried again after a conflict or an outage.",
          state.repeats);
  if (const auto spooled = broker_.log_->spooled()) {
    gauge("millrace_spool_records", "Messages that wait in the spool for Kafka.", "",
          spooled->records);
    gauge("millrace_spool_bytes", "Bytes of their payloads.", "", spooled->bytes);
    const WallTime oldest = spooled->oldest_at.value_or(broker_.clock_.wall_now());
    gauge("millrace_spool_oldest_seconds", "Age of the oldest of them; 0: none waits.", "",
          std::chrono::duration<double>(broker_.clock_.wall_now() - oldest).count());
    counter("millrace_spool_messages_total", "Messages that were spooled since the start.",
            spooled->spooled_total);
    counter("millrace_spool_forwarded_total", "Messages that came from the spool into the log.",
            spooled->forwarded_total);
  }
  const watch::DiskReport disk = broker_.disk_report();
  gauge("millrace_log_bytes", "Bytes of the log on disk.", "", disk.usage.bytes);
  gauge("millrace_log_budget_bytes", "What retention.size leaves to the log.", "",
        disk.budget_bytes);
  gauge("millrace_log_budget_alarm", "0, 50, 75 or 90: percent of its budget the log has reached.",
        "", disk.alarm);
  if (disk.usage.disk_size > 0) {  // a log on Kafka takes no disk of ours
    gauge("millrace_disk_free_ratio", "Free share of the log's file system.", "",
          disk.usage.disk_free_fraction);
  }
  out += "# HELP millrace_connection_up 1 while the target answers.\n";
  out += "# TYPE millrace_connection_up gauge\n";
  for (const auto& [name, unit] : broker_.connections_) {
    if (!unit.target) continue;
    fmt::format_to(std::back_inserter(out), "millrace_connection_up{{connection=\"{}\"}} {}\n",
                   name, unit.target->status().state == "up" ? 1 : 0);
  }
  append_group_metrics(out);
  append_kafka_metrics(out);
  append_http_metrics(out);
  append_dropped_metrics(out);
  const auto sums = co_await ask_lanes();
  append_route_metrics(out, sums);
  co_return out;
}

}  // namespace millrace::daemon
