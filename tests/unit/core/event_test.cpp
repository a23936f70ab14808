#include "millrace/event.hpp"

#include <gtest/gtest.h>

#include <array>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/null_resource.hpp>

namespace millrace {
namespace {

Event sample() {
  Event event;
  event.id = "1";
  event.type = "sales_order.confirmed";
  event.entity = "sales_order";
  event.source = "/plant/odoo";
  event.subject = "lyon/S1";
  event.time = *parse_rfc3339("2026-11-21T22:05:48.421628Z");
  event.record = "odoo/sale.order/55";
  event.rev = (1ull << 32) + 7;
  event.entity_version = 2;
  event.types = {"sales_order.confirmed", "sales_order.changed"};
  event.cause = "3:17";
  event.data = *parse_json(R"({"number":"S1","total":3.0})");
  return event;
}

TEST(Event, SurvivesTheLog) {
  const Event event = sample();
  const auto again = decode_event(encode(event));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(encode(*again), encode(event));
  EXPECT_EQ(again->name(), "confirmed");
  EXPECT_EQ(again->rev, event.rev);
  EXPECT_EQ(again->types, event.types);
}

TEST(Event, IsReadWhateverTheOrderOfItsAttributes) {
  const Json written = *parse_json(encode(sample()));
  JsonObject turned;
  const JsonObject& members = written.get_object();
  for (std::size_t i = members.size(); i > 0; --i) {
    const auto& member = *(members.begin() + static_cast<std::ptrdiff_t>(i - 1));
    turned.emplace(member.key(), member.value());
  }
  const auto again = decode_event(write_json(Json(std::move(turned))));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(encode(*again), encode(sample()));
}

TEST(Event, IsReadIntoTheMemoryItIsGiven) {
  std::array<unsigned char, 8192> buffer;
  boost::json::monotonic_resource memory(buffer.data(), buffer.size(),
                                         boost::json::get_null_resource());
  const auto event = read_event(encode(sample()), &memory);
  ASSERT_TRUE(event) << event.error().message;
  const DecodedEventPtr usual = make_decoded(sample());
  EXPECT_TRUE(equal_json(event->input, usual->input)) << write_json(event->input);
  EXPECT_EQ(event->event.id, usual->event.id);
  for (const auto& [key, value] : event->input.get_object()) {
    EXPECT_EQ(value.storage().get(), &memory) << key;
  }
}

TEST(RawMessage, SurvivesTheLogByteForByte) {
  RawMessage message;
  message.kind = RawMessage::Kind::doorbell;
  message.connection = "odoo";
  message.record = "odoo/sale.order/55";
  message.origin = "hook";
  message.received_at = *parse_rfc3339("2026-11-21T22:05:48Z");
  message.headers = {{"content-type", "application/json"}};
  message.body = std::string("\0\xff{", 3) + std::string(300, 'x');
  const std::string bytes = encode(message);
  const auto again = decode_raw_message(bytes);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->body, message.body);
  EXPECT_EQ(again->headers, message.headers);
  EXPECT_EQ(encode(*again), bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_raw_message(std::string_view(bytes).substr(0, size))) << size;
  }
}

TEST(Partition, IsTheOneKafkaChooses) {
  // Vectors of Kafka's UtilsTest.testMurmur2.
  EXPECT_EQ(static_cast<std::int32_t>(murmur2("21")), -973932308);
  EXPECT_EQ(static_cast<std::int32_t>(murmur2("foobar")), -790332482);
  EXPECT_EQ(static_cast<std::int32_t>(murmur2("a-little-bit-long-string")), -985981536);
  EXPECT_EQ(static_cast<std::int32_t>(murmur2("a-little-bit-longer-string")), -1486304829);
  EXPECT_EQ(static_cast<std::int32_t>(murmur2("abc")), 479470107);
}

TEST(Clock, ReadsAndWritesRfc3339) {
  EXPECT_EQ(to_rfc3339(*parse_rfc3339("2026-11-21T23:05:48.5+01:00")),
            "2026-11-21T22:05:48.500000Z");
  for (const std::string_view bad :
       {"", "2026-11-21", "2026-13-01T00:00:00Z", "2026-11-21T25:00:00Z", "2026-11-21T22:05:48",
        "2026-11-21T22:05:48Zx"}) {
    EXPECT_FALSE(parse_rfc3339(bad)) << bad;
  }
}

}  // namespace
}  // namespace millrace
