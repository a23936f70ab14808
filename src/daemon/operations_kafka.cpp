// Kafka in the answers of the admin plane: what its clients say of themselves, and topics that keep
// what is taken in too slowly.
#include <fmt/format.h>

#include <array>
#include <utility>
#include <vector>

#include "daemon/operations.hpp"
#include "log/kafka_numbers.hpp"

namespace millrace::daemon {
namespace {

struct ClientMetric {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  double (*value)(const KafkaStatistics& client);
};

double in_seconds(std::int64_t microseconds) {
  return static_cast<double>(microseconds) / 1e6;
}

constexpr std::array<ClientMetric, 11> kClientMetrics{{
    {"millrace_kafka_brokers_up", "gauge", "Brokers the client is connected to.",
     [](const KafkaStatistics& client) { return static_cast<double>(client.brokers_up); }},
    {"millrace_kafka_queued_records", "gauge", "Records without an acknowledgement yet.",
     [](const KafkaStatistics& client) { return static_cast<double>(client.queued_messages); }},
    {"millrace_kafka_queued_bytes", "gauge", "Bytes of these.",
     [](const KafkaStatistics& client) { return static_cast<double>(client.queued_bytes); }},
    {"millrace_kafka_requests_in_flight", "gauge", "Requests that brokers have not answered yet.",
     [](const KafkaStatistics& client) { return static_cast<double>(client.requests_in_flight); }},
    {"millrace_kafka_round_trip_p99_seconds", "gauge",
     "How long the slowest broker takes to answer; over the last seconds.",
     [](const KafkaStatistics& client) { return in_seconds(client.round_trip_p99_us); }},
    {"millrace_kafka_round_trip_mean_seconds", "gauge", "The same, in the mean.",
     [](const KafkaStatistics& client) { return in_seconds(client.round_trip_mean_us); }},
    {"millrace_kafka_requests_total", "counter", "Requests sent to brokers.",
     [](const KafkaStatistics& client) { return static_cast<double>(client.requests); }},
    {"millrace_kafka_request_retries_total", "counter", "Requests that were sent again.",
     [](const KafkaStatistics& client) { return static_cast<double>(client.request_retries); }},
    {"millrace_kafka_request_errors_total", "counter", "Requests that could not be sent.",
     [](const KafkaStatistics& client) { return static_cast<double>(client.request_errors); }},
    {"millrace_kafka_request_timeouts_total", "counter", "Requests that were not answered in time.",
     [](const KafkaStatistics& client) { return static_cast<double>(client.request_timeouts); }},
    {"millrace_kafka_disconnects_total", "counter", "Connections to brokers that ended.",
     [](const KafkaStatistics& client) { return static_cast<double>(client.disconnects); }},
}};

std::string kept_text(milliseconds kept_for) {
  const auto hours = std::chrono::floor<std::chrono::hours>(kept_for);
  if (hours.count() > 0) return fmt::format("{} hours", hours.count());
  return fmt::format("{} seconds", std::chrono::floor<seconds>(kept_for).count());
}

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

void append_counters(std::string& out, const KafkaProducer::Counters& counters) {
  constexpr std::string_view kAnew = "millrace_kafka_producers_made_anew_total";
  head(out, kAnew, "counter", "Producers of the log made anew after a fatal error.");
  fmt::format_to(std::back_inserter(out), "{} {}\n", kAnew, counters.recreated);
  constexpr std::string_view kResent = "millrace_kafka_records_resent_total";
  head(out, kResent, "counter", "Records sent again for that; they may be in the log twice.");
  fmt::format_to(std::back_inserter(out), "{} {}\n", kResent, counters.resent);
}

}  // namespace

// Labels are the log's two clients and the connections of type kafka that are read here.
void Operations::append_kafka_metrics(std::string& out) const {
  std::vector<std::pair<std::string, KafkaStatistics>> readers;
  std::vector<std::pair<std::string, std::uint64_t>> aged;
  for (const auto& [name, unit] : broker_.connections_) {
    if (!unit.kafka) continue;
    const ingress::KafkaSourceStatus status = unit.kafka->status();
    readers.emplace_back("source/" + name, status.statistics);
    aged.emplace_back(name, status.aged.records);
  }
  auto clients = readers;
  if (broker_.kafka_numbers_) {
    const log::KafkaNumbers::Numbers numbers = broker_.kafka_numbers_->get();
    append_counters(out, numbers.counters);
    clients.emplace_back("producer", numbers.producer);
    if (numbers.tail) readers.emplace_back(clients.emplace_back("tail", *numbers.tail));
  }
  if (clients.empty()) return;
  for (const ClientMetric& metric : kClientMetrics) {
    head(out, metric.name, metric.type, metric.help);
    for (const auto& [client, statistics] : clients)
      fmt::format_to(std::back_inserter(out), "{}{{client=\"{}\"}} {}\n", metric.name, client,
                     metric.value(statistics));
  }
  constexpr std::string_view kBehind = "millrace_kafka_records_behind";
  head(out, kBehind, "gauge", "Records in the topics it reads that a client has not taken yet.");
  for (const auto& [client, statistics] : readers)
    fmt::format_to(std::back_inserter(out), "{}{{client=\"{}\"}} {}\n", kBehind, client,
                   statistics.records_behind);
  constexpr std::string_view kAged = "millrace_kafka_aged_records";
  head(out, kAged, "gauge",
       "Records not taken in yet that are older than half of what their topic keeps.");
  for (const auto& [name, records] : aged)
    fmt::format_to(std::back_inserter(out), "{}{{connection=\"{}\"}} {}\n", kAged, name, records);
}

JsonArray Operations::kafka_problems() const {
  JsonArray list;
  for (const auto& [name, unit] : broker_.connections_) {
    if (!unit.kafka) continue;
    const ingress::KafkaAged aged = unit.kafka->status().aged;
    if (aged.records == 0) continue;
    list.push_back(problem(
        fmt::format("{} records for connection {} wait for longer than half of the {} for which "
                    "their topic keeps them",
                    aged.records, name, kept_text(aged.kept_for)),
        aged.since, "", name,
        fmt::format("millrace connections check {}; raise the topic's retention.ms meanwhile",
                    name)));
  }
  return list;
}

}  // namespace millrace::daemon
