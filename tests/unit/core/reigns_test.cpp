#include "millrace/reigns.hpp"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(Reigns, WhatAnEarlierOwnerPutsBehindTheirBeginDoesNotCount) {
  const Reigns reigns{{10, "a"}, {20, "b"}, {30, "a2"}};
  EXPECT_TRUE(counts(reigns, 9, "before them")) << "nobody said anything about that";
  EXPECT_TRUE(counts(reigns, 10, "a"));
  EXPECT_TRUE(counts(reigns, 19, "a"));
  EXPECT_FALSE(counts(reigns, 20, "a"));
  EXPECT_TRUE(counts(reigns, 20, "b"));
  EXPECT_FALSE(counts(reigns, 19, "b"));
  EXPECT_FALSE(counts(reigns, 35, "a")) << "a later life is another owner";
  EXPECT_TRUE(counts(reigns, 35, "a2"));
}

TEST(Reigns, WhatAnybodyMayAppendCountsAlways) {
  EXPECT_TRUE(counts({{0, "a"}}, 5, ""));
  EXPECT_TRUE(counts({}, 5, "a"));
}

TEST(Reigns, BeginAtTheEndAndGoOnForTheSameOwner) {
  Reigns reigns = with_reign({}, 0, 7, "a");
  EXPECT_EQ((Reigns{{7, "a"}}), reigns);
  EXPECT_EQ(reigns, with_reign(reigns, 0, 9, "a"));
  reigns = with_reign(reigns, 0, 9, "b");
  EXPECT_EQ((Reigns{{7, "a"}, {9, "b"}}), reigns);
  EXPECT_EQ((Reigns{{7, "a"}, {9, "b"}, {12, "a"}}), with_reign(reigns, 0, 12, "a"));
}

TEST(Reigns, OneThatSawNoRecordGoes) {
  EXPECT_EQ((Reigns{{3, "a"}, {9, "c"}}), with_reign({{3, "a"}, {9, "b"}}, 0, 9, "c"));
  EXPECT_EQ((Reigns{{3, "a"}}), with_reign({{3, "a"}, {9, "b"}}, 0, 9, "a"));
}

TEST(Reigns, ThoseBeforeTheLogGo) {
  const Reigns reigns{{3, "a"}, {9, "b"}, {12, "c"}};
  EXPECT_EQ((Reigns{{3, "a"}, {9, "b"}, {12, "c"}, {20, "d"}}), with_reign(reigns, 8, 20, "d"));
  EXPECT_EQ((Reigns{{9, "b"}, {12, "c"}, {20, "d"}}), with_reign(reigns, 9, 20, "d"));
  EXPECT_EQ((Reigns{{20, "d"}}), with_reign(reigns, 20, 20, "d"));
  Reigns many;
  for (Offset at = 0; at < 2 * kReignsMax; ++at) {
    many = with_reign(std::move(many), 0, at, at % 2 == 0 ? "a" : "b");
  }
  EXPECT_EQ(kReignsMax, many.size());
  EXPECT_EQ(2 * kReignsMax - 1, many.back().from);
}

TEST(Reigns, OfATopicThatWasMadeAnewSayNothing) {
  EXPECT_EQ((Reigns{{2, "c"}}), with_reign({{3, "a"}, {9, "b"}}, 0, 2, "c"));
}

TEST(Reigns, WhoIsAloneBeginsOnlyBehindOthers) {
  EXPECT_EQ(Reigns(), with_reign({}, 0, 7, ""));
  const Reigns reigns = with_reign({{3, "a"}}, 0, 7, "");
  EXPECT_EQ((Reigns{{3, "a"}, {7, ""}}), reigns);
  EXPECT_FALSE(counts(reigns, 7, "a"));
  EXPECT_TRUE(counts(reigns, 7, ""));
}

}  // namespace
}  // namespace millrace
