#include "deliver/parked_index.hpp"

#include <gtest/gtest.h>

namespace millrace::deliver {
namespace {

const BootTime kNow{seconds(5000)};

ParkedRow delivery(Partition partition, Offset offset, int send = 0) {
  ParkedRow row;
  row.stage = "deliver";
  row.owner = "order-to-mes";
  row.partition = partition;
  row.offset = offset;
  row.send = send;
  return row;
}

std::string key(Offset offset, int send = 0) {
  return delivery(7, offset, send).key();
}

ParkedIndex::Ref ref(std::string key, ParkedState state, milliseconds due = milliseconds{0}) {
  return {.key = std::move(key), .state = state, .due = kNow + due};
}

TEST(ParkedIndex, WhatComesLaterParksBehind) {
  ParkedIndex index(false);
  EXPECT_FALSE(index.blocks(1));
  index.put(1, ref(key(1), ParkedState::retrying, milliseconds(100)));
  EXPECT_EQ(index.blocks(1), ParkedState::behind);
  EXPECT_FALSE(index.blocks(2));
}

TEST(ParkedIndex, RowsOfOneRecordAreTriedInTheirOrder) {
  ParkedIndex index(false);
  index.put(1, ref(key(2), ParkedState::behind));
  index.put(1, ref(key(1), ParkedState::retrying, milliseconds(100)));
  EXPECT_FALSE(index.take_due(kNow));
  const auto first = index.take_due(kNow + milliseconds(100));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->second, key(1));
  EXPECT_FALSE(index.take_due(kNow + milliseconds(200)));
  index.erase(1, key(1));
  const auto second = index.take_due(kNow + milliseconds(200));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->second, key(2));
  index.erase(1, key(2));
  EXPECT_FALSE(index.blocks(1));
  EXPECT_EQ(index.size(), 0u);
}

TEST(ParkedIndex, ADeadRowBlocksOnlyUnderHold) {
  ParkedIndex carry_on(false);
  carry_on.put(1, ref(key(1), ParkedState::dead));
  EXPECT_FALSE(carry_on.blocks(1));
  ParkedIndex hold(true);
  hold.put(1, ref(key(1), ParkedState::dead));
  EXPECT_EQ(hold.blocks(1), ParkedState::held);
  hold.put(1, ref(key(2), ParkedState::held));
  EXPECT_FALSE(hold.take_due(kNow + milliseconds(1000)));
  hold.put(1, ref(key(1), ParkedState::discarded));
  const auto released = hold.take_due(kNow + milliseconds(1000));
  ASSERT_TRUE(released);
  EXPECT_EQ(released->second, key(2));
}

// A later event of the record parks behind a row that is being tried.
TEST(ParkedIndex, ARowThatIsBeingTriedIsNotTriedTwice) {
  ParkedIndex index(false);
  index.put(1, ref(key(1), ParkedState::retrying));
  ASSERT_TRUE(index.take_due(kNow));
  index.put(1, ref(key(2), ParkedState::behind));
  EXPECT_FALSE(index.take_due(kNow + milliseconds(10'000)));
  index.put(1, ref(key(1), ParkedState::retrying, milliseconds(100)));
  const auto again = index.take_due(kNow + milliseconds(100));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->second, key(1));
}

TEST(ParkedIndex, ARouteThatHoldsNoLongerReleasesWhatItHeld) {
  ParkedIndex index(true);
  index.put(1, ref(key(1), ParkedState::dead));
  index.put(1, ref(key(2), ParkedState::held));
  index.set_hold(false);
  const auto released = index.take_due(kNow);
  ASSERT_TRUE(released);
  EXPECT_EQ(released->second, key(2));
  index.set_hold(true);
  EXPECT_EQ(index.blocks(1), ParkedState::held);
  EXPECT_EQ(index.waiting(), 2u);
}

TEST(ParkedIndex, RemembersWhatWasDeliveredBehindUndecidedRows) {
  const auto key = [](std::string_view offset) {
    return "route" + std::string(1, '\0') + "00" + std::string(1, '\0') + std::string(14, '0') +
           std::string(offset) + "00";
  };
  ParkedIndex index(false);
  index.put(1, ref(key("10"), ParkedState::dead));
  EXPECT_TRUE(index.has_before(1, 0x11));
  EXPECT_FALSE(index.has_before(1, 0x10));
  EXPECT_FALSE(index.has_before(2, 0x11));
  EXPECT_TRUE(index.set_delivered(1, 0x20));
  EXPECT_FALSE(index.set_delivered(1, 0x11));
  EXPECT_EQ(index.delivered(1), 0x20u);
  EXPECT_FALSE(index.forget_delivered(1));
  index.put(1, ref(key("10"), ParkedState::discarded));
  EXPECT_FALSE(index.has_before(1, 0x21));
  EXPECT_TRUE(index.forget_delivered(1));
  EXPECT_FALSE(index.delivered(1));
}

TEST(ParkedIndex, CountsWhatWaitsInAllLanes) {
  const auto total = std::make_shared<std::atomic<std::int64_t>>(0);
  ParkedIndex one(false, total);
  {
    ParkedIndex other(false, total);
    one.put(1, ref(key(1), ParkedState::dead));
    other.put(2, ref(key(2), ParkedState::retrying));
    other.put(2, ref(key(3), ParkedState::behind));
    EXPECT_EQ(*total, 3);
    other.erase(2, key(2));
    one.put(1, ref(key(1), ParkedState::discarded));
    EXPECT_EQ(*total, 1);
  }
  EXPECT_EQ(*total, 0);
}

TEST(ParkedIndex, WhatWaitsForAPersonIsNotTried) {
  ParkedIndex index(false);
  index.put(1, ref(key(1), ParkedState::unknown));
  index.put(1, ref(key(2), ParkedState::behind));
  EXPECT_FALSE(index.take_due(kNow + milliseconds(10'000)));
  EXPECT_EQ(index.blocks(1), ParkedState::behind);
  EXPECT_EQ(index.count(ParkedState::unknown), 1u);
}

TEST(ParkedIndex, AnIdentityReleasesWhoWaitsForIt) {
  ParkedIndex index(false);
  auto waiting = ref(key(1), ParkedState::waiting_reference, milliseconds(300'000));
  waiting.waits_for = "key";
  index.put(1, waiting);
  EXPECT_EQ(index.reference_bound("other", kNow), 0u);
  EXPECT_FALSE(index.take_due(kNow));
  EXPECT_EQ(index.reference_bound("key", kNow), 1u);
  EXPECT_TRUE(index.take_due(kNow));
}

// Else its record's order would hang on a row that a crash may lose.
TEST(ParkedIndex, ARowIsNotTriedBeforeItIsCommitted) {
  ParkedIndex index(false);
  auto waiting = ref(key(1), ParkedState::waiting_reference, milliseconds(300'000));
  waiting.waits_for = "key";
  waiting.uncommitted = true;
  index.put(1, waiting);
  index.put(2, waiting);
  auto retrying = ref(key(1), ParkedState::retrying);
  retrying.uncommitted = true;
  index.put(3, retrying);
  EXPECT_EQ(index.blocks(1), ParkedState::behind);
  index.reference_bound("key", kNow);
  index.release_waiting(kNow);
  EXPECT_FALSE(index.take_due(kNow + milliseconds(10'000)));
  // What it waited for came before its commit: it is due at once, not in five minutes.
  index.committed(1, key(1), kNow + milliseconds(300'000));
  const auto released = index.take_due(kNow);
  ASSERT_TRUE(released);
  EXPECT_EQ(released->first, 1u);
  EXPECT_FALSE(index.take_due(kNow + milliseconds(10'000)));
  index.committed(3, key(1), kNow + milliseconds(100));
  EXPECT_EQ(index.take_due(kNow + milliseconds(10'000))->first, 3u);
}

TEST(ParkedIndex, ARowThatCouldNotBeReadIsTriedAgain) {
  ParkedIndex index(false);
  index.put(1, ref(key(1), ParkedState::retrying));
  ASSERT_TRUE(index.take_due(kNow));
  index.give_back(1, key(1), kNow + milliseconds(1000));
  EXPECT_EQ(index.blocks(1), ParkedState::behind);
  EXPECT_FALSE(index.take_due(kNow));
  const auto again = index.take_due(kNow + milliseconds(1000));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->second, key(1));
}

TEST(ParkedIndex, AResubmittedRowMakesWayForItsSuccessor) {
  ParkedIndex index(false);
  index.put(1, ref(key(1), ParkedState::resubmitted));
  index.put(1, ref(key(1, 1), ParkedState::retrying));
  const auto due = index.take_due(kNow);
  ASSERT_TRUE(due);
  EXPECT_EQ(due->second, key(1, 1));
}

TEST(ParkedIndex, DecidedRowsGoWithTheirEvents) {
  ParkedIndex index(false);
  index.put(1, ref(delivery(7, 10).key(), ParkedState::discarded));
  index.put(1, ref(delivery(7, 20).key(), ParkedState::resubmitted));
  index.put(1, ref(delivery(7, 11).key(), ParkedState::dead));
  index.put(2, ref(delivery(8, 10).key(), ParkedState::discarded));
  EXPECT_TRUE(index.has_row(1, 10));
  PartitionOffsets begins{};
  begins[7] = 20;
  EXPECT_EQ(index.take_decided(begins), std::vector{delivery(7, 10).key()});
  EXPECT_FALSE(index.has_row(1, 10));
  EXPECT_TRUE(index.has_row(1, 11));
  EXPECT_EQ(index.size(), 3u);
}

TEST(ParkedIndex, SaysWhatBecameOfAnEventThatWasParked) {
  ParkedIndex index(false);
  EXPECT_FALSE(index.decided(1, 10));
  index.put(1, ref(delivery(7, 10, 0).key(), ParkedState::resubmitted));
  index.put(1, ref(delivery(7, 10, 1).key(), ParkedState::resubmitted));
  ASSERT_TRUE(index.decided(1, 10));
  EXPECT_FALSE(index.decided(1, 10)->given_up);
  EXPECT_EQ(index.decided(1, 10)->send, 2);
  index.put(1, ref(delivery(7, 10, 2).key(), ParkedState::discarded));
  EXPECT_TRUE(index.decided(1, 10)->given_up);
}

TEST(ParkedIndex, KnowsWhichReplayParkedARow) {
  ParkedIndex index(false);
  ParkedIndex::Ref own = ref(key(1), ParkedState::retrying);
  own.replay = 3;
  index.put(1, own);
  EXPECT_FALSE(index.has_other_than(1, 3));
  EXPECT_TRUE(index.has_other_than(1, 4));
  index.put(1, ref(key(2), ParkedState::behind));
  EXPECT_TRUE(index.has_other_than(1, 3));
}

ParkedIndex::Ref waiting_since(Offset offset, ParkedState state, seconds age) {
  ParkedIndex::Ref made = ref(key(offset), state);
  made.since = WallTime(seconds(1'000'000) - age);
  made.held_since = kNow - age;
  return made;
}

TEST(ParkedIndex, SaysWhichRowHasBeenUndeliveredForLongest) {
  ParkedIndex index(false);
  EXPECT_EQ(index.oldest(), nullptr);
  index.put(1, waiting_since(3, ParkedState::behind, seconds(30)));
  index.put(2, waiting_since(1, ParkedState::retrying, seconds(60)));
  index.put(3, waiting_since(2, ParkedState::dead, seconds(90)));
  ASSERT_NE(index.oldest(), nullptr);
  EXPECT_EQ(index.oldest()->key, key(1));
  // An attempt says nothing about its age.
  ParkedIndex::Ref tried = waiting_since(1, ParkedState::retrying, seconds(60));
  tried.held_since = kNow;
  index.put(2, tried);
  EXPECT_EQ(index.oldest()->held_since, kNow - seconds(60));
  index.erase(2, key(1));
  EXPECT_EQ(index.oldest()->key, key(3)) << "a dead letter is told of as such";
  index.put(1, waiting_since(3, ParkedState::discarded, seconds(30)));
  EXPECT_EQ(index.oldest(), nullptr);
}

TEST(ParkedIndex, ARowThatIsSentAgainIsAsOldAsItsEvent) {
  ParkedIndex index(false);
  index.put(1, waiting_since(1, ParkedState::dead, seconds(90)));
  index.set_state(1, key(1), ParkedState::resubmitted);
  ParkedIndex::Ref again = waiting_since(1, ParkedState::retrying, seconds(90));
  again.key = key(1, 1);
  index.put(1, again);
  index.put(2, waiting_since(2, ParkedState::unknown, seconds(60)));
  EXPECT_EQ(index.oldest()->key, key(1, 1));
  index.erase(1, key(1, 1));
  EXPECT_EQ(index.oldest()->key, key(2));
}

TEST(ParkedIndex, OneThatWaitsForWeeksKeepsNothingOfWhatComesAndGoes) {
  ParkedIndex index(false);
  index.put(1, waiting_since(1, ParkedState::retrying, seconds(1'000'000)));
  for (Offset offset = 2; offset < 10'000; ++offset) {
    index.put(offset, waiting_since(offset, ParkedState::retrying, seconds(10)));
    index.erase(offset, key(offset));
    ASSERT_LE(index.ages(), 100u);
  }
  EXPECT_EQ(index.oldest()->key, key(1));
}

}  // namespace
}  // namespace millrace::deliver
