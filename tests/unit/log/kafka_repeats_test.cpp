#include "log/kafka_repeats.hpp"

#include <gtest/gtest.h>

#include <string>

namespace millrace::log {
namespace {

TEST(KafkaRepeats, TheCopyThatLiesFirstCounts) {
  KafkaRepeats repeats;
  EXPECT_FALSE(repeats.is_repeat(Journal::inbox, 3, 10, "a"));
  EXPECT_FALSE(repeats.is_repeat(Journal::inbox, 3, 10, "a")) << "it is read once more";
  EXPECT_TRUE(repeats.is_repeat(Journal::inbox, 3, 12, "a"));
  EXPECT_FALSE(repeats.is_repeat(Journal::inbox, 4, 12, "a")) << "another partition";
  EXPECT_FALSE(repeats.is_repeat({Journal::events, "order"}, 3, 12, "a")) << "another stream";
  EXPECT_FALSE(repeats.is_repeat(Journal::inbox, 3, 9, "a")) << "who reads further back finds it";
  EXPECT_TRUE(repeats.is_repeat(Journal::inbox, 3, 10, "a"));
}

TEST(KafkaRepeats, WithoutAnIdNothingIsARepeat) {
  KafkaRepeats repeats;
  EXPECT_FALSE(repeats.is_repeat(Journal::inbox, 3, 10, ""));
  EXPECT_FALSE(repeats.is_repeat(Journal::inbox, 3, 11, ""));
}

TEST(KafkaRepeats, TheNewestIdsAreKept) {
  KafkaRepeats repeats;
  const Offset all = 2 * KafkaRepeats::kKeptMax;
  for (Offset offset = 0; offset < all; ++offset) {
    EXPECT_FALSE(repeats.is_repeat(Journal::inbox, 0, offset, std::to_string(offset)));
  }
  EXPECT_FALSE(repeats.is_repeat(Journal::inbox, 0, 1, "old news"))
      << "and pushes no newer one out";
  EXPECT_TRUE(
      repeats.is_repeat(Journal::inbox, 0, all, std::to_string(all - KafkaRepeats::kKeptMax)));
  EXPECT_FALSE(repeats.is_repeat(Journal::inbox, 0, all + 1, "0")) << "forgotten";
}

}  // namespace
}  // namespace millrace::log
