#include "ingress/counters.hpp"

#include <fmt/format.h>

#include <iterator>

namespace millrace::ingress {

void append_metrics(std::string& out, const Counters& counters) {
  const auto read = [](const Counters::Count& count) {
    return count.load(std::memory_order_relaxed);
  };
  const auto family = [&](std::string_view name, std::string_view help) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} counter\n", name, help);
  };
  const auto line = [&](std::string_view name, std::string_view outcome,
                        const Counters::Count& count) {
    fmt::format_to(std::back_inserter(out), "{}{{outcome=\"{}\"}} {}\n", name, outcome,
                   read(count));
  };
  constexpr std::string_view kHooks = "millrace_ingress_hooks_total";
  family(kHooks, "Hooks received, by what became of them.");
  line(kHooks, "accepted", counters.hooks_accepted);
  line(kHooks, "duplicate", counters.hooks_duplicate);
  line(kHooks, "unreadable", counters.hooks_unreadable);
  line(kHooks, "model_not_read", counters.hooks_model_not_read);
  line(kHooks, "unknown", counters.hooks_unknown);
  line(kHooks, "unverified", counters.hooks_unverified);
  constexpr std::string_view kKafka = "millrace_ingress_kafka_total";
  family(kKafka, "Records read from Kafka topics, by what became of them.");
  line(kKafka, "accepted", counters.kafka_accepted);
  line(kKafka, "duplicate", counters.kafka_duplicate);
  line(kKafka, "unreadable", counters.kafka_unreadable);
  constexpr std::string_view kEvents = "millrace_ingress_events_total";
  family(kEvents, "Events posted to /events, by what became of them.");
  line(kEvents, "accepted", counters.events_accepted);
  line(kEvents, "duplicate", counters.events_duplicate);
  line(kEvents, "refused", counters.events_refused);
  line(kEvents, "unauthorized", counters.events_unauthorized);
  constexpr std::string_view kRefused = "millrace_ingress_refused_total";
  family(kRefused, "Requests refused for want of room, by reason.");
  line(kRefused, "too_large", counters.too_large);
  line(kRefused, "overloaded", counters.overloaded);
  line(kRefused, "disk_full", counters.disk_full);
  line(kRefused, "late", counters.late);
}

}  // namespace millrace::ingress
