// How one record of a Kafka topic goes into the log: a payload into the inbox, a CloudEvent among
// the events as if it had been posted to /events, and what cannot be read into the inbox as a dead
// letter to be, which names its place in the topic.
#pragma once

#include "ingress/dedupe_index.hpp"
#include "ingress/events_table.hpp"
#include "ingress/hook_table.hpp"
#include "kafka/kafka_consumer.hpp"
#include "millrace/event_log.hpp"

namespace millrace::ingress {

struct TakenRecord {
  Journal journal = Journal::inbox;
  RecordId id;
  LogEntry entry;
  bool unreadable = false;
};

/// `headers` are the record's. Read again it has the same id; one of a topic made anew has another,
/// unless the sender gives ids.
TakenRecord take_record(const HookSource& source, const EventsTable& events,
                        const KafkaRecord& record, HttpHeaders headers, WallTime now);

}  // namespace millrace::ingress
