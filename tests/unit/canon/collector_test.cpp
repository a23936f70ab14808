// A doorbell says that something may have happened; what a reading shows is what is said.
#include "canon/collector.hpp"

#include <gmock/gmock.h>

#include "canon_world.hpp"

namespace millrace::canon::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr milliseconds kLadderEnd{151'000};
constexpr const char* kNow = "2026-01-01 00:00:01";

JsonObject named(const char* name, const char* state) {
  return {{"name", name}, {"state", state}};
}

class CollectorTest : public CanonWorld {};

TEST_F(CollectorTest, DropsADoorbellWhoseRecordNeverAppears) {
  start();
  ring(7);
  advance(milliseconds(40'000));
  EXPECT_EQ(status().waiting, 1u);
  EXPECT_EQ(status().phantoms, 0u);
  advance(kLadderEnd);
  EXPECT_EQ(status().waiting, 0u);
  EXPECT_EQ(status().phantoms, 1u);
  EXPECT_EQ(source_.times_read("sale.order", 7), 5);
  EXPECT_THAT(events(), IsEmpty());
  EXPECT_THAT(keys(Table::doorbells), IsEmpty());
}

TEST_F(CollectorTest, FindsACommit800MillisecondsAfterItsDoorbell) {
  start();
  ring(7, "2026-01-01 00:00:00.500000");
  advance(milliseconds(800));
  source_.put("sale.order", 7, named("S7", "draft"), "2026-01-01 00:00:00", kNow);
  advance(milliseconds(300));
  EXPECT_THAT(events(), ElementsAre(R"(order.created 7 {"name":"S7","state":"draft"})"));
  EXPECT_EQ(status().waiting, 1u) << "one more reading, a settle time after the change";
  advance(milliseconds(1100));
  EXPECT_EQ(status().waiting, 0u);
  EXPECT_THAT(events(), SizeIs(1));
}

TEST_F(CollectorTest, WaitsForTheChangeWhenTheDoorbellCarriesTheWriteDateBeforeIt) {
  source_.put("sale.order", 7, named("S7", "draft"), "2025-12-31 08:00:00");
  start();
  ring(7, "2025-12-31 08:00:00.123456");
  advance(milliseconds(3000));
  EXPECT_EQ(status().waiting, 1u) << "the row it told of is there, but it is not a change";
  source_.put("sale.order", 7, named("S7", "sale"), kNow);
  advance(milliseconds(2100));
  EXPECT_THAT(event_types(), ElementsAre("order.changed"));
}

TEST_F(CollectorTest, WaitsForTheChangeWhenTheDoorbellCarriesNoWriteDate) {
  source_.put("sale.order", 7, named("S7", "draft"), "2025-12-31 08:00:00");
  start();
  ring(7);
  advance(milliseconds(29'000));
  EXPECT_EQ(status().waiting, 1u);
  source_.put("sale.order", 7, named("S7", "sale"), kNow);
  advance(milliseconds(1500));
  EXPECT_THAT(event_types(), ElementsAre("order.changed"));
  advance(milliseconds(1100));
  EXPECT_EQ(status().waiting, 0u);
}

TEST_F(CollectorTest, GoesOnWhileTheRowIsOlderThanTheDoorbell) {
  source_.put("sale.order", 7, named("S7", "draft"), "2025-12-31 08:00:00");
  start();
  source_.put("sale.order", 7, named("S7", "sent"), "2026-01-01 00:00:00");
  ring(7, "2026-01-01 00:00:02.000001");
  advance(milliseconds(1500));
  EXPECT_EQ(status().waiting, 1u) << "an earlier change is no answer to this doorbell";
  source_.put("sale.order", 7, named("S7", "sale"), "2026-01-01 00:00:02");
  advance(milliseconds(6000));
  EXPECT_THAT(event_types(), ElementsAre("order.changed", "order.changed"));
  EXPECT_EQ(status().waiting, 0u);
}

TEST_F(CollectorTest, AnUnchangedRecordIsNothingToDoAtTheLaddersEnd) {
  source_.put("sale.order", 7, named("S7", "draft"), "2025-12-31 08:00:00");
  start();
  ring(7);
  advance(kLadderEnd);
  EXPECT_EQ(status().waiting, 0u);
  EXPECT_EQ(status().unchanged, 1u);
  EXPECT_THAT(events(), IsEmpty());
}

TEST_F(CollectorTest, SaysOneThingFor22DoorbellsOfOneCreate) {
  start();
  for (int i = 0; i < 22; ++i) {
    ring(7);
    advance(milliseconds(10));
  }
  source_.put("sale.order", 7, named("S7", "draft"), kNow, kNow);
  advance(milliseconds(3000));
  EXPECT_THAT(event_types(), ElementsAre("order.created"));
  EXPECT_EQ(status().waiting, 0u);
  EXPECT_LE(source_.times_read("sale.order", 7), 5);
  EXPECT_THAT(keys(Table::doorbells), IsEmpty());
}

TEST_F(CollectorTest, ReadsAgainWhenTheDoorbellRingsDuringAReading) {
  source_.put("sale.order", 7, named("S7", "draft"), "2025-12-31 08:00:00");
  start();
  source_.hold();
  ring(7, "", "fetch");
  EXPECT_EQ(source_.held(), 1);
  source_.put("sale.order", 7, named("S7", "sale"), kNow);
  ring(7, "", "fetch");
  EXPECT_EQ(source_.held(), 1) << "at most one reading of a record is in flight";
  source_.release();
  settle();
  EXPECT_THAT(event_types(), ElementsAre("order.changed"));
  EXPECT_EQ(status().waiting, 0u);
}

TEST_F(CollectorTest, AFetchIsSettledByItsFirstReading) {
  start();
  source_.put("sale.order", 7, named("S7", "draft"), kNow, kNow);
  ring(7, "", "fetch");
  EXPECT_THAT(event_types(), ElementsAre("order.created"));
  EXPECT_EQ(status().waiting, 0u);
  EXPECT_EQ(source_.times_read("sale.order", 7), 1);
}

TEST_F(CollectorTest, ADeleteIsSaidAtTheLaddersEndAndOnlyOfAKnownRecord) {
  source_.put("sale.order", 7, named("S7", "draft"), "2025-12-31 08:00:00");
  start();
  source_.remove("sale.order", 7);
  ring(7);
  advance(milliseconds(31'000));
  EXPECT_THAT(events(), IsEmpty());
  advance(kLadderEnd);
  EXPECT_THAT(events(), ElementsAre(R"(order.deleted 7 {"name":"S7","state":"draft"})"));
  EXPECT_EQ(status().deleted, 1u);
  EXPECT_EQ(status().phantoms, 0u);
  ring(7);
  advance(kLadderEnd);
  EXPECT_THAT(events(), SizeIs(1));
  EXPECT_EQ(status().phantoms, 1u);
}

TEST_F(CollectorTest, AHiddenRecordIsParkedAndReleasedByItsNextDoorbell) {
  source_.put("sale.order", 7, named("S7", "draft"), "2025-12-31 08:00:00");
  start();
  source_.put("sale.order", 7, named("S7", "sale"), kNow);
  source_.set_state("sale.order", 7, ReadRecord::State::hidden);
  ring(7, "", "check");
  ASSERT_THAT(parked(), SizeIs(1));
  EXPECT_EQ(parked().front().stage, "collect");
  EXPECT_EQ(parked().front().owner, "erp");
  EXPECT_EQ(parked().front().record, "erp/sale.order/7");
  EXPECT_EQ(parked().front().state, ParkedState::needs_decision);
  EXPECT_EQ(status().hidden, 1u);
  EXPECT_THAT(events(), IsEmpty()) << "hidden is not deleted";
  source_.set_state("sale.order", 7, ReadRecord::State::found);
  ring(7);
  advance(milliseconds(200));
  EXPECT_THAT(event_types(), ElementsAre("order.changed"));
  EXPECT_THAT(parked(), IsEmpty());
}

TEST_F(CollectorTest, AParkedRecordIsReadAgainAfterAReload) {
  source_.put("sale.order", 7, named("S7", "sale"), kNow, kNow);
  start();
  source_.set_state("sale.order", 7, ReadRecord::State::failed);
  ring(7, "", "check");
  ASSERT_THAT(parked(), SizeIs(1));
  crash();
  start();
  EXPECT_EQ(status().parked, 1u) << "a start knows what is parked";
  source_.set_state("sale.order", 7, ReadRecord::State::found);
  reload();
  EXPECT_THAT(event_types(), ElementsAre("order.created"));
  EXPECT_THAT(parked(), IsEmpty());
}

TEST_F(CollectorTest, OneForbiddenRecordAmong200HoldsUpNobody) {
  start();
  for (int id = 1; id <= 200; ++id) {
    source_.put("sale.order", id, named("S", "draft"), kNow, kNow);
  }
  source_.set_state("sale.order", 77, ReadRecord::State::hidden);
  source_.fail_with(Errc::not_connected, "not yet");
  for (int id = 1; id <= 200; ++id) ring(id, "", "check");
  source_.heal();
  advance(milliseconds(31'000));
  EXPECT_THAT(events(), SizeIs(199));
  EXPECT_THAT(parked(), SizeIs(1));
  EXPECT_EQ(status().waiting, 0u);
  EXPECT_THAT(source_.batches(), Contains(testing::Ge(199u))) << "read together";
}

TEST_F(CollectorTest, ADownSourceLosesNothingAndItsReadingPauses) {
  start();
  source_.put("sale.order", 7, named("S7", "draft"), kNow, kNow);
  source_.fail_with(Errc::not_connected, "connection refused");
  ring(7);
  advance(std::chrono::minutes(30));
  EXPECT_EQ(status().waiting, 1u);
  const int tries = source_.reads();
  EXPECT_GT(tries, 50) << "tried again all the time";
  EXPECT_LT(tries, 200) << "and not in a storm";
  EXPECT_THAT(keys(Table::doorbells), SizeIs(1));
  source_.heal();
  advance(milliseconds(31'000));
  EXPECT_THAT(event_types(), ElementsAre("order.created"));
  EXPECT_EQ(status().waiting, 0u);
}

TEST_F(CollectorTest, ARowOutlivesACrash) {
  start();
  ring(7);
  crash();
  source_.put("sale.order", 7, named("S7", "draft"), kNow, kNow);
  start();
  EXPECT_EQ(status().waiting, 1u);
  advance(milliseconds(31'000));
  EXPECT_THAT(event_types(), ElementsAre("order.created"));
  EXPECT_THAT(keys(Table::doorbells), SizeIs(0));
}

TEST_F(CollectorTest, ModelsNobodyReadsAreCountedAndDropped) {
  start();
  ring(7, "", "hook", "res.partner");
  EXPECT_EQ(dropped_.of("erp").model_not_read, 1u);
  EXPECT_EQ(status().waiting, 0u);
  EXPECT_THAT(keys(Table::doorbells), IsEmpty());
}

TEST_F(CollectorTest, ARecordThatCannotBeProjectedIsParkedAndReleasedByItsNextDoorbell) {
  order_source(*config_).map =
      program(R"(if .state == "odd" then error("odd") else {name, state} end)", {"now"});
  start();
  source_.put("sale.order", 7, named("S7", "odd"), kNow, kNow);
  ring(7, "", "check");
  ASSERT_THAT(parked(), SizeIs(1));
  EXPECT_EQ(parked().front().stage, "project");
  EXPECT_EQ(parked().front().owner, "order");
  EXPECT_EQ(parked().front().state, ParkedState::needs_decision);
  EXPECT_EQ(find(parked().front().payload, "value"), nullptr) << "that would be the pump's";
  source_.put("sale.order", 7, named("S7", "draft"), kNow, kNow);
  ring(7, "", "check");
  EXPECT_THAT(event_types(), ElementsAre("order.created"));
  EXPECT_THAT(parked(), IsEmpty());
}

TEST_F(CollectorTest, AMissingTableRowWaitsForAReload) {
  config::TableObject table;
  table.name = "states";
  table.missing = config::Missing::park;
  config_->tables["states"] = table;
  order_source(*config_).map = program(R"({name, state: lookup("states"; .state)})", {"now"});
  start();
  source_.put("sale.order", 7, named("S7", "draft"), kNow, kNow);
  ring(7, "", "check");
  ASSERT_THAT(parked(), SizeIs(1));
  EXPECT_EQ(parked().front().state, ParkedState::waiting_reference);
  config_ = std::make_shared<config::Config>(*config_);
  config_->tables["states"].rows["draft"] = Json("open");
  reload();
  EXPECT_THAT(events(), ElementsAre(R"(order.created 7 {"name":"S7","state":"open"})"));
  EXPECT_THAT(parked(), IsEmpty());
}

TEST_F(CollectorTest, ALineRingsItsParent) {
  order_source(*config_).touched_by = {{"sale.order.line", "order_id"}};
  source_.put("sale.order", 7, named("S7", "draft"), "2025-12-31 08:00:00");
  start();
  source_.put("sale.order", 7, named("S7", "sale"), kNow);
  source_.put("sale.order.line", 70, {{"order_id", 7}}, kNow, kNow);
  ring(70, "", "hook", "sale.order.line");
  advance(milliseconds(1000));
  EXPECT_THAT(event_types(), ElementsAre("order.changed"));
  ring(71, "", "hook", "sale.order.line");
  advance(kLadderEnd);
  EXPECT_EQ(status().waiting, 0u) << "a line that is gone shows through its parent";
}

TEST_F(CollectorTest, LeavingTheDomainIsADeleteAndEnteringItFirstSight) {
  order_source(*config_).domain = JsonArray(1, Json(JsonArray{"state", "=", "sale"}));
  source_.put("sale.order", 7, named("S7", "sale"), "2025-12-31 08:00:00");
  source_.put("sale.order", 8, named("S8", "draft"), "2025-12-31 08:00:00");
  start();
  EXPECT_EQ(status().baselined, 1u);
  source_.put("sale.order", 7, named("S7", "cancel"), kNow);
  ring(7, "", "check");
  EXPECT_THAT(event_types(), ElementsAre("order.deleted"));
  source_.put("sale.order", 8, named("S8", "sale"), kNow);
  ring(8, "", "check");
  EXPECT_THAT(event_types(), UnorderedElementsAre("order.deleted", "order.created"));
}

TEST_F(CollectorTest, AnOldRecordSeenFirstAfterTheFullReadIsSilentWithoutAFilter) {
  start();
  source_.put("sale.order", 7, named("S7", "draft"), "2025-12-31 08:00:00");
  ring(7, "", "check");
  EXPECT_THAT(events(), IsEmpty());
  source_.put("sale.order", 7, named("S7", "sale"), kNow);
  ring(7, "", "check");
  EXPECT_THAT(event_types(), ElementsAre("order.changed"));
}

TEST_F(CollectorTest, ADoorbellThatWaitedInTheInboxFindsItsChangeAlreadyTold) {
  start();
  source_.put("sale.order", 7, named("S7", "draft"), kNow, kNow);
  const WallTime received_at = clock_.wall_now();
  ring(7);
  advance(milliseconds(1200));
  EXPECT_THAT(events(), SizeIs(1));
  EXPECT_EQ(status().waiting, 0u);
  const int read = source_.times_read("sale.order", 7);
  send_doorbell(7, "hook", received_at);
  settle();
  EXPECT_EQ(source_.times_read("sale.order", 7), read + 1) << "a settle time after the change";
  EXPECT_EQ(status().waiting, 0u);
  EXPECT_EQ(status().unchanged, 0u);
  EXPECT_THAT(events(), SizeIs(1));
  send_doorbell(7, "hook", clock_.wall_now());
  settle();
  advance(milliseconds(31'000));
  EXPECT_EQ(status().waiting, 1u) << "this one rang after the reading: its change is still to come";
}

}  // namespace
}  // namespace millrace::canon::test
