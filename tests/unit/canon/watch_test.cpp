// What a watch does over days: checks and backfills.
#include <gmock/gmock.h>

#include "canon/backfill_mark.hpp"
#include "canon/check_mark.hpp"
#include "canon/collect_plan.hpp"
#include "canon_world.hpp"

namespace millrace::canon::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kOld = "2025-06-01 08:00:00";
constexpr std::chrono::hours kDay{24};

class WatchTest : public CanonWorld {
 protected:
  void put(std::int64_t id, const char* state, const std::string& written = kOld) {
    source_.put("sale.order", id, {{"name", "S" + std::to_string(id)}, {"state", state}}, written);
  }
  void put_old_orders(int count) {
    for (int id = 1; id <= count; ++id) put(id, "draft");
  }
  CheckMark check() {
    return decode_check(mark(check_key(model_key("erp", "sale.order")))).value();
  }
  BackfillMark begin_backfill(std::int64_t per_second) {
    BackfillMark made;
    made.entity = "order";
    made.connection = "erp";
    made.model = "sale.order";
    made.per_second = per_second;
    made.since = clock_.wall_now();
    put_mark(backfill_key(made), encode(made));
    return made;
  }
};

TEST_F(WatchTest, ADayLaterWhatWasWrittenSinceIsCompared) {
  put_old_orders(10);
  start();
  put(3, "sale", "2026-01-01 12:00:00");
  advance(kDay - std::chrono::minutes(1));
  EXPECT_THAT(events(), IsEmpty());
  advance(std::chrono::minutes(2));
  EXPECT_THAT(event_types(), ElementsAre("order.changed"));
}

TEST_F(WatchTest, ADayIsTheSourcesWhenOurClockIsHoursAhead) {
  source_.set_server_time("2025-12-31 19:00:00");
  put_old_orders(10);
  start();
  put(3, "sale", "2025-12-31 19:30:00");
  source_.set_server_time("2026-01-01 19:00:00");
  advance(kDay + std::chrono::minutes(1));
  EXPECT_THAT(event_types(), ElementsAre("order.changed"));
}

TEST_F(WatchTest, ACheckIsDoneWhenItsDoorbellsAreDurable) {
  put_old_orders(10);
  start();
  advance(std::chrono::seconds(1));
  put(3, "sale", "2026-01-01 12:00:00");
  const WallTime before = check().recent_at;
  log().hold();
  advance(kDay + std::chrono::minutes(1));
  ASSERT_EQ(log().held(), 1u);
  await_stored();
  EXPECT_EQ(check().recent_at, before);
  log().release();
  settle();
  EXPECT_GE(check().recent_at, before + kDay);
}

TEST_F(WatchTest, AWeekLaterTheWholeModelIs) {
  put_old_orders(10);
  start();
  source_.remove("sale.order", 4);
  put(5, "sale", "2025-07-01 00:00:00");  // written behind every window: raw SQL, a restored row
  put(11, "draft", "2025-07-01 00:00:00");
  advance(6 * kDay);
  EXPECT_THAT(events(), IsEmpty());
  advance(kDay + std::chrono::minutes(1));
  EXPECT_THAT(event_types(), testing::UnorderedElementsAre("order.deleted", "order.changed"))
      << "what is old and was never seen is history";
  EXPECT_EQ(check().held, 0);
}

TEST_F(WatchTest, AWeekLaterWhatWasWrittenSinceTheLastDayIsComparedToo) {
  put_old_orders(10);
  start();
  advance(6 * kDay + std::chrono::hours(12));
  put(3, "sent", "2026-01-07 12:00:00");
  ring(3, "", "check");
  ASSERT_THAT(event_types(), ElementsAre("order.changed"));
  put(3, "sale", "2026-01-07 12:00:00");  // in the same second, and no doorbell rings
  source_.set_server_time("2026-01-08 00:00:00");
  advance(kDay);
  EXPECT_THAT(event_types(), ElementsAre("order.changed", "order.changed"));
}

TEST_F(WatchTest, ManyDeletesWaitForAPersonAndAreReadBeforeTheyCount) {
  put_old_orders(2000);
  start(2);
  for (int id = 1; id <= 21; ++id) source_.remove("sale.order", id);
  advance(7 * kDay + std::chrono::minutes(1));
  EXPECT_THAT(events(), IsEmpty());
  ASSERT_EQ(check().held, 21);
  EXPECT_EQ(check().of, 2000);
  put(7, "draft");  // it is back
  CheckMark accepted = check();
  accepted.accepted = true;
  accepted.asked = CheckMark::Asked::whole;
  put_mark(check_key(model_key("erp", "sale.order")), encode(accepted));
  advance(std::chrono::minutes(1));
  EXPECT_THAT(event_types(), SizeIs(20));
  EXPECT_EQ(check().held, 0);
}

TEST_F(WatchTest, OnePercentOfAModelNeedsNoPerson) {
  EXPECT_EQ(deletes_max(50), 10);
  EXPECT_EQ(deletes_max(2000), 20);
  EXPECT_EQ(deletes_max(1'000'000), 100);
}

TEST_F(WatchTest, HiddenRecordsAreNotDeletedByACheck) {
  put_old_orders(10);
  start();
  advance(std::chrono::seconds(1));
  source_.set_state("sale.order", 4, ReadRecord::State::hidden);
  put_mark(check_key(model_key("erp", "sale.order")), [this] {
    CheckMark asked = check();
    asked.asked = CheckMark::Asked::whole;
    return encode(asked);
  }());
  advance(std::chrono::minutes(1));
  EXPECT_THAT(events(), IsEmpty());
}

TEST_F(WatchTest, ABackfillSaysEverythingOnceAtItsPace) {
  put_old_orders(100);
  start(2);
  begin_backfill(10);
  advance(milliseconds(4500));
  const std::size_t told = events().size();
  EXPECT_GE(told, 40u);
  EXPECT_LE(told, 60u);
  advance(std::chrono::seconds(20));
  EXPECT_THAT(events(), SizeIs(100));
  EXPECT_EQ(event_types().front(), "order.created") << "as if seen for the first time";
}

TEST_F(WatchTest, ABackfillGoesOnAfterACrash) {
  put_old_orders(100);
  start();
  const BackfillMark begun = begin_backfill(10);
  advance(milliseconds(3500));
  crash();
  start();
  advance(std::chrono::seconds(30));
  EXPECT_EQ(decode_backfill(mark(backfill_key(begun)))->state, BackfillMark::State::done);
  std::set<std::string> records;
  for (const Event& event : whole_events()) records.insert(event.record);
  EXPECT_THAT(records, SizeIs(100));
}

TEST_F(WatchTest, AStoppedBackfillStaysStopped) {
  put_old_orders(100);
  start();
  BackfillMark begun = begin_backfill(10);
  advance(milliseconds(2500));
  begun = decode_backfill(mark(backfill_key(begun))).value();
  begun.state = BackfillMark::State::stopped;
  put_mark(backfill_key(begun), encode(begun));
  const std::size_t told = events().size();
  advance(std::chrono::seconds(30));
  EXPECT_LE(events().size(), told + 10);
  EXPECT_LT(events().size(), 100u);
}

}  // namespace
}  // namespace millrace::canon::test
