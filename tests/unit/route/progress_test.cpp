#include "route/progress.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace millrace::route {
namespace {

TEST(Progress, CursorStopsAtTheFirstUnsettled) {
  Progress progress(10);
  for (Offset offset = 10; offset < 15; ++offset) progress.take(offset);
  progress.settle(11);
  progress.settle(13);
  EXPECT_EQ(progress.cursor(), 10u);
  EXPECT_EQ(progress.beyond(), 2u);
  progress.settle(10);
  EXPECT_EQ(progress.cursor(), 12u);
  progress.settle(12);
  progress.settle(14);
  EXPECT_EQ(progress.cursor(), 15u);
  EXPECT_EQ(progress.beyond(), 0u);
}

TEST(Progress, WhatConcernsNobodyIsPassedOver) {
  Progress progress(0);
  progress.take(7);
  EXPECT_EQ(progress.cursor(), 7u);
  progress.settle(7);
  EXPECT_EQ(progress.cursor(), 8u);
  progress.see(100);
  EXPECT_EQ(progress.cursor(), 100u);
}

TEST(Progress, SettlingTwiceOrBelowChangesNothing) {
  Progress progress(5);
  progress.take(5);
  progress.settle(5);
  progress.settle(5);
  progress.settle(2);
  EXPECT_EQ(progress.cursor(), 6u);
}

TEST(Progress, TheWindowIsBounded) {
  Progress progress(0);
  progress.take(0);
  EXPECT_TRUE(progress.has_room_for(kWindowMax - 1));
  EXPECT_FALSE(progress.has_room_for(kWindowMax));
}

TEST(Progress, RefusesTheCursorOfAnotherLog) {
  const auto decoded = Progress::decode(Progress(3).encode("a"), "b");
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, Errc::wrong_environment);
  EXPECT_NE(decoded.error().message.find("`millrace state adopt --routes-from"), std::string::npos)
      << decoded.error().message;
}

// A consumer takes and settles in any order, is stopped anywhere, and goes on from its row: what
// was settled and recorded is never taken again, what was not is.
TEST(Progress, ARestartRepeatsExactlyWhatWasNotSettled) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    Progress progress(0);
    std::set<Offset> settled;
    std::set<Offset> open;
    Offset next = 0;
    for (int restart = 0; restart < 4; ++restart) {
      for (int step = 0; step < 60; ++step) {
        if (random() % 2 == 0 && progress.has_room_for(next)) {
          if (progress.was_settled(next)) {
            EXPECT_TRUE(settled.contains(next));
            progress.see(next + 1);
          } else {
            EXPECT_FALSE(settled.contains(next)) << next;
            progress.take(next);
            open.insert(next);
          }
          next += 1;
        } else if (!open.empty()) {
          auto chosen = std::next(open.begin(), static_cast<long>(random() % open.size()));
          progress.settle(*chosen);
          settled.insert(*chosen);
          open.erase(chosen);
        }
      }
      auto again = Progress::decode(progress.encode("log"), "log");
      ASSERT_TRUE(again) << again.error().message;
      progress = *again;
      next = progress.cursor();
      open.clear();
      for (Offset below = 0; below < progress.cursor(); ++below) {
        EXPECT_TRUE(settled.contains(below)) << below;
      }
    }
  }
}

TEST(Progress, ARowOnTheTailGoesAsFarAsTheTail) {
  Progress progress(7);
  progress.see(10);
  const auto on_tail = progress.encode("log", Progress::Row::on_tail);
  EXPECT_EQ(progress.row(), Progress::Row::on_tail);
  auto read = Progress::decode(on_tail, "log");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->row(), Progress::Row::on_tail);
  EXPECT_EQ(read->cursor(), 10u);
  read->lift(25);
  EXPECT_EQ(read->cursor(), 25u);
  EXPECT_FALSE(read->unsaved());
  read->lift(20);
  EXPECT_EQ(read->cursor(), 25u);
  read->take(30);
  const auto own = Progress::decode(read->encode("log"), "log");
  ASSERT_TRUE(own);
  EXPECT_EQ(own->row(), Progress::Row::own) << "what is taken up has a row of its own";
  EXPECT_EQ(own->cursor(), 30u);
}

}  // namespace
}  // namespace millrace::route
