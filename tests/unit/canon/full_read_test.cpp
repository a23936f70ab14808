// The first full read of a model, and sweeps.
#include <gmock/gmock.h>

#include "canon/collect_pass.hpp"
#include "canon_world.hpp"

namespace millrace::canon::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kOld = "2025-06-01 08:00:00";
const std::string kOrders = model_key("erp", "sale.order");

JsonObject named(std::int64_t id, const char* state) {
  return {{"name", "S" + std::to_string(id)}, {"state", state}};
}

class FullRead : public CanonWorld {
 protected:
  void put_old_orders(int count) {
    for (int id = 1; id <= count; ++id) source_.put("sale.order", id, named(id, "draft"), kOld);
  }
};

TEST_F(FullRead, OfAThousandOldRecordsIsSilent) {
  put_old_orders(1000);
  start();
  EXPECT_EQ(status().baselined, 1000u);
  EXPECT_THAT(events(), IsEmpty());
  EXPECT_THAT(keys(Table::projections), SizeIs(1000));
  EXPECT_EQ(source_.reads(), 5);
}

TEST_F(FullRead, CoversEveryShard) {
  put_old_orders(300);
  start(3);
  EXPECT_EQ(status().baselined, 300u);
  EXPECT_THAT(keys(Table::projections), SizeIs(300));
  source_.put("sale.order", 5, named(5, "sale"), "2026-01-01 00:00:01");
  ring(5, "", "check");
  EXPECT_THAT(event_types(), ElementsAre("order.changed"));
}

TEST_F(FullRead, EmitsWhereTheSourceAsksForIt) {
  order_source(*config_).first_seen = config::FirstSeen::emit;
  put_old_orders(3);
  start();
  EXPECT_THAT(event_types(), ElementsAre("order.created", "order.created", "order.created"));
}

TEST_F(FullRead, ADoorbellDuringItWaitsForItsEndAndIsEmittedAfter) {
  put_old_orders(1000);
  source_.hold();
  start();
  ASSERT_EQ(source_.held(), 1);
  // One was read before it changed, the other is new.
  source_.put("sale.order", 3, named(3, "sale"), "2026-01-01 00:00:01");
  source_.put("sale.order", 2000, named(2000, "draft"), "2026-01-01 00:00:01",
              "2026-01-01 00:00:01");
  ring(3);
  ring(2000);
  EXPECT_EQ(source_.times_read("sale.order", 2000), 0);
  EXPECT_EQ(status().waiting, 2u);
  source_.release();
  settle();
  advance(milliseconds(1500));
  EXPECT_THAT(event_types(), testing::UnorderedElementsAre("order.changed", "order.created"));
}

TEST_F(FullRead, ARecordCreatedSinceItsMarkIsNewsEvenWithoutADoorbell) {
  put_old_orders(10);
  source_.put("sale.order", 11, named(11, "draft"), "2026-01-01 00:00:05", "2026-01-01 00:00:05");
  start();
  advance(milliseconds(100));
  EXPECT_THAT(events(), ElementsAre(R"(order.created 11 {"name":"S11","state":"draft"})"));
}

TEST_F(FullRead, GoesOnBehindTheSavedPageAfterACrash) {
  put_old_orders(2500);
  source_.fail_read_number(8);  // the first page takes five readings
  start();
  EXPECT_EQ(status().baselined, 1400u);
  crash();
  source_.fail_read_number(0);
  start();
  advance(milliseconds(100));
  EXPECT_THAT(keys(Table::projections), SizeIs(2500));
  EXPECT_EQ(source_.times_read("sale.order", 500), 1) << "the first page was saved";
  EXPECT_EQ(source_.times_read("sale.order", 1100), 2) << "the second was not";
  EXPECT_THAT(events(), IsEmpty());
  const int reads = source_.reads();
  crash();
  start();
  EXPECT_EQ(source_.reads(), reads) << "done is done";
}

TEST_F(FullRead, WaitsForItsSource) {
  put_old_orders(10);
  source_.fail_with(Errc::not_connected, "connection refused");
  start();
  advance(milliseconds(60'000));
  EXPECT_THAT(keys(Table::projections), IsEmpty());
  source_.heal();
  advance(milliseconds(31'000));
  EXPECT_THAT(keys(Table::projections), SizeIs(10));
  EXPECT_THAT(events(), IsEmpty());
}

TEST_F(FullRead, WhatItCannotReadIsParkedAndSilentOnceItCan) {
  put_old_orders(10);
  source_.set_state("sale.order", 4, ReadRecord::State::hidden);
  start();
  advance(milliseconds(100));
  EXPECT_THAT(keys(Table::projections), SizeIs(9));
  ASSERT_THAT(parked(), SizeIs(1));
  source_.set_state("sale.order", 4, ReadRecord::State::found);
  reload();
  EXPECT_THAT(keys(Table::projections), SizeIs(10));
  EXPECT_THAT(parked(), IsEmpty());
  EXPECT_THAT(events(), IsEmpty());
}

// Our clock shows 2026-01-01 00:00:00 when these start.

TEST_F(FullRead, TellsHistoryFromNewsByTheSourcesClockWhenOursIsAhead) {
  source_.set_server_time("2025-12-31 19:00:00");
  put_old_orders(10);
  source_.put("sale.order", 11, named(11, "draft"), "2025-12-31 19:00:05", "2025-12-31 19:00:05");
  start();
  advance(milliseconds(1000));
  EXPECT_THAT(events(), ElementsAre(R"(order.created 11 {"name":"S11","state":"draft"})"));
  source_.put("sale.order", 12, named(12, "draft"), "2025-12-31 18:58:00", "2025-12-31 18:58:00");
  ring(12, "", "check");
  EXPECT_THAT(events(), SizeIs(2)) << "its transaction may have ended after the full read";
}

TEST_F(FullRead, TellsHistoryFromNewsByTheSourcesClockWhenOursIsBehind) {
  source_.set_server_time("2026-01-01 05:00:00");
  put_old_orders(10);
  source_.put("sale.order", 11, named(11, "draft"), "2026-01-01 03:00:00", "2026-01-01 03:00:00");
  start();
  advance(milliseconds(1000));
  EXPECT_EQ(status().baselined, 11u);
  source_.put("sale.order", 12, named(12, "draft"), "2026-01-01 04:57:00", "2026-01-01 04:57:00");
  ring(12, "", "check");
  EXPECT_THAT(events(), IsEmpty()) << "older than any transaction that ran then";
  source_.put("sale.order", 13, named(13, "draft"), "2026-01-01 04:58:00", "2026-01-01 04:58:00");
  ring(13, "", "check");
  EXPECT_THAT(events(), ElementsAre(R"(order.created 13 {"name":"S13","state":"draft"})"));
}

TEST_F(FullRead, AnEntityAddedLaterIsReadInFullToo) {
  put_old_orders(10);
  start();
  config_ = std::make_shared<config::Config>(*config_);
  config::Entity copy = config_->entities.find("order")->second;
  copy.name = "quote";
  config_->entities["quote"] = copy;
  reload();
  advance(milliseconds(100));
  EXPECT_THAT(keys(Table::projections), SizeIs(20));
  EXPECT_THAT(events(), IsEmpty());
}

TEST_F(FullRead, SavesHowFarItIsWhenItsDoorbellsAreDurable) {
  put_old_orders(10);
  start();
  source_.put("sale.order", 11, named(11, "draft"), "2026-01-01 00:00:05", "2026-01-01 00:00:05");
  config_ = std::make_shared<config::Config>(*config_);
  config::Entity copy = config_->entities.find("order")->second;
  copy.name = "quote";
  config_->entities["quote"] = copy;
  log().hold();
  reload();
  ASSERT_EQ(log().held(), 1u) << "the record is news and rings";
  await_stored();
  EXPECT_EQ(mark(progress_key(kOrders, 0)), R"({"after_id":0})");
  log().release();
  settle();
  EXPECT_EQ(mark(progress_key(kOrders, 0)), "") << "done";
}

class Sweep : public FullRead {
 protected:
  Sweep() { order_source(*config_).sweep = seconds(60); }
};

TEST_F(Sweep, FindsWhatRangNoDoorbell) {
  put_old_orders(10);
  start();
  source_.put("sale.order", 3, named(3, "sale"), "2026-01-01 00:00:01");
  advance(milliseconds(61'000));
  EXPECT_THAT(events(), ElementsAre(R"(order.changed 3 {"name":"S3","state":"sale"})"));
}

TEST_F(Sweep, FindsARowThatAppearsBehindTheMark) {
  put_old_orders(10);
  start();
  source_.put("sale.order", 3, named(3, "sale"), "2026-01-01 00:00:50");
  advance(milliseconds(61'000));
  EXPECT_THAT(events(), SizeIs(1));
  // Its transaction began before the mark and was committed after it.
  source_.put("sale.order", 4, named(4, "sale"), "2026-01-01 00:00:10");
  advance(milliseconds(60'000));
  EXPECT_THAT(events(), SizeIs(2));
}

TEST_F(Sweep, SavesItsMarkWhenItsDoorbellsAreDurable) {
  put_old_orders(10);
  start();
  advance(milliseconds(1000));
  const std::string before = mark(sweep_key(kOrders));
  source_.put("sale.order", 3, named(3, "sale"), "2026-01-01 00:00:30");
  log().hold();
  advance(milliseconds(61'000));
  ASSERT_EQ(log().held(), 1u);
  await_stored();
  EXPECT_EQ(mark(sweep_key(kOrders)), before);
  log().release();
  settle();
  EXPECT_EQ(mark(sweep_key(kOrders)), R"({"mark":"2026-01-01 00:00:30"})");
  EXPECT_THAT(events(), SizeIs(1));
}

TEST_F(Sweep, RingsNothingWhileTheStateIsFull) {
  put_old_orders(10);
  start();
  advance(milliseconds(1000));
  state().refuse_commits(true);
  send_payloads("P1", {JsonObject{{"code", "P1"}, {"weight", 1}, {"version", 1}}});
  await([this] { return state().refused() > 0; });
  source_.put("sale.order", 3, named(3, "sale"), "2026-01-01 00:00:30");
  log().hold();
  advance(std::chrono::minutes(10));
  EXPECT_EQ(log().held(), 0u);
  log().release();
  state().refuse_commits(false);
  settle();
  advance(milliseconds(31'000));
  EXPECT_THAT(event_types(), ElementsAre("parcel.changed", "order.changed"));
}

TEST_F(Sweep, ComesToRestWhenEverythingWasReadLateEnough) {
  put_old_orders(10);
  start();
  source_.put("sale.order", 3, named(3, "sale"), "2026-01-01 00:00:01");
  advance(std::chrono::minutes(5));
  const int read = source_.times_read("sale.order", 3);
  EXPECT_GE(read, 3) << "seen in the full read, found by a sweep, and read once late enough";
  advance(std::chrono::minutes(30));
  EXPECT_EQ(source_.times_read("sale.order", 3), read);
}

TEST_F(Sweep, TellsTwoWritesOfOneSecondApart) {
  put_old_orders(10);
  start();
  source_.put("sale.order", 3, named(3, "sent"), "2026-01-01 00:00:01");
  advance(milliseconds(61'000));
  source_.put("sale.order", 3, named(3, "sale"), "2026-01-01 00:00:01");
  advance(std::chrono::minutes(4));
  EXPECT_THAT(events(), ElementsAre(R"(order.changed 3 {"name":"S3","state":"sent"})",
                                    R"(order.changed 3 {"name":"S3","state":"sale"})"));
}

TEST_F(Sweep, GoesByTheSourcesClockWhenOursIsHoursAhead) {
  source_.set_server_time("2025-12-31 19:00:00");
  put_old_orders(10);
  start();
  source_.put("sale.order", 3, named(3, "sale"), "2025-12-31 19:00:10");
  source_.set_server_time("2025-12-31 19:01:00");
  advance(milliseconds(61'000));
  EXPECT_THAT(events(), SizeIs(1));
  source_.put("sale.order", 4, named(4, "sale"), "2025-12-31 19:01:10");
  advance(milliseconds(60'000));
  EXPECT_THAT(events(), SizeIs(2)) << "the mark of a sweep is the source's, too";
  // Another write of a second that a reading showed before.
  source_.put("sale.order", 4, named(4, "cancel"), "2025-12-31 19:01:10");
  advance(milliseconds(60'000));
  EXPECT_THAT(events(), SizeIs(3));
}

TEST_F(Sweep, ComesToRestWhenOurClockIsHoursBehind) {
  source_.set_server_time("2026-01-01 05:00:00");
  put_old_orders(10);
  start();
  source_.put("sale.order", 3, named(3, "sale"), "2026-01-01 05:00:10");
  source_.set_server_time("2026-01-01 05:01:00");
  advance(std::chrono::minutes(5));
  EXPECT_THAT(events(), SizeIs(1));
  const int read = source_.times_read("sale.order", 3);
  advance(std::chrono::minutes(30));
  EXPECT_EQ(source_.times_read("sale.order", 3), read);
}

TEST_F(Sweep, FindsAnOrderByItsLine) {
  order_source(*config_).touched_by = {{"sale.order.line", "order_id"}};
  put_old_orders(10);
  start();
  // Odoo does not bump an order's write_date when the text of a line changes.
  source_.put("sale.order", 3, named(3, "sale"), kOld);
  source_.put("sale.order.line", 30, {{"order_id", 3}}, "2026-01-01 00:00:01");
  advance(milliseconds(61'000));
  EXPECT_THAT(events(), SizeIs(1));
}

TEST_F(Sweep, KeepsItsMarkAcrossARestart) {
  put_old_orders(10);
  start();
  source_.put("sale.order", 3, named(3, "sale"), "2026-01-01 00:10:00");
  advance(milliseconds(61'000));
  crash();
  // Older than the window that the saved mark opens.
  source_.put("sale.order", 4, named(4, "sale"), "2026-01-01 00:01:00");
  start();
  advance(milliseconds(61'000));
  EXPECT_THAT(events(), ElementsAre(R"(order.changed 3 {"name":"S3","state":"sale"})"));
}

}  // namespace
}  // namespace millrace::canon::test
