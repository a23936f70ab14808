// When a doorbell is settled.
#include "canon/doorbell_row.hpp"

#include <gmock/gmock.h>

#include "canon_world.hpp"

namespace millrace::canon::test {
namespace {

class DoorbellRowTest : public ::testing::Test {
 protected:
  Doorbell doorbell(const std::string& origin = "hook", const std::string& write_date = "") {
    Doorbell bell;
    bell.connection = "erp";
    bell.model = "sale.order";
    bell.id = 7;
    bell.origin = origin;
    bell.write_date = write_date;
    bell.received_at = clock_.wall_now();
    return bell;
  }
  /// A reading issued now.
  RowReading reading(bool changed = false, const std::string& write_date = "") {
    return {clock_.boot_now(), clock_.boot_now(), changed, write_date};
  }
  milliseconds until_due(const DoorbellRow& row) {
    return std::chrono::duration_cast<milliseconds>(row.due - clock_.boot_now());
  }

  ManualClock clock_;
  Ladder ladder_;
};

TEST_F(DoorbellRowTest, ClimbsTheLadderToTheLongestTransaction) {
  DoorbellRow row = make_row(doorbell(), clock_);
  std::vector<std::int64_t> steps;
  do {
    steps.push_back(until_due(row).count());
    clock_.advance(row.due - clock_.boot_now());
  } while (!settle(row, reading(), ladder_));
  EXPECT_THAT(steps, testing::ElementsAre(200, 800, 4000, 25'000, 120'000));
}

TEST_F(DoorbellRowTest, ALateReadingSkipsTheStepsItMissed) {
  DoorbellRow row = make_row(doorbell(), clock_);
  clock_.advance(seconds(10));
  ASSERT_FALSE(settle(row, reading(), ladder_));
  EXPECT_EQ(until_due(row), seconds(20));
}

TEST_F(DoorbellRowTest, AReadingBeforeTheChangeCouldSettleDoesNotCount) {
  DoorbellRow row = make_row(doorbell(), clock_);
  clock_.advance(milliseconds(200));
  ASSERT_FALSE(settle(row, reading(true), ladder_));
  EXPECT_EQ(until_due(row), ladder_.settle);
  clock_.advance(milliseconds(999));
  EXPECT_FALSE(settle(row, reading(), ladder_));
  clock_.advance(milliseconds(1));
  EXPECT_TRUE(settle(row, reading(), ladder_));
}

TEST_F(DoorbellRowTest, ComparesWriteDatesToTheSecond) {
  DoorbellRow row = make_row(doorbell("hook", "2026-01-01 00:00:05.900000"), clock_);
  clock_.advance(milliseconds(200));
  settle(row, reading(true, "2026-01-01 00:00:04"), ladder_);
  EXPECT_FALSE(row.changed_at.has_value()) << "older than the doorbell";
  settle(row, reading(true, "2026-01-01 00:00:05"), ladder_);
  EXPECT_TRUE(row.changed_at.has_value()) << "RPC shows whole seconds";
}

TEST_F(DoorbellRowTest, ANewerDoorbellNeedsAChangeOfItsOwn) {
  DoorbellRow row = make_row(doorbell(), clock_);
  clock_.advance(milliseconds(200));
  settle(row, reading(true), ladder_);
  clock_.advance(milliseconds(500));
  ring_again(row, doorbell(), clock_);
  clock_.advance(milliseconds(600));
  EXPECT_FALSE(settle(row, reading(), ladder_));
}

TEST_F(DoorbellRowTest, RingingAllTheTimeDoesNotPutTheReadingOff) {
  DoorbellRow row = make_row(doorbell(), clock_);
  const BootTime first = row.due;
  for (int i = 0; i < 10; ++i) {
    clock_.advance(milliseconds(15));
    ring_again(row, doorbell(), clock_);
    EXPECT_EQ(row.due, first);
  }
}

TEST_F(DoorbellRowTest, ASweepDoesNotStretchTheLadderNorEndIt) {
  DoorbellRow row = make_row(doorbell(), clock_);
  const BootTime rung = row.rung;
  clock_.advance(seconds(40));
  ring_again(row, doorbell("sweep"), clock_);
  EXPECT_EQ(row.rung, rung);
  EXPECT_LE(until_due(row), milliseconds(0));
  EXPECT_FALSE(settle(row, reading(), ladder_)) << "the hook's commit may still come";
}

TEST_F(DoorbellRowTest, SurvivesItsRow) {
  DoorbellRow row = make_row(doorbell("hook", "2026-01-01 00:00:05.900000"), clock_);
  row.partition = 12;
  row.offset = 345;
  clock_.advance(seconds(3));
  const auto loaded =
      decode_doorbell_row(row_key(std::string("erp"), std::string("sale.order"), std::string("7")),
                          encode(row), clock_);
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->record, "erp/sale.order/7");
  EXPECT_EQ(loaded->write_date, "2026-01-01 00:00:05");
  EXPECT_EQ(loaded->partition, 12);
  EXPECT_EQ(loaded->offset, 345u);
  EXPECT_EQ(loaded->rung, row.rung) << "its ladder goes on where it was";
  EXPECT_FALSE(loaded->committed);
  EXPECT_FALSE(decode_doorbell_row("no key", encode(row), clock_).has_value());
}

}  // namespace
}  // namespace millrace::canon::test
