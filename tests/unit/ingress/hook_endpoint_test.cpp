#include "ingress/hook_endpoint.hpp"

#include <gtest/gtest.h>

#include "ingress/verify.hpp"
#include "support.hpp"

namespace millrace::ingress {
namespace {

// As Odoo 18 sends it: keys sorted, ", " and ": ".
const std::string kOdooBody =
    R"json({"_action": "broker: sale_order_confirmed(#571)", "_id": 55, )json"
    R"json("_model": "sale.order", )json"
    R"json("amount_total": 414.0, "id": 55, "write_date": "2026-11-21 22:05:48.421628"})json";

config::Config example() {
  config::Config config;
  config::Connection& odoo = config.connections["odoo"];
  odoo.name = "odoo";
  odoo.type = "odoo";
  odoo.hook_tokens = {"token-one", "token-two"};
  odoo.limits.body_bytes_max = 2000;
  config::Connection& carrier = config.connections["carrier"];
  carrier.name = "carrier";
  carrier.type = "hook";
  carrier.hook_tokens = {"carrier-token"};
  carrier.record = program(".shipment", {"headers"});
  carrier.id = program(".id", {"headers"});
  config::Connection& signed_hook = config.connections["signed"];
  signed_hook.name = "signed";
  signed_hook.type = "hook";
  signed_hook.verify.emplace();
  signed_hook.verify->standard_webhooks = {"a secret"};
  signed_hook.record = program(R"($headers["x-site"] + "-" + (.order | tostring))", {"headers"});
  config::Connection& target = config.connections["mes"];
  target.name = "mes";
  target.type = "http";
  config::EntitySource source;
  source.connection = "odoo";
  source.model = "sale.order";
  source.touched_by = {{"sale.order.line", "order_id"}};
  config.entities["sales_order"].name = "sales_order";
  config.entities["sales_order"].from.push_back(std::move(source));
  return config;
}

class HookEndpointTest : public ::testing::Test {
 protected:
  HookEndpointTest() { harness.set_config(example()); }
  HttpResponse send(std::string path, std::string body, HttpHeaders headers = {}) {
    return harness.send(post(std::move(path), std::move(body), std::move(headers)));
  }
  Harness harness;
};

TEST_F(HookEndpointTest, AppendsOdoosDoorbellBeforeItAnswers) {
  const auto answer = send("/hooks/odoo/token-two", kOdooBody,
                           {{"content-type", "application/json"},
                            {"user-agent", "python-requests/2.31.0"},
                            {"authorization", "Basic c2VjcmV0"},
                            {"cookie", "session=1"}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "{}");
  ASSERT_EQ(harness.log.entries().size(), 1u);
  const auto entry = harness.log.entries()[0];
  EXPECT_EQ(entry.journal, Journal::inbox);
  EXPECT_EQ(entry.entry.topic, "odoo");
  EXPECT_EQ(entry.entry.partition, partition_of("odoo/sale.order/55"));
  const RawMessage message = harness.log.message(0);
  EXPECT_EQ(message.kind, RawMessage::Kind::doorbell);
  EXPECT_EQ(message.record, "odoo/sale.order/55");
  EXPECT_EQ(message.origin, "hook");
  EXPECT_EQ(message.body, kOdooBody);
  EXPECT_EQ(message.received_at, harness.clock.wall);
  EXPECT_EQ(message.headers, (HttpHeaders{{"content-type", "application/json"},
                                          {"user-agent", "python-requests/2.31.0"}}));
}

TEST_F(HookEndpointTest, AnswersOnlyWhenTheMessageIsDurable) {
  harness.log.hold();
  auto answer = harness.start(post("/hooks/odoo/token-one", kOdooBody));
  harness.log.wait_for_held(1);
  EXPECT_NE(answer.wait_for(seconds(0)), std::future_status::ready);
  harness.log.release();
  EXPECT_EQ(answer.get().status, 200);
}

TEST_F(HookEndpointTest, TellsNobodyWhichConnectionsExist) {
  const auto unknown = send("/hooks/nobody/token-one", kOdooBody);
  for (const char* path :
       {"/hooks/odoo/wrong", "/hooks/odoo", "/hooks/odoo/", "/hooks/odoo/token-one/more",
        "/hooks/mes/token-one", "/hooks/mes", "/hooks/signed/token-one", "/hooks/", "/hooks",
        "/hooks/odoo/%zz", "/", "/admin/v1/status", "/hooks/odoo/token-one%00"}) {
    const auto answer = send(path, kOdooBody);
    EXPECT_EQ(answer.status, 404) << path;
    EXPECT_EQ(answer.body, unknown.body) << path;
    EXPECT_EQ(answer.headers, unknown.headers) << path;
  }
  EXPECT_TRUE(harness.log.entries().empty());
}

TEST_F(HookEndpointTest, RefusesOtherMethodsAndLargeBodies) {
  IncomingRequest get = post("/hooks/odoo/token-one", "");
  get.method = "GET";
  const auto refused = harness.send(std::move(get));
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(header(refused.headers, "allow"), "POST");
  EXPECT_EQ(send("/hooks/odoo/token-one", std::string(2001, ' ')).status, 413);
  EXPECT_EQ(harness.plane.body_max_of("/hooks/odoo/x?y"), 2000u);
  EXPECT_EQ(harness.plane.body_max_of("/hooks/nobody/x"), std::size_t{1} << 20);
}

TEST_F(HookEndpointTest, CountsAndDropsModelsNobodyReads) {
  EXPECT_EQ(send("/hooks/odoo/token-one", R"({"_id": 1, "_model": "res.users"})").status, 200);
  EXPECT_TRUE(harness.log.entries().empty());
  EXPECT_EQ(harness.counters.hooks_model_not_read, 1u);
  EXPECT_EQ(send("/hooks/odoo/token-one", R"({"_id": 1, "_model": "sale.order.line"})").status,
            200);
  EXPECT_EQ(harness.log.message(0).record, "odoo/sale.order.line/1");
}

TEST_F(HookEndpointTest, KeepsWhatItCannotReadForAPerson) {
  std::size_t count = 0;
  for (const char* body :
       {"", "not json", R"({"_model": "sale.order"})", R"({"_id": 0, "_model": "sale.order"})",
        R"({"_id": "55", "_model": "sale.order"})", R"({"_id": 5.0, "_model": "sale.order"})",
        R"({"_id": -5, "_model": "sale.order"})", R"([1])",
        R"({"_id": 1, "_id": 2, "_model": "sale.order"})"}) {
    EXPECT_EQ(send("/hooks/odoo/token-one", body).status, 200) << body;
    const RawMessage message = harness.log.message(count);
    EXPECT_EQ(message.kind, RawMessage::Kind::unreadable) << body;
    EXPECT_EQ(message.record, "") << body;
    EXPECT_EQ(message.body, body);
    EXPECT_EQ(harness.log.entries()[count].entry.partition, partition_of("odoo")) << body;
    ++count;
  }
  EXPECT_EQ(harness.counters.hooks_unreadable, count);
}

TEST_F(HookEndpointTest, ReadsRecordAndIdOfAPayload) {
  EXPECT_EQ(send("/hooks/carrier/carrier-token", R"({"shipment": 815, "id": "m1"})").status, 200);
  const RawMessage message = harness.log.message(0);
  EXPECT_EQ(message.kind, RawMessage::Kind::payload);
  EXPECT_EQ(message.record, "carrier/815");
  EXPECT_EQ(message.id, "m1");
  EXPECT_EQ(send("/hooks/carrier/carrier-token", R"({"shipment": "A/b", "id": null})").status, 200);
  EXPECT_EQ(harness.log.message(1).record, "carrier/A/b");
  EXPECT_EQ(harness.log.message(1).id, "");
  std::size_t count = 2;
  for (const char* body : {R"({"shipment": "", "id": 1})", R"({"shipment": null})",
                           R"({"shipment": true})", R"({"shipment": "a\u0000b"})", "{"}) {
    EXPECT_EQ(send("/hooks/carrier/carrier-token", body).status, 200);
    EXPECT_EQ(harness.log.message(count++).kind, RawMessage::Kind::unreadable) << body;
  }
}

TEST_F(HookEndpointTest, AppendsARepeatedIdOnce) {
  const std::string body = R"({"shipment": 815, "id": "m1"})";
  EXPECT_EQ(send("/hooks/carrier/carrier-token", body).status, 200);
  EXPECT_EQ(send("/hooks/carrier/carrier-token", body).status, 200);
  EXPECT_EQ(harness.log.entries().size(), 1u);
  EXPECT_EQ(harness.counters.hooks_duplicate, 1u);
}

TEST_F(HookEndpointTest, AnswersARepeatOfAPendingMessageAfterItsBatch) {
  const std::string body = R"({"shipment": 815, "id": "m1"})";
  harness.log.hold();
  auto first = harness.start(post("/hooks/carrier/carrier-token", body));
  harness.log.wait_for_held(1);
  auto second = harness.start(post("/hooks/carrier/carrier-token", body));
  // Another request behind it on the same shard shows that the repeat got that far.
  auto fence = harness.start(post("/nowhere", ""));
  EXPECT_EQ(fence.get().status, 404);
  EXPECT_NE(second.wait_for(seconds(0)), std::future_status::ready);
  harness.log.release();
  EXPECT_EQ(first.get().status, 200);
  EXPECT_EQ(second.get().status, 200);
  EXPECT_EQ(harness.log.entries().size(), 1u);
}

TEST_F(HookEndpointTest, TakesAMessageAgainThatCouldNotBeKept) {
  const std::string body = R"({"shipment": 815, "id": "m1"})";
  harness.log.fail_next(Errc::disk_full);
  const auto refused = send("/hooks/carrier/carrier-token", body);
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(header(refused.headers, "retry-after").has_value());
  EXPECT_EQ(header(refused.headers, "content-type"), "application/problem+json");
  EXPECT_EQ(send("/hooks/carrier/carrier-token", body).status, 200);
  EXPECT_EQ(harness.log.entries().size(), 1u);
}

TEST_F(HookEndpointTest, ChecksSignaturesAndDedupesBySignedId) {
  const std::string body = R"({"order": 7})";
  const std::string time =
      std::to_string(harness.clock.wall.time_since_epoch().count() / 1'000'000);
  const HttpHeaders headers{
      {"webhook-id", "msg_1"},
      {"webhook-timestamp", time},
      {"webhook-signature",
       "v1," + base64_encode(hmac("sha256", "a secret", {"msg_1.", time, ".", body}))},
      {"x-site", "lyon"},
      {"x-auth-token", "hidden"}};
  EXPECT_EQ(send("/hooks/signed", body, headers).status, 200);
  EXPECT_EQ(send("/hooks/signed", body, headers).status, 200);
  ASSERT_EQ(harness.log.entries().size(), 1u);
  const RawMessage message = harness.log.message(0);
  EXPECT_EQ(message.record, "signed/lyon-7");
  EXPECT_EQ(message.id, "msg_1");
  // Expressions read $headers here, so all are kept but those that hold secrets.
  EXPECT_EQ(
      message.headers,
      (HttpHeaders{{"webhook-id", "msg_1"}, {"webhook-timestamp", time}, {"x-site", "lyon"}}));
  const auto refused = send("/hooks/signed", R"({"order":7})", headers);
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(header(refused.headers, "content-type"), "application/problem+json");
  EXPECT_EQ(refused.body.find("order"), std::string::npos);
}

TEST_F(HookEndpointTest, RefusesBelowTheFreeSpaceItMustKeepAndWhenStopping) {
  harness.intake.set_disk_free(0.04);
  EXPECT_EQ(send("/hooks/odoo/token-one", kOdooBody).status, 503);
  harness.intake.set_disk_free(0.06);
  EXPECT_EQ(send("/hooks/odoo/token-one", kOdooBody).status, 200);
  harness.intake.stop();
  const auto refused = send("/hooks/odoo/token-one", kOdooBody);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(header(refused.headers, "retry-after"), "1");
  EXPECT_EQ(harness.log.entries().size(), 1u);
}

TEST(HookOverload, AnswersAtOnceBeyondTheBoundAndInTimeWhenTheDiskStalls) {
  Intake::Limits limits;
  limits.appends_max = 2;
  limits.wait_max = milliseconds(1);
  Harness harness(limits);
  harness.set_config(example());
  harness.log.hold();
  auto first = harness.start(post("/hooks/carrier/carrier-token", R"({"shipment":1,"id":"1"})"));
  harness.log.wait_for_held(1);
  // The log never completes, and still the answer comes.
  EXPECT_EQ(first.get().status, 503);
  EXPECT_EQ(harness.counters.late, 1u);
  // Nothing has moved since: the next one does not even wait.
  EXPECT_EQ(harness.send(post("/hooks/odoo/token-one", kOdooBody)).status, 503);
  EXPECT_EQ(harness.counters.overloaded, 1u);
  harness.log.release();
  // What was late was kept all the same: its repeat is a duplicate.
  const auto repeat =
      harness.send(post("/hooks/carrier/carrier-token", R"({"shipment":1,"id":"1"})"));
  EXPECT_EQ(repeat.status, 200);
  EXPECT_EQ(harness.counters.hooks_duplicate, 1u);
  EXPECT_EQ(harness.log.entries().size(), 1u);
  EXPECT_EQ(harness.intake.outstanding(), 0u);
}

TEST(HookOverload, LookUpsAreBoundedAndNotMadeForThoseWhoLeft) {
  Intake::Limits limits;
  limits.look_ups_max = 2;
  limits.wait_max = milliseconds(1);
  Harness harness(limits);
  harness.set_config(example());
  harness.log.archive({hook_key("carrier", "other")});
  harness.log.hold();
  const auto message = [](int id) {
    return post("/hooks/carrier/carrier-token",
                R"({"shipment":1,"id":")" + std::to_string(id) + "\"}");
  };
  auto first = harness.start(message(1));
  harness.log.wait_for_lookups(1);
  auto second = harness.start(message(2));
  auto third = harness.start(message(3));
  EXPECT_EQ(third.get().status, 503) << "no room";
  EXPECT_EQ(first.get().status, 503) << "late";
  EXPECT_EQ(second.get().status, 503) << "late";
  EXPECT_EQ(harness.counters.overloaded, 3u);
  harness.log.release();
  // An id that was not looked up is free again. On a slow machine it may be late once more.
  std::size_t sent = 1;
  while (harness.send(message(2)).status != 200) ++sent;
  EXPECT_LE(harness.log.lookups(), 1 + sent) << "the second, that had left, was not";
  EXPECT_EQ(harness.log.entries().size(), 1u);
}

}  // namespace
}  // namespace millrace::ingress
