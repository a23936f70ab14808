#include "ingress/kafka_taking.hpp"

#include <fmt/format.h>

#include <expected>
#include <utility>

#include "ingress/key_store.hpp"
#include "millrace/ids.hpp"

namespace millrace::ingress {
namespace {

void add_place(HttpHeaders& headers, const KafkaRecord& record) {
  headers.emplace_back("kafka_key", record.key);
  headers.emplace_back("kafka_topic", record.topic);
  headers.emplace_back("kafka_partition", std::to_string(record.partition));
  headers.emplace_back("kafka_offset", std::to_string(record.offset));
  headers.emplace_back("kafka_time", to_rfc3339(record.timestamp));
}

std::string with_place(std::string reason, const KafkaRecord& record) {
  return fmt::format("{} (topic {} partition {} offset {})", std::move(reason), record.topic,
                     record.partition, record.offset);
}

TakenRecord to_inbox(RawMessage message, const KafkaRecord& record) {
  message.origin = "kafka";
  if (message.id.empty())
    message.id = fmt::format("{}/{}@{}/{}", record.topic, record.partition, record.offset,
                             record.timestamp.time_since_epoch().count());
  TakenRecord taken;
  taken.unreadable = message.kind == RawMessage::Kind::unreadable;
  taken.id = hook_key(message.connection, message.id);
  taken.entry.partition = partition_of(taken.unreadable ? message.connection : message.record);
  taken.entry.topic = message.connection;
  taken.entry.payload = encode(message);
  return taken;
}

TakenRecord unreadable(RawMessage message, std::string reason, const KafkaRecord& record) {
  make_unreadable(message, with_place(std::move(reason), record));
  return to_inbox(std::move(message), record);
}

std::expected<Event, EventRefusal> read_event(const HookSource& source, const EventsTable& events,
                                              const KafkaRecord& record, const HttpHeaders& headers,
                                              WallTime now) {
  const bool dated = record.timestamp != WallTime();
  auto event = read_kafka_event(headers, record.value, dated ? record.timestamp : now);
  if (!event) return event;
  if (!any_matches(source.events->sources, event->source) ||
      !any_matches(source.events->types, event->type)) {
    return std::unexpected(EventRefusal{
        403, "`events:` of the connection takes no event of this source and type", ""});
  }
  if (auto refusal = events.check(*event)) return std::unexpected(*std::move(refusal));
  return event;
}

}  // namespace

TakenRecord take_record(const HookSource& source, const EventsTable& events,
                        const KafkaRecord& record, HttpHeaders headers, WallTime now) {
  const auto body = [&] { return std::string(record.value.substr(0, source.body_bytes_max)); };
  if (record.value.size() > source.body_bytes_max) {
    add_place(headers, record);
    return unreadable(raw_message(source, headers, body(), now),
                      "the record is larger than `limits.body`", record);
  }
  if (!source.events) {
    add_place(headers, record);
    RawMessage message = read_hook(source, headers, body(), now).message;
    if (message.kind == RawMessage::Kind::unreadable) {
      std::string reason = take_reason(message);
      return unreadable(std::move(message), std::move(reason), record);
    }
    return to_inbox(std::move(message), record);
  }
  const auto event = read_event(source, events, record, headers, now);
  if (!event) {
    const EventRefusal& refusal = event.error();
    add_place(headers, record);
    return unreadable(raw_message(source, headers, body(), now),
                      refusal.pointer.empty()
                          ? refusal.detail
                          : fmt::format("{}: {}", refusal.pointer, refusal.detail),
                      record);
  }
  TakenRecord taken;
  taken.journal = Journal::events;
  taken.id = event_key(event->source, event->id);
  taken.entry = {partition_of(event->record), event->entity, encode(*event)};
  return taken;
}

}  // namespace millrace::ingress
