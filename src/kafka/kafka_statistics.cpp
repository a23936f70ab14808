#include "kafka/kafka_statistics.hpp"

#include <algorithm>

#include "millrace/json.hpp"

namespace millrace {

namespace {

std::uint64_t number(const JsonObject& object, std::string_view name) {
  const Json* value = object.if_contains(name);
  if (value == nullptr) return 0;
  if (value->is_uint64()) return value->get_uint64();
  return value->is_int64() && value->get_int64() > 0
             ? static_cast<std::uint64_t>(value->get_int64())
             : 0;
}

const JsonObject* object_at(const JsonObject& object, std::string_view name) {
  const Json* value = object.if_contains(name);
  return value != nullptr && value->is_object() ? &value->get_object() : nullptr;
}

void add_broker(KafkaStatistics& sum, const Json& value) {
  if (!value.is_object()) return;
  const JsonObject& broker = value.get_object();
  if (string_or(value, "state", "") == "UP") ++sum.brokers_up;
  if (int_or(value, "nodeid", -1) >= 0) ++sum.brokers_known;
  sum.request_errors += number(broker, "txerrs");
  sum.request_timeouts += number(broker, "req_timeouts");
  sum.request_retries += number(broker, "txretries");
  sum.connects += number(broker, "connects");
  sum.disconnects += number(broker, "disconnects");
  const JsonObject* round_trip = object_at(broker, "rtt");
  if (round_trip == nullptr) return;
  sum.round_trip_p99_us =
      std::max(sum.round_trip_p99_us, static_cast<std::int64_t>(number(*round_trip, "p99")));
}

}  // namespace

Result<KafkaStatistics> parse_kafka_statistics(std::string_view json) {
  MILLRACE_TRY(parsed, parse_json(json));
  if (!parsed.is_object()) return fail(Errc::malformed, "Kafka's statistics are no JSON object");
  const JsonObject& all = parsed.get_object();
  KafkaStatistics sum;
  sum.queued_messages = number(all, "msg_cnt");
  sum.queued_bytes = number(all, "msg_size");
  sum.sent_messages = number(all, "txmsgs");
  sum.sent_bytes = number(all, "txmsg_bytes");
  sum.received_messages = number(all, "rxmsgs");
  sum.received_bytes = number(all, "rxmsg_bytes");
  sum.requests = number(all, "tx");
  const JsonObject* brokers = object_at(all, "brokers");
  if (brokers == nullptr) return fail(Errc::malformed, "Kafka's statistics name no brokers");
  for (const auto& member : *brokers) add_broker(sum, member.value());
  const JsonObject* topics = object_at(all, "topics");
  if (topics == nullptr) return sum;
  for (const auto& topic : *topics) {
    if (!topic.value().is_object()) continue;
    const JsonObject* partitions = object_at(topic.value().get_object(), "partitions");
    if (partitions == nullptr) continue;
    for (const auto& partition : *partitions)
      if (partition.value().is_object())
        sum.fetch_queue_bytes += number(partition.value().get_object(), "fetchq_size");
  }
  return sum;
}

}  // namespace millrace
