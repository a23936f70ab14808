// The event log on Kafka (semantics 6): one topic for the inbox, one for the trail, one for each
// entity's events, all of 64 partitions; events in CloudEvents' binary form, so that any consumer
// can read them. Promises what EventLog promises; each topic of the events is a stream of its own.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kafka/kafka_admin.hpp"
#include "millrace/clock.hpp"
#include "millrace/event_log.hpp"

namespace millrace {
namespace log {
class KafkaNumbers;
}

struct KafkaLogOptions {
  KafkaSettings settings;
  std::string prefix;                 ///< of its topics: "millrace.lyon" makes millrace.lyon.inbox
  std::vector<std::string> entities;  ///< and "dead": every topic that events are appended with
  const Clock& clock;
  std::string owner = {};  ///< this instance, of several: what only owners append says so
  /// Per journal, who is told the ids of the last `ids_window`; outlives the log. nullptr: nobody.
  std::array<IdMemory*, kJournalCount> id_memories{};
  std::chrono::seconds ids_window{7 * 24 * 3600};
  milliseconds answer_within{30'000};  ///< how long a reader waits for a record that is there
  milliseconds close_within{10'000};   ///< how long the end waits for acknowledgements
  /// Set about once a second; nullptr: nobody asks.
  std::shared_ptr<log::KafkaNumbers> numbers;
  std::string while_away = "messages are refused with 503";  ///< for the operator
};

/// Opens the log, and makes what it lacks: its topics, and on the first time its identity (record 0
/// of the topic <prefix>.log). Errc::not_connected when no broker answers, config or forbidden for
/// topics that are not as they must be (KafkaAdmin::ensure_topics).
Result<std::unique_ptr<EventLog>> open_kafka_log(KafkaLogOptions options);

/// The Kafka topic of a stream: "<prefix>.inbox", "<prefix>.events.<entity>".
std::string kafka_topic_of(std::string_view prefix, const LogStream& stream);

}  // namespace millrace
