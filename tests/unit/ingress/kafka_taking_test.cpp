#include "ingress/kafka_taking.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace millrace::ingress {
namespace {

const WallTime kNow{seconds(1'795'298'748)};

EventsTable notes() {
  config::Config config;
  config::Entity& note = config.entities["note"];
  note.version = 3;
  note.events.push_back({"written", program("true")});
  note.schema = *parse_json(R"({"type": "object", "required": ["text"]})");
  return EventsTable(config);
}

HookSource lab() {
  HookSource source;
  source.connection = "lab";
  source.keeps_headers = true;
  source.events = {{"/lab/*"}, {"note.*"}};
  return source;
}

HttpHeaders attributes() {
  return {{"ce_specversion", "1.0"},
          {"ce_id", "100%"},
          {"ce_source", "/lab/1"},
          {"ce_type", "note.written"},
          {"ce_subject", "LOT-9"}};
}

KafkaRecord record(std::string_view value) {
  KafkaRecord made;
  made.topic = "lab.notes";
  made.partition = 2;
  made.offset = 7;
  made.timestamp = kNow - seconds(60);
  made.value = value;
  return made;
}

TakenRecord take(std::string_view value, HttpHeaders headers, const HookSource& source = lab()) {
  return take_record(source, notes(), record(value), std::move(headers), kNow);
}

std::string why(const TakenRecord& taken) {
  EXPECT_TRUE(taken.unreadable);
  EXPECT_EQ(taken.journal, Journal::inbox);
  EXPECT_EQ(taken.entry.partition, partition_of("lab"));
  auto message = decode_raw_message(taken.entry.payload);
  EXPECT_EQ(message->kind, RawMessage::Kind::unreadable);
  return take_reason(*message);
}

constexpr std::string_view kPlace = " (topic lab.notes partition 2 offset 7)";

// Kafka's headers are texts as they are: nothing is percent-encoded.
TEST(KafkaTaking, ReadsBinaryModeAsItStands) {
  const TakenRecord taken = take(R"({"text":"good"})", attributes());
  ASSERT_FALSE(taken.unreadable);
  EXPECT_EQ(taken.journal, Journal::events);
  EXPECT_EQ(taken.id, event_key("/lab/1", "100%"));
  EXPECT_EQ(taken.entry.topic, "note");
  EXPECT_EQ(taken.entry.partition, partition_of("events:/lab/1/LOT-9"));
  const auto event = decode_event(taken.entry.payload);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->record, "events:/lab/1/LOT-9");
  EXPECT_EQ(event->entity_version, 3u);
  EXPECT_EQ(event->time, kNow - seconds(60)) << "the record's own time, which is always the same";
  EXPECT_EQ(write_json(event->data), R"({"text":"good"})");
}

TEST(KafkaTaking, ReadsStructuredModeByItsContentType) {
  const std::string_view value =
      R"({"specversion":"1.0","id":"1","source":"/lab/1","type":"note.written",)"
      R"("subject":"LOT-9","data":{"text":"good"}})";
  EXPECT_FALSE(take(value, {{"content-type", "application/cloudevents+json"}}).unreadable);
  EXPECT_EQ(why(take(value, {})),
            "send a CloudEvent: application/cloudevents+json, or ce_ headers and a JSON body" +
                std::string(kPlace));
  EXPECT_TRUE(why(take(value, {{"content-type", "application/cloudevents-batch+json"}}))
                  .contains("one a record"));
}

TEST(KafkaTaking, RefusesWhatEventsRefuses) {
  const auto with = [](std::string_view name, std::string value) {
    HttpHeaders headers = attributes();
    std::erase_if(headers, [&](const auto& header) { return header.first == name; });
    if (!value.empty()) headers.emplace_back(name, std::move(value));
    return headers;
  };
  constexpr std::string_view kGood = R"({"text":"good"})";
  EXPECT_TRUE(why(take(kGood, with("ce_subject", ""))).starts_with("/subject: "));
  EXPECT_TRUE(why(take(kGood, with("ce_rev", "1"))).contains("reserved"));
  EXPECT_TRUE(why(take(kGood, with("ce_type", "note.lost"))).starts_with("/type: no entity"));
  EXPECT_TRUE(why(take(kGood, with("ce_source", "/shop"))).starts_with("`events:` of the"));
  EXPECT_TRUE(why(take(kGood, with("content-type", "text/xml"))).contains("application/json"));
  EXPECT_TRUE(why(take(R"({"words":"bad"})", attributes())).starts_with("/data: "));
  EXPECT_TRUE(why(take("{", attributes())).contains("cannot be read as JSON"));
  EXPECT_TRUE(why(take("", attributes())).ends_with(kPlace));
}

TEST(KafkaTaking, NamesThePlaceOfAPayloadThatCannotBeRead) {
  HookSource source;
  source.connection = "lab";
  source.paths = {{"id"}};
  source.body_bytes_max = 16;
  EXPECT_TRUE(why(take("no json", {}, source)).ends_with(kPlace));
  EXPECT_EQ(why(take(R"({"id":"0123456789"})", {}, source)),
            "the record is larger than `limits.body`" + std::string(kPlace));
  const TakenRecord taken = take(R"({"id":7})", {}, source);
  EXPECT_FALSE(taken.unreadable);
  EXPECT_EQ(taken.entry.partition, partition_of("lab/7"));
}

}  // namespace
}  // namespace millrace::ingress
