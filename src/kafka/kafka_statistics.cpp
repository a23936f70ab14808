#include "kafka/kafka_statistics.hpp"

#include <algorithm>
#include <set>
#include <string>

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

// `up`: addresses we are connected to. To one asked first there may be two connections.
void add_broker(KafkaStatistics& sum, std::set<std::string, std::less<>>& up, const Json& value) {
  if (!value.is_object()) return;
  const JsonObject& broker = value.get_object();
  if (string_or(value, "state", "") == "UP") up.emplace(string_or(value, "nodename", ""));
  if (int_or(value, "nodeid", -1) >= 0) ++sum.brokers_known;
  sum.request_errors += number(broker, "txerrs");
  sum.request_timeouts += number(broker, "req_timeouts");
  sum.request_retries += number(broker, "txretries");
  sum.requests_in_flight += number(broker, "waitresp_cnt");
  sum.connects += number(broker, "connects");
  sum.disconnects += number(broker, "disconnects");
  const JsonObject* round_trip = object_at(broker, "rtt");
  if (round_trip == nullptr) return;
  const auto slowest = [&](std::int64_t& known, std::string_view name) {
    known = std::max(known, static_cast<std::int64_t>(number(*round_trip, name)));
  };
  slowest(sum.round_trip_p99_us, "p99");
  slowest(sum.round_trip_mean_us, "avg");
}

// What is fetched and not taken is behind, too. The end is known with the first answer.
void add_partition(KafkaStatistics& sum, const Json& value) {
  if (!value.is_object()) return;
  sum.fetch_queue_bytes += number(value.get_object(), "fetchq_size");
  if (string_or(value, "fetch_state", "") != "active") return;
  const std::int64_t end = int_or(value, "hi_offset", -1);
  const std::int64_t next = int_or(value, "next_offset", -1);
  if (end < 0 || next < 0) return;
  sum.records_behind += static_cast<std::uint64_t>(std::max<std::int64_t>(end - next, 0)) +
                        number(value.get_object(), "fetchq_cnt");
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
  std::set<std::string, std::less<>> up;
  for (const auto& member : *brokers) add_broker(sum, up, member.value());
  sum.brokers_up = static_cast<std::uint32_t>(up.size());
  const JsonObject* topics = object_at(all, "topics");
  if (topics == nullptr) return sum;
  for (const auto& topic : *topics) {
    if (!topic.value().is_object()) continue;
    const JsonObject* partitions = object_at(topic.value().get_object(), "partitions");
    if (partitions == nullptr) continue;
    for (const auto& partition : *partitions) add_partition(sum, partition.value());
  }
  return sum;
}

}  // namespace millrace
