#include "kafka/cloud_event_binding.hpp"

#include <gmock/gmock.h>
#include <librdkafka/rdkafka.h>

#include "millrace/ids.hpp"

namespace millrace {

namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

Event example() {
  Event event;
  event.id = "4711";
  event.type = "order.confirmed";
  event.source = "/plant/odoo";
  event.subject = "SO \"7\" \\ Müller\n";
  event.time = WallTime(microseconds(1'764'000'000'123'456));
  event.record = "odoo/sale.order/7";
  event.rev = (std::uint64_t{1} << 32) + 5;
  event.types = {"order.confirmed", "order.changed"};
  event.cause = "12:345";
  event.correlation_id = "c-1";
  event.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  event.data = *parse_json(R"({"name":"SO7","amount":3.0,"note":"\"data\":{}","lines":[1,2]})");
  return event;
}

std::vector<std::pair<std::string_view, std::string_view>> views(const BoundEvent& bound) {
  std::vector<std::pair<std::string_view, std::string_view>> all;
  for (const auto& header : bound.headers) all.emplace_back(header.name, header.value);
  return all;
}

TEST(CloudEventBinding, IsBinaryMode) {
  const auto bound = bind_event(encode(example()));
  ASSERT_TRUE(bound) << bound.error().message;
  EXPECT_THAT(
      bound->headers,
      UnorderedElementsAre(
          KafkaHeader{"ce_specversion", "1.0"}, KafkaHeader{"ce_id", "4711"},
          KafkaHeader{"ce_source", "/plant/odoo"}, KafkaHeader{"ce_type", "order.confirmed"},
          KafkaHeader{"ce_subject", "SO \"7\" \\ Müller\n"},
          KafkaHeader{"ce_time", "2025-11-24T16:00:00.123456Z"},
          KafkaHeader{"content-type", "application/json"},
          KafkaHeader{"ce_record", "odoo/sale.order/7"}, KafkaHeader{"ce_rev", "4294967301"},
          KafkaHeader{"ce_entityversion", "1"},
          KafkaHeader{"ce_types", "order.confirmed,order.changed"},
          KafkaHeader{"ce_cause", "12:345"}, KafkaHeader{"ce_correlationid", "c-1"},
          KafkaHeader{"ce_traceparent",
                      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}));
  EXPECT_EQ(bound->value, write_json(example().data));
  EXPECT_TRUE(is_bound_event(views(*bound)));
}

TEST(CloudEventBinding, GivesBackThePayload) {
  Event bare;
  bare.id = "1";
  bare.type = "order.created";
  bare.source = "/plant/hook";
  for (const auto& event : {example(), bare}) {
    const auto payload = encode(event);
    const auto bound = bind_event(payload);
    ASSERT_TRUE(bound) << bound.error().message;
    const auto back = unbind_event(views(*bound), bound->value);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, payload);
  }
}

TEST(CloudEventBinding, PassesOverHeadersThatAreNone) {
  const auto bound = *bind_event(encode(example()));
  auto headers = views(bound);
  headers.emplace_back("x-tool", "abc");
  const auto back = unbind_event(headers, "{}");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_THAT(*back, Not(HasSubstr("abc")));
  EXPECT_THAT(*back, HasSubstr("\"data\":{}}"));
}

TEST(CloudEventBinding, RefusesWhatIsNoEvent) {
  for (const char* payload : {"", "{", "{}", "[]", R"({"id":1,"data":{}})", R"({"id":"1"})",
                              R"({"id":"1","data")", R"({"id)"}) {
    EXPECT_FALSE(bind_event(payload)) << payload;
  }
  const auto refused = unbind_event({}, "{}");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("ce_specversion, ce_id, ce_source, ce_type"));
  EXPECT_FALSE(is_bound_event({}));
}

TEST(CloudEventBinding, KeysLieWhereKafkasOwnClientsPutThem) {
  for (const char* key : {"odoo/sale.order/7", "events:/erp/order-9", "hook/ä", "k", "ab", "abc"}) {
    const auto theirs = rd_kafka_msg_partitioner_murmur2(nullptr, key, std::strlen(key),
                                                         kPartitionCount, nullptr, nullptr);
    EXPECT_EQ(partition_of(key), theirs) << key;
  }
}

}  // namespace

}  // namespace millrace
