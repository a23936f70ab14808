// A changed program runs beside the old one: what only the new one sees differently is no news.
#include "canon/past_program.hpp"

#include <gmock/gmock.h>

#include "canon_world.hpp"

namespace millrace::canon::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kOld = "2025-06-01 08:00:00";

class PastProgramTest : public CanonWorld {
 protected:
  void put(std::int64_t id, const char* state, const std::string& written = kOld) {
    source_.put("sale.order", id,
                {{"name", "S" + std::to_string(id)}, {"state", state}, {"note", "n"}}, written);
  }
  void put_old_orders(int count) {
    for (int id = 1; id <= count; ++id) put(id, "draft");
  }
  /// The operator changes the entity and reloads.
  config::EntitySource& change(const std::string& map, const std::string& hash) {
    config_ = std::make_shared<config::Config>(*config_);
    config::EntitySource& source = order_source(*config_);
    source.map = program(map, {"now"});
    source.program = hash;
    return source;
  }
  void add_note() {
    change("{name, state, note}", "p-note").read.fields.push_back({"note", {}});
    reload();
    advance(std::chrono::seconds(20));
  }
  std::string data(int id) {
    return projection("order", "erp/sale.order/" + std::to_string(id)).data;
  }
};

TEST_F(PastProgramTest, AMemberMoreIsStoredForEveryRecordWithoutAWord) {
  put_old_orders(1000);
  start(2);
  add_note();
  EXPECT_THAT(events(), IsEmpty());
  for (const int id : {1, 500, 1000}) {
    EXPECT_EQ(data(id), R"({"name":"S)" + std::to_string(id) + R"(","state":"draft","note":"n"})");
  }
  EXPECT_THAT(keys(Table::programs), SizeIs(2)) << "the old text is named by nobody";
}

TEST_F(PastProgramTest, WhatChangedMeanwhileIsNewsAndToldInTheNewForm) {
  put_old_orders(10);
  start();
  put(7, "sale", "2026-01-01 00:00:01");  // no bell rings for it
  add_note();
  EXPECT_THAT(events(), ElementsAre(R"(order.changed 7 {"name":"S7","note":"n","state":"sale"})"));
}

TEST_F(PastProgramTest, TheOldEventsJudgeWhatTheOldProgramSees) {
  put_old_orders(10);
  auto& events_of_order = config_->entities.find("order")->second.events;
  events_of_order.insert(
      events_of_order.begin(),
      {"confirmed", program(R"(.state == "sale" and $before.state != "sale")", {"before"})});
  start();
  put(7, "sale", "2026-01-01 00:00:01");
  // In the new form every record would seem to have become "released" just now.
  change(R"({name, status: (if .state == "sale" then "released" else "open" end)})", "p-status");
  auto& changed = config_->entities.find("order")->second.events;
  changed.front() = {"confirmed", program(R"(.status != $before.status)", {"before"})};
  reload();
  advance(std::chrono::seconds(20));
  EXPECT_THAT(event_types(), ElementsAre("order.confirmed", "order.changed"));
  EXPECT_THAT(whole_events().front().data,
              Json(JsonObject{{"name", "S7"}, {"status", "released"}}));
}

TEST_F(PastProgramTest, ADoorbellDoesNotWaitForTheRereading) {
  put_old_orders(10);
  start();
  source_.fail_with(Errc::not_connected, "down");
  change("{name, state, note}", "p-note").read.fields.push_back({"note", {}});
  reload();
  source_.heal();
  put(3, "sale", "2026-01-01 00:00:01");
  ring(3);
  advance(milliseconds(300));
  EXPECT_THAT(events(), ElementsAre(R"(order.changed 3 {"name":"S3","note":"n","state":"sale"})"));
}

TEST_F(PastProgramTest, GoesOnBehindThePageAfterACrash) {
  put_old_orders(3000);
  start();
  change("{name, state, note}", "p-note").read.fields.push_back({"note", {}});
  reload();
  crash();
  start();
  advance(std::chrono::seconds(60));
  EXPECT_THAT(events(), IsEmpty());
  for (const int id : {1, 1500, 3000}) {
    EXPECT_EQ(projection("order", "erp/sale.order/" + std::to_string(id)).program, "p-note") << id;
  }
  EXPECT_THAT(keys(Table::programs), SizeIs(2));
}

TEST_F(PastProgramTest, AnotherChangeBeforeTheEndStartsAnew) {
  put_old_orders(10);
  start();
  change("{name, state, note}", "p-note").read.fields.push_back({"note", {}});
  reload();
  change("{name, note}", "p-less");
  reload();
  advance(std::chrono::seconds(20));
  EXPECT_THAT(events(), IsEmpty());
  EXPECT_EQ(data(4), R"({"name":"S4","note":"n"})");
}

TEST_F(PastProgramTest, AFieldThatIsGoneIsSilentAndCounted) {
  put_old_orders(10);
  start();
  for (int id = 1; id <= 10; ++id) {
    source_.put("sale.order", id, {{"name", "S" + std::to_string(id)}}, "2026-01-01 00:00:01");
  }
  change("{name}", "p-name").read.fields = {{"name", {}}};
  reload();
  advance(std::chrono::seconds(20));
  EXPECT_THAT(events(), IsEmpty());
  EXPECT_EQ(data(4), R"({"name":"S4"})");
  EXPECT_THAT(status().silenced, ElementsAre(testing::Pair("order: state", 10u)));
}

TEST_F(PastProgramTest, WhatOnlyTheNewProgramCanMapIsNews) {
  put_old_orders(3);
  change(R"({name, state: ({draft: "open"}[.state] // error("unknown state"))})", "p-strict");
  start();
  put(2, "sale", "2026-01-01 00:00:01");
  ring(2, "", "check");
  EXPECT_THAT(parked(), SizeIs(1));
  change(R"({name, state: ({draft: "open", sale: "sold"}[.state] // error("unknown state"))})",
         "p-wider");
  reload();
  advance(std::chrono::seconds(20));
  EXPECT_THAT(parked(), IsEmpty());
  EXPECT_THAT(events(), ElementsAre(R"(order.changed 2 {"name":"S2","state":"sold"})"));
}

TEST_F(PastProgramTest, APayloadIsJudgedByTheProgramOfItsLastOne) {
  start();
  post_payload("shop/P1", JsonObject{{"code", "P1"}, {"weight", 1}, {"version", 1}});
  config_ = std::make_shared<config::Config>(*config_);
  config::EntitySource& source = config_->entities.find("parcel")->second.from.front();
  source.map = program("{code, grams: (.weight * 1000)}", {"now"});
  source.program = "p3";
  reload();
  post_payload("shop/P1", JsonObject{{"code", "P1"}, {"weight", 1}, {"version", 2}});
  EXPECT_THAT(events(), SizeIs(1)) << "it weighs what it weighed";
  post_payload("shop/P1", JsonObject{{"code", "P1"}, {"weight", 2}, {"version", 3}});
  EXPECT_THAT(events(), SizeIs(2));
}

}  // namespace
}  // namespace millrace::canon::test
