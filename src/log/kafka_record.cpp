#include "log/kafka_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kafka/cloud_event_binding.hpp"
#include "log/kafka_log.hpp"

namespace millrace::log {
namespace {

constexpr std::string_view kTopicHeader = "millrace-topic";
constexpr std::string_view kRecordHeader = "ce_record";
constexpr std::string_view kIdHeader = "millrace-id";
constexpr std::string_view kOwnerHeader = "millrace-owner";

}  // namespace

KafkaMessage to_kafka(Journal journal, const std::string& to, const LogEntry& entry,
                      std::string_view owner, WallTime at) {
  KafkaMessage message{.topic = to, .partition = entry.partition, .timestamp = at};
  const auto add_marks = [&] {
    if (!entry.id.empty()) message.headers.push_back({std::string(kIdHeader), entry.id});
    if (owner.empty() || !entry.of_owner) return;
    message.headers.push_back({std::string(kOwnerHeader), std::string(owner)});
  };
  if (journal == Journal::events) {
    if (auto bound = bind_event(entry.payload)) {
      message.headers = std::move(bound->headers);
      message.value = std::move(bound->value);
      const auto record = std::ranges::find(message.headers, kRecordHeader, &KafkaHeader::name);
      if (record != message.headers.end()) message.key = record->value;
      add_marks();
      return message;
    }
  }
  message.value = entry.payload;
  message.headers.push_back({std::string(kTopicHeader), entry.topic});
  add_marks();
  return message;
}

KafkaMarks marks_of(const KafkaRecord& record) {
  KafkaMarks marks;
  for (const auto& [name, value] : record.headers()) {
    if (name == kIdHeader) marks.id = value;
    if (name == kOwnerHeader) marks.owner = value;
  }
  return marks;
}

Result<void> KafkaBatchBuilder::add(const KafkaRecord& record) {
  const auto headers = record.headers();
  const auto partition = static_cast<Partition>(record.partition);
  const auto offset = static_cast<Offset>(record.offset);
  if (is_bound_event(headers)) {
    auto payload = unbind_event(headers, record.value);
    if (!payload) {
      return fail(Errc::malformed, fmt::format("{} {}:{}: {}", record.topic, partition, offset,
                                               payload.error().message));
    }
    put(partition, offset, record.timestamp, stream_.topic, *payload, nullptr);
    return {};
  }
  const auto topic = std::ranges::find(headers, kTopicHeader,
                                       &std::pair<std::string_view, std::string_view>::first);
  if (topic == headers.end()) {
    return fail(Errc::malformed,
                fmt::format("{} {}:{} is no record of this log", record.topic, partition, offset));
  }
  put(partition, offset, record.timestamp, topic->second, record.value, nullptr);
  return {};
}

void KafkaBatchBuilder::add(Partition partition, Offset offset, WallTime at,
                            const LogEntry& entry) {
  put(partition, offset, at, entry.topic, entry.payload, entry.decoded);
}

void KafkaBatchBuilder::put(Partition partition, Offset offset, WallTime at, std::string_view topic,
                            std::string_view payload, std::shared_ptr<const void> decoded) {
  const std::size_t topic_at = bytes_.size();
  bytes_ += topic;
  const std::size_t payload_at = bytes_.size();
  bytes_ += payload;
  places_.push_back(
      {partition, offset, at, topic_at, payload_at, bytes_.size(), std::move(decoded)});
}

RecordBatchPtr KafkaBatchBuilder::build() {
  auto batch = std::make_shared<RecordBatch>();
  batch->bytes = std::move(bytes_);
  batch->records.reserve(places_.size());
  const std::string_view all = batch->bytes;
  for (Place& place : places_) {
    batch->records.push_back({place.partition, place.offset, place.at,
                              all.substr(place.topic_at, place.payload_at - place.topic_at),
                              all.substr(place.payload_at, place.end - place.payload_at),
                              std::move(place.decoded)});
  }
  places_.clear();
  bytes_.clear();
  return batch;
}

}  // namespace millrace::log

namespace millrace {

std::string kafka_topic_of(std::string_view prefix, const LogStream& stream) {
  std::string topic = fmt::format("{}.{}", prefix, to_string(stream.journal));
  return stream.topic.empty() ? topic : topic + "." + stream.topic;
}

}  // namespace millrace
