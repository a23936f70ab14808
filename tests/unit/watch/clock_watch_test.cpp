#include "watch/clock_watch.hpp"

#include <gtest/gtest.h>

namespace millrace::watch {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;

class FakeClock final : public Clock {
 public:
  WallTime wall_now() const override { return wall; }
  BootTime boot_now() const override { return boot; }
  void pass(microseconds time) {
    wall += time;
    boot += time;
  }

  WallTime wall = *parse_rfc3339("2026-11-21T22:00:00Z");
  BootTime boot{seconds(5000)};
};

Json saved_by(const ClockWatch& watch) {
  return *parse_json(watch.save());
}

TEST(ClockWatch, IsTheWallClockWhileBothAgree) {
  FakeClock clock;
  const ClockWatch watch(clock, "boot");
  clock.pass(days(400));
  clock.wall += minutes(9);
  EXPECT_EQ(watch.wall_now(), clock.wall);
  EXPECT_FALSE(watch.jump());
}

TEST(ClockWatch, StandsStillFromAJumpOn) {
  FakeClock clock;
  const ClockWatch watch(clock, "boot");
  const WallTime before = clock.wall;
  clock.wall += days(90);
  EXPECT_EQ(watch.wall_now(), before);
  clock.pass(days(2));
  EXPECT_EQ(watch.wall_now(), before) << "only agreement or a person ends it";
  ASSERT_TRUE(watch.jump());
  EXPECT_EQ(watch.jump()->apart, days(90));
  EXPECT_EQ(watch.jump()->since, before);
}

TEST(ClockWatch, AJumpBackIsAJump) {
  FakeClock clock;
  const ClockWatch watch(clock, "boot");
  const WallTime before = clock.wall;
  clock.wall -= days(1);
  EXPECT_EQ(watch.wall_now(), before);
  EXPECT_EQ(watch.jump()->apart, -days(1));
}

TEST(ClockWatch, AnHourOfAgreementEndsIt) {
  FakeClock clock;
  const ClockWatch watch(clock, "boot");
  clock.wall += days(1);
  EXPECT_TRUE(watch.jump());
  clock.wall -= days(1);
  EXPECT_TRUE(watch.jump());
  clock.pass(minutes(59));
  EXPECT_TRUE(watch.jump()) << "it may jump again";
  clock.pass(minutes(1));
  EXPECT_FALSE(watch.jump());
  EXPECT_EQ(watch.wall_now(), clock.wall);
}

TEST(ClockWatch, EachJumpBeginsTheHourAnew) {
  FakeClock clock;
  const ClockWatch watch(clock, "boot");
  for (int i = 0; i < 3; ++i) {
    clock.wall += days(1);
    EXPECT_TRUE(watch.jump());
    clock.wall -= days(1);
    EXPECT_TRUE(watch.jump());
    clock.pass(minutes(50));
    EXPECT_TRUE(watch.jump());
  }
}

TEST(ClockWatch, APersonAcceptsTheNewTime) {
  FakeClock clock;
  ClockWatch watch(clock, "boot");
  EXPECT_FALSE(watch.accept()) << "nothing is wrong";
  clock.wall += days(90);
  EXPECT_TRUE(watch.accept());
  EXPECT_FALSE(watch.jump());
  EXPECT_EQ(watch.wall_now(), clock.wall);
  clock.wall -= days(90);
  EXPECT_TRUE(watch.jump());
}

TEST(ClockWatch, ManySmallStepsAreNoJump) {
  FakeClock clock;
  const ClockWatch watch(clock, "boot");
  for (int i = 0; i < 100; ++i) {
    clock.wall += minutes(5);
    clock.pass(hours(1));
    EXPECT_EQ(watch.wall_now(), clock.wall);
  }
}

TEST(ClockWatch, AJumpWhileTheProcessWasDownIsSeen) {
  FakeClock clock;
  const Json saved = saved_by(ClockWatch(clock, "boot"));
  clock.pass(hours(5));
  const WallTime right = clock.wall;
  clock.wall += days(90);
  ClockWatch watch(clock, "boot");
  watch.restore(saved);
  ASSERT_TRUE(watch.jump());
  EXPECT_EQ(watch.wall_now(), right);
}

TEST(ClockWatch, ARebootDoesNotMakeAJumpTrue) {
  FakeClock clock;
  ClockWatch first(clock, "boot");
  const WallTime right = clock.wall;
  clock.wall += days(90);
  ASSERT_TRUE(first.jump());
  const Json saved = saved_by(first);
  clock.boot = BootTime{seconds(10)};
  ClockWatch second(clock, "next boot");
  second.restore(saved);
  EXPECT_EQ(second.wall_now(), right);
  clock.pass(hours(1));
  EXPECT_FALSE(second.jump()) << "an hour of agreement";
}

TEST(ClockWatch, ARebootAloneIsNoJump) {
  FakeClock clock;
  const Json saved = saved_by(ClockWatch(clock, "boot"));
  clock.wall += days(3);
  clock.boot = BootTime{seconds(10)};
  ClockWatch watch(clock, "next boot");
  watch.restore(saved);
  EXPECT_FALSE(watch.jump());
}

TEST(ClockWatch, SaysWhenThereIsSomethingToSave) {
  FakeClock clock;
  ClockWatch watch(clock, "boot");
  const auto before = watch.changes();
  clock.pass(days(1));
  EXPECT_EQ(watch.changes(), before);
  clock.wall += days(1);
  EXPECT_GT(watch.changes(), before);
}

}  // namespace
}  // namespace millrace::watch
