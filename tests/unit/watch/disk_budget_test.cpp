// What the log may take of the disk, who holds it, and that retention never passes a reader.
#include "watch/disk_budget.hpp"

#include <gtest/gtest.h>

#include "../log/log_test_support.hpp"

namespace millrace::watch {
namespace {

using test::append_and_wait;

constexpr std::uint64_t kSegment = 16384;

class DiskBudget : public ::testing::Test {
 protected:
  DiskBudget() {
    auto opened = open_file_log(test::options_on(disk_, clock_));
    EXPECT_TRUE(opened);
    log_ = std::move(*opened);
  }
  /// About a third of a segment each; an hour apart.
  void fill(Journal journal, int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(append_and_wait(*log_, journal, test::one(std::string(5000, 'p'))));
      clock_.advance(std::chrono::hours(1));
    }
  }
  OwnerOffsets at(std::string owner, Journal journal, Offset next) {
    OwnerOffsets made{.owner = std::move(owner), .stream = journal, .next = {}};
    made.next.fill(~Offset{1});
    made.next[1] = next;
    return made;
  }
  /// Makes the disk so small that the log may take just this much of 80 %.
  void set_budget(std::uint64_t bytes) {
    disk_.set_capacity(std::uint64_t{1} << 40);
    const auto usage = log_->usage();
    const std::uint64_t others = usage.disk_size - usage.disk_free - usage.bytes;
    disk_.set_capacity((bytes + others) * 10 / 8 + 1);
  }
  std::size_t parts(Journal journal) { return log_->sealed_parts(journal).size(); }

  FaultDisk disk_;
  test::ManualClock clock_;
  ClockWatch watch_{clock_, "boot"};
  std::unique_ptr<EventLog> log_;
};

TEST_F(DiskBudget, NamesWhoHoldsMostAndHowMuch) {
  fill(Journal::events, 12);
  ASSERT_EQ(parts(Journal::events), 5u);
  const std::vector owners{at("inbox", Journal::inbox, 0), at("route/quick", Journal::events, 12),
                           at("route/slow", Journal::events, 5),
                           at("route/slower", Journal::events, 3)};
  const auto report = measure_disk(*log_, 0.8, owners);
  ASSERT_TRUE(report.holder);
  EXPECT_EQ(report.holder->owner, "route/slower");
  std::uint64_t bytes = 0;
  for (std::size_t i = 1; i < 5; ++i) bytes += log_->sealed_parts(Journal::events)[i].bytes;
  EXPECT_EQ(report.holder->bytes, bytes);
  EXPECT_EQ(report.holder->since, log_->sealed_parts(Journal::events)[1].last_at);
  EXPECT_FALSE(measure_disk(*log_, 0.8, {owners[1]}).holder) << "who has read all holds nothing";
}

TEST_F(DiskBudget, AlarmsByTheShareOfTheBudget) {
  const std::uint64_t log_bytes = 3 * kSegment;
  for (const auto& [budget, alarm] : {std::pair<std::uint64_t, int>{log_bytes * 4, 0},
                                      {log_bytes * 2, 50},
                                      {log_bytes * 4 / 3, 75},
                                      {log_bytes * 10 / 9, 90},
                                      {log_bytes / 2, 90}}) {
    set_budget(budget);
    EXPECT_EQ(measure_disk(*log_, 0.8, {}).alarm, alarm) << budget;
  }
}

TEST_F(DiskBudget, AgeAndSizeDropTheOldestButNeverPassAReader) {
  fill(Journal::trail, 6);
  fill(Journal::events, 12);
  config::Retention keep{.inbox = std::chrono::hours(1000),
                         .events = std::chrono::hours(1000),
                         .trail = std::chrono::hours(1000)};
  std::vector owners{at("route/slow", Journal::events, 5)};
  ASSERT_TRUE(trim_log(*log_, keep, owners, watch_));
  EXPECT_EQ(parts(Journal::events), 5u) << "young, and there is room";
  keep.events = std::chrono::hours(6);
  ASSERT_TRUE(trim_log(*log_, keep, owners, watch_));
  EXPECT_EQ(parts(Journal::events), 3u) << "old, but not read";
  EXPECT_EQ(parts(Journal::trail), 2u);
  // Too little room: the trail is older than what is left of the events.
  set_budget(log_->usage().bytes);
  keep.events = std::chrono::hours(1000);
  ASSERT_TRUE(trim_log(*log_, keep, owners, watch_));
  EXPECT_EQ(parts(Journal::trail), 2u) << "the budget is just kept";
  set_budget(log_->usage().bytes - 1);
  ASSERT_TRUE(trim_log(*log_, keep, owners, watch_));
  EXPECT_EQ(parts(Journal::trail), 1u);
  disk_.set_capacity(1000);
  ASSERT_TRUE(trim_log(*log_, keep, owners, watch_));
  EXPECT_EQ(parts(Journal::trail), 0u);
  EXPECT_EQ(parts(Journal::events), 3u) << "nothing passes a reader, however little room there is";
  owners[0].next[1] = 12;
  ASSERT_TRUE(trim_log(*log_, keep, owners, watch_));
  EXPECT_EQ(parts(Journal::events), 0u);
}

class AgeAndJumps : public DiskBudget {
 protected:
  void SetUp() override {
    for (const Journal journal : {Journal::inbox, Journal::events, Journal::trail}) {
      fill(journal, 6);
    }
    ASSERT_EQ(all(), 6u);
  }
  std::size_t trim() {
    EXPECT_TRUE(trim_log(*log_, config::Retention(), {}, watch_));
    return all();
  }
  std::size_t all() {
    return parts(Journal::inbox) + parts(Journal::events) + parts(Journal::trail);
  }
};

TEST_F(AgeAndJumps, NothingGrowsOldBecauseTheClockJumped) {
  clock_.jump(std::chrono::days(400));
  EXPECT_EQ(trim(), 6u);
  clock_.advance(std::chrono::days(400));
  EXPECT_EQ(trim(), 6u) << "frozen until they agree";
  clock_.jump(-std::chrono::days(400));
  EXPECT_EQ(trim(), 6u) << "not for an hour yet";
  clock_.advance(std::chrono::hours(1));
  EXPECT_EQ(trim(), 0u) << "it is 400 days later indeed";
}

TEST_F(AgeAndJumps, APersonMayAcceptTheNewTime) {
  clock_.jump(std::chrono::days(400));
  EXPECT_EQ(trim(), 6u);
  ASSERT_TRUE(watch_.accept());
  EXPECT_EQ(trim(), 0u);
}

TEST_F(AgeAndJumps, ABudgetIsKeptAllTheSame) {
  clock_.jump(std::chrono::days(400));
  ASSERT_EQ(trim(), 6u);
  disk_.set_capacity(1000);
  EXPECT_EQ(trim(), 0u);
}

}  // namespace
}  // namespace millrace::watch
