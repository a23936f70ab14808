#include "ingress/events_endpoint.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace millrace::ingress {
namespace {

config::Config example() {
  config::Config config;
  config::Entity& report = config.entities["production_report"];
  report.name = "production_report";
  report.version = 3;
  report.events.push_back({"received", program("true")});
  report.schema = *parse_json(R"({
      "$schema": "http://json-schema.org/draft-07/schema#",
      "type": "object", "required": ["workOrder"],
      "properties": {"workOrder": {"type": "string"},
                     "lines": {"type": "array", "items": {"type": "object",
                               "properties": {"good": {"type": "number"}}}}}})");
  config::Entity& free = config.entities["note"];
  free.name = "note";
  free.events.push_back({"written", program("true")});
  return config;
}

std::string structured(std::string_view extra = "", std::string_view id = "e1") {
  return fmt::format(
      R"({{"specversion":"1.0","id":"{}","source":"mes-lyon","type":"production_report.received",)"
      R"("subject":"WO/7"{},"data":{{"workOrder":"WO/7"}}}})",
      id, extra);
}

class EventsEndpointTest : public ::testing::Test {
 protected:
  EventsEndpointTest() {
    harness.set_config(example());
    auto created = harness.run(harness.keys.create_key({"mes-*"}, {"production_report.*", "note.*"},
                                                       "test", harness.shard));
    EXPECT_TRUE(created.has_value());
    key = created->key;
    id = created->id;
  }
  IncomingRequest request(std::string body, HttpHeaders extra = {}) {
    extra.emplace_back("authorization", "Bearer " + key);
    if (!header(extra, "content-type")) {
      extra.emplace_back("content-type", "application/cloudevents+json; charset=utf-8");
    }
    return post("/events", std::move(body), std::move(extra));
  }
  HttpResponse send(std::string body, HttpHeaders extra = {}) {
    return harness.send(request(std::move(body), std::move(extra)));
  }
  Harness harness;
  std::string key;
  std::string id;
};

TEST_F(EventsEndpointTest, AppendsAStructuredEventAndAnswersItsId) {
  const auto answer = send(structured(R"(,"time":"2026-11-21T22:05:48Z","correlationid":"c1")"));
  EXPECT_EQ(answer.status, 202) << answer.body;
  EXPECT_EQ(answer.body, R"({"id":"e1","duplicate":false})");
  ASSERT_EQ(harness.log.entries().size(), 1u);
  const auto entry = harness.log.entries()[0];
  EXPECT_EQ(entry.journal, Journal::events);
  EXPECT_EQ(entry.entry.topic, "production_report");
  EXPECT_EQ(entry.entry.partition, partition_of("events:mes-lyon/WO/7"));
  const auto event = decode_event(entry.entry.payload);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->record, "events:mes-lyon/WO/7");
  EXPECT_EQ(event->types, std::vector<std::string>{"production_report.received"});
  EXPECT_EQ(event->rev, 0u);
  EXPECT_EQ(event->entity_version, 3u);
  EXPECT_EQ(event->correlation_id, "c1");
  EXPECT_EQ(to_rfc3339(event->time), "2026-11-21T22:05:48Z");
  EXPECT_EQ(write_json(event->data), R"({"workOrder":"WO/7"})");
}

TEST_F(EventsEndpointTest, ReadsBinaryMode) {
  const auto answer = send(R"({"workOrder":"7"})", {{"content-type", "application/json"},
                                                    {"ce-specversion", "1.0"},
                                                    {"ce-id", "b%201"},
                                                    {"ce-source", "mes-lyon"},
                                                    {"ce-type", "production_report.received"},
                                                    {"ce-subject", "7"}});
  EXPECT_EQ(answer.status, 202) << answer.body;
  EXPECT_EQ(answer.body, R"({"id":"b 1","duplicate":false})");
}

// It would be written as an event that nobody can read.
TEST_F(EventsEndpointTest, TakesNoAttributeThatIsNoText) {
  for (const char* subject : {"caf%E9", "caf\xE9"}) {
    EXPECT_EQ(send(R"({"workOrder":"7"})", {{"content-type", "application/json"},
                                            {"ce-specversion", "1.0"},
                                            {"ce-id", "1"},
                                            {"ce-source", "mes-lyon"},
                                            {"ce-type", "production_report.received"},
                                            {"ce-subject", subject}})
                  .status,
              400);
  }
  EXPECT_TRUE(harness.log.entries().empty());
}

TEST_F(EventsEndpointTest, SaysWhatItDoesNotTake) {
  EXPECT_EQ(send("{}", {{"content-type", "application/json"}}).status, 415);
  EXPECT_EQ(send("<a/>", {{"content-type", "text/xml"}, {"ce-specversion", "1.0"}}).status, 415);
  EXPECT_EQ(send("[]").status, 400);
  EXPECT_EQ(send("{").status, 400);
  EXPECT_EQ(send(structured(R"(,"data_base64":"AA==")")).status, 415);
  EXPECT_EQ(send(structured(R"(,"time":"yesterday")")).status, 400);
  EXPECT_EQ(send(structured("", "")).status, 400);
  EXPECT_EQ(send(structured("", "a\\u0000b")).status, 400);
  EXPECT_EQ(
      send(R"({"specversion":"1.0","id":"1","source":"mes-1","type":"note.written","data":1})")
          .status,
      400)
      << "subject is required";
  EXPECT_EQ(send(R"({"specversion":"0.3","id":"1","source":"mes-1","type":"note.written",)"
                 R"("subject":"s","data":1})")
                .status,
            400);
  EXPECT_EQ(send(R"({"specversion":"1.0","id":"1","source":"mes-1","type":"note.unknown",)"
                 R"("subject":"s","data":1})")
                .status,
            422);
  EXPECT_TRUE(harness.log.entries().empty());
}

TEST_F(EventsEndpointTest, RefusesWhatOnlyTheBrokerMaySay) {
  for (const char* name : {"record", "rev", "types", "cause", "origin", "program", "recordversion",
                           "entityversion", "causationid", "Record", "re_v"}) {
    EXPECT_EQ(send(structured(fmt::format(R"(,"{}":"x")", name))).status, 400) << name;
    EXPECT_EQ(send(R"({"workOrder":"7"})", {{"content-type", "application/json"},
                                            {"ce-specversion", "1.0"},
                                            {"ce-id", "1"},
                                            {"ce-source", "mes-lyon"},
                                            {"ce-type", "production_report.received"},
                                            {"ce-subject", "7"},
                                            {fmt::format("ce-{}", name), "x"}})
                  .status,
              400)
        << name;
  }
  EXPECT_TRUE(harness.log.entries().empty());
}

TEST_F(EventsEndpointTest, NamesThePlaceThatBreaksTheSchema) {
  const auto answer =
      send(R"({"specversion":"1.0","id":"1","source":"mes-1","type":"production_report.received",)"
           R"("subject":"s","data":{"workOrder":"7","lines":[{"good":1},{"good":"secret"}]}})");
  EXPECT_EQ(answer.status, 422);
  const auto body = parse_json(answer.body);
  ASSERT_TRUE(body.has_value()) << answer.body;
  const Json* errors = find(*body, "errors");
  ASSERT_NE(errors, nullptr) << answer.body;
  EXPECT_EQ(string_or(errors->get_array()[0], "pointer", ""), "/data/lines/1/good");
  EXPECT_EQ(answer.body.find("secret"), std::string::npos);
}

TEST_F(EventsEndpointTest, NeedsAValidKeyAndKeepsToItsScope) {
  IncomingRequest without = request(structured());
  without.headers.clear();
  EXPECT_EQ(harness.send(std::move(without)).status, 401);
  for (const std::string& wrong :
       {std::string("Bearer "), "Bearer mk_" + id, "Bearer mk_" + id + "_wrong", "Basic " + key,
        std::string("Bearer mk_000000000000_0"), key}) {
    IncomingRequest refused = request(structured());
    refused.headers = {{"content-type", "application/cloudevents+json"}, {"authorization", wrong}};
    const auto answer = harness.send(std::move(refused));
    EXPECT_EQ(answer.status, 401) << wrong;
    EXPECT_EQ(header(answer.headers, "www-authenticate"), "Bearer");
  }
  EXPECT_EQ(send(R"({"specversion":"1.0","id":"1","source":"wms","type":"note.written",)"
                 R"("subject":"s","data":1})")
                .status,
            403);
  ASSERT_TRUE(harness.run(harness.keys.revoke_key(id, harness.shard)).has_value());
  EXPECT_EQ(send(structured()).status, 401);
}

TEST_F(EventsEndpointTest, AnswersARepeatAsADuplicate) {
  EXPECT_EQ(send(structured()).body, R"({"id":"e1","duplicate":false})");
  const auto repeat = send(structured());
  EXPECT_EQ(repeat.status, 202);
  EXPECT_EQ(repeat.body, R"({"id":"e1","duplicate":true})");
  EXPECT_EQ(harness.log.entries().size(), 1u);
}

TEST_F(EventsEndpointTest, HonoursTheIdempotencyKey) {
  const HttpHeaders once{{"idempotency-key", "\"k1\""}};
  harness.log.hold();
  auto first = harness.start(request(structured(), once));
  harness.log.wait_for_held(1);
  EXPECT_EQ(send(structured(), once).status, 409);
  harness.log.release();
  EXPECT_EQ(first.get().status, 202);
  const auto repeat = send(structured(), once);
  EXPECT_EQ(repeat.status, 202);
  EXPECT_EQ(repeat.body, R"({"id":"e1","duplicate":true})");
  EXPECT_EQ(send(structured("", "e2"), once).status, 422);
  EXPECT_EQ(send(structured("", "e2"), {{"idempotency-key", "\"open"}}).status, 400);
  EXPECT_EQ(harness.log.entries().size(), 1u);
  harness.log.fail_next(Errc::disk_full);
  EXPECT_EQ(send(structured("", "e3"), {{"idempotency-key", "k3"}}).status, 503);
  EXPECT_EQ(send(structured("", "e3"), {{"idempotency-key", "k3"}}).body,
            R"({"id":"e3","duplicate":false})");
}

TEST_F(EventsEndpointTest, KnowsWhatSideFilesHold) {
  harness.log.archive({event_key("mes-lyon", "e1")});
  EXPECT_EQ(send(structured()).body, R"({"id":"e1","duplicate":true})");
  EXPECT_EQ(send(structured("", "e2")).body, R"({"id":"e2","duplicate":false})");
  EXPECT_EQ(harness.log.entries().size(), 1u);
  EXPECT_FALSE(harness.event_ids.contains(event_key("mes-lyon", "e1"), harness.clock.wall))
      << "what a side file has is not kept in memory once more";
}

TEST_F(EventsEndpointTest, ARepeatWhileSideFilesAreLookedThroughWaitsForTheFirst) {
  harness.log.archive({event_key("mes-lyon", "other")});
  harness.log.hold();
  auto first = harness.start(request(structured()));
  harness.log.wait_for_lookups(1);
  auto second = harness.start(request(structured()));
  EXPECT_EQ(harness.send(post("/nowhere", "")).status, 404);
  harness.log.release();
  EXPECT_EQ(first.get().body, R"({"id":"e1","duplicate":false})");
  EXPECT_EQ(second.get().body, R"({"id":"e1","duplicate":true})");
  EXPECT_EQ(harness.log.entries().size(), 1u);
}

TEST_F(EventsEndpointTest, AnIdempotencyKeyIsOnRecordWithItsFirstEvent) {
  EXPECT_EQ(send(structured(), {{"idempotency-key", "k1"}}).status, 202);
  // After a restart what is left of it are the ids in the record's payload.
  LogRecord record;
  const auto entries = harness.log.entries();
  record.payload = entries.at(0).entry.payload;
  std::vector<RecordId> ids;
  harness.event_ids.ids_of(record, ids);
  ASSERT_EQ(ids.size(), 3u);
  Harness restarted;
  restarted.set_config(example());
  auto created = restarted.run(
      restarted.keys.create_key({"mes-*"}, {"production_report.*"}, "test", restarted.shard));
  ASSERT_TRUE(created.has_value());
  const auto send_as = [&](const std::string& id, std::string body) {
    IncomingRequest request = post("/events", std::move(body));
    request.headers = {{"authorization", "Bearer " + created->key},
                       {"content-type", "application/cloudevents+json; charset=utf-8"},
                       {"idempotency-key", id}};
    return restarted.send(std::move(request));
  };
  EXPECT_EQ(send_as("k1", structured("", "e9")).status, 202) << "another credential";
  // The same credential has the same id after a restart: here its records are put in its place.
  const auto same = RequestIds::of(created->id, "k2", "other");
  restarted.log.archive({same.key, same.same});
  EXPECT_EQ(send_as("k2", structured("", "e10")).status, 422);
}

TEST_F(EventsEndpointTest, TakesABatchWholeInOneGroup) {
  EXPECT_EQ(send(structured("", "e2")).status, 202);
  const HttpHeaders batch{{"content-type", "application/cloudevents-batch+json"}};
  const std::string body = "[" + structured("", "e1") + "," + structured("", "e2") + "," +
                           structured("", "e3") + "," + structured("", "e1") + "]";
  const auto answer = send(body, batch);
  EXPECT_EQ(answer.status, 202) << answer.body;
  EXPECT_EQ(answer.body, R"([{"id":"e1","duplicate":false},{"id":"e2","duplicate":true},)"
                         R"({"id":"e3","duplicate":false},{"id":"e1","duplicate":true}])");
  EXPECT_EQ(harness.log.entries().size(), 3u);
  EXPECT_EQ(harness.log.appends(), 2u);
  EXPECT_EQ(send("[]", batch).body, "[]");
}

TEST_F(EventsEndpointTest, ABatchWithABadEventIsRefusedWholeNamingIt) {
  const HttpHeaders batch{{"content-type", "application/cloudevents-batch+json"}};
  const auto refused = [&](const std::string& bad) {
    const auto answer = send("[" + structured("", "e1") + "," + bad + "]", batch);
    EXPECT_EQ(answer.status, 422) << answer.body;
    const auto json = parse_json(answer.body);
    EXPECT_EQ(json->at("index"), 1) << answer.body;
    return std::string(json->at("errors").at(0).at("pointer").get_string());
  };
  EXPECT_EQ(refused("7"), "/1");
  EXPECT_EQ(refused(R"({"specversion":"1.0","id":"x"})"), "/1/data");
  EXPECT_EQ(
      refused(R"({"specversion":"1.0","id":"x","source":"mes-a","type":"production_report.no",)"
              R"("subject":"s","data":1})"),
      "/1/type");
  EXPECT_EQ(refused(R"({"specversion":"1.0","id":"x","source":"mes-a",)"
                    R"("type":"production_report.received","subject":"s",)"
                    R"("data":{"workOrder":"1","lines":[{"good":"x"}]}})"),
            "/1/data/lines/0/good");
  EXPECT_TRUE(harness.log.entries().empty());
  EXPECT_EQ(send("{}", batch).status, 400);
  EXPECT_EQ(send("[" + structured("", "e1") + "]", batch).status, 202) << "nothing was claimed";
}

TEST_F(EventsEndpointTest, TwoBatchesThatOverlapDoNotWaitForEachOther) {
  const HttpHeaders batch{{"content-type", "application/cloudevents-batch+json"}};
  harness.log.hold();
  auto first =
      harness.start(request("[" + structured("", "a") + "," + structured("", "b") + "]", batch));
  harness.log.wait_for_held(1);
  auto second =
      harness.start(request("[" + structured("", "c") + "," + structured("", "b") + "]", batch));
  harness.log.wait_for_held(2);
  harness.log.release();
  EXPECT_EQ(first.get().body, R"([{"id":"a","duplicate":false},{"id":"b","duplicate":false}])");
  EXPECT_EQ(second.get().body, R"([{"id":"c","duplicate":false},{"id":"b","duplicate":true}])");
}

TEST_F(EventsEndpointTest, KeysSurviveARestartWithoutTheirSecrets) {
  KeyStore restarted(harness.state, harness.clock);
  EXPECT_EQ(restarted.authenticate("Bearer " + key), nullptr);
  ASSERT_TRUE(restarted.load().has_value());
  const auto found = restarted.authenticate("bearer " + key);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->note, "test");
  const std::string row = **harness.state.get(Table::keys, id);
  EXPECT_EQ(row.find(key.substr(key.rfind('_') + 1)), std::string::npos);
  const std::string listed = write_json(restarted.list_keys());
  EXPECT_EQ(listed.find(found->hash), std::string::npos);
  EXPECT_NE(listed.find(id), std::string::npos);
}

TEST_F(EventsEndpointTest, SourceAndSubjectTogetherFitAKey) {
  const auto with_subject = [](std::size_t size) {
    return fmt::format(
        R"({{"specversion":"1.0","id":"{0}","source":"mes-lyon","type":"note.written",)"
        R"("subject":"{1}","data":{{}}}})",
        size, std::string(size, 's'));
  };
  EXPECT_EQ(send(with_subject(1024 - 8)).status, 202);
  const auto refused = send(with_subject(1024 - 7));
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find("together longer than 1024 bytes"), std::string::npos)
      << refused.body;
}

TEST_F(EventsEndpointTest, AKeyMustNameWhatItAllows) {
  const auto refused = harness.run(harness.keys.create_key({}, {"note.*"}, "test", harness.shard));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
}

TEST(KeyPattern, StarStandsForAnyText) {
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("mes-*", "mes-"));
  EXPECT_TRUE(matches_pattern("a*b*c", "axxbyybzc"));
  EXPECT_FALSE(matches_pattern("a*b*c", "axxbyybz"));
  EXPECT_FALSE(matches_pattern("mes", "mes2"));
  EXPECT_FALSE(matches_pattern("mes-*", "MES-1"));
}

}  // namespace
}  // namespace millrace::ingress
