#include "log/kafka_health.hpp"

#include <fmt/format.h>

#include <utility>

namespace millrace::log {

// A broker that is away says so at once; one that is frozen keeps what it was handed.
void KafkaLogHealth::look(const KafkaProducer& producer, WallTime now) {
  const std::uint64_t delivered = producer.counters().delivered;
  const bool stuck = producer.outstanding() > 0 && delivered == delivered_;
  delivered_ = delivered;
  KafkaHealth health = producer.health();
  // What was handed over a moment ago is on its way: not before the second look.
  if (stuck && stuck_since_ && !health.away_since) health.away_since = stuck_since_;
  if (!stuck) stuck_since_.reset();
  if (stuck && !stuck_since_) stuck_since_ = now;
  const std::lock_guard lock(mutex_);
  health_ = std::move(health);
}

KafkaHealth KafkaLogHealth::now() const {
  const std::lock_guard lock(mutex_);
  return health_;
}

std::vector<EventLog::Trouble> KafkaLogHealth::troubles(const std::string& brokers,
                                                        const std::string& while_away) const {
  const std::lock_guard lock(mutex_);
  if (!health_.away_since) return {};
  return {{fmt::format("Kafka ({}) does not acknowledge{}{}; {}", brokers,
                       health_.reason.empty() ? "" : ": ", health_.reason, while_away),
           *health_.away_since, "see to the brokers; all goes on by itself once they are back"}};
}

}  // namespace millrace::log
