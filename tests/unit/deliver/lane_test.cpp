#include "deliver/lane.hpp"

#include <fmt/format.h>

#include "lane_world.hpp"

namespace millrace::deliver {
namespace {

using test::LaneWorld;

Outcome refusing() {
  Outcome outcome;
  outcome.kind = Outcome::Kind::again;
  outcome.reason = "503";
  outcome.answer = HttpResponse{};
  outcome.answer->status = 503;
  return outcome;
}

TEST_F(LaneWorld, AnAttemptThatEndsDuringADecisionDoesNotOverwriteIt) {
  const ParkedRow row = parked_row("e1");
  put(row);
  start();
  until_on_wire("e1");
  state_.hold(true);
  auto said = decide(row.key(), {.kind = Decision::Kind::discard, .reason = "made by hand"});
  until([this] { return state_.waiting() > 0; }, "the decision waits for its commit");
  answer("e1", refusing());
  state_.hold(false);
  ASSERT_TRUE(said.get().has_value());
  until([this] { return lane_->recorded() && lane_->status().parked == 0; }, "all is recorded");
  ASSERT_TRUE(stored(row.key()).has_value());
  EXPECT_EQ(ParkedState::discarded, stored(row.key())->state);
}

TEST_F(LaneWorld, ADeliveryThatEndsDuringADecisionIsADelivery) {
  const ParkedRow row = parked_row("e1");
  put(row);
  start();
  until_on_wire("e1");
  state_.hold(true);
  auto said = decide(row.key(), {.kind = Decision::Kind::discard, .reason = "made by hand"});
  until([this] { return state_.waiting() > 0; }, "the decision waits for its commit");
  answer("e1", Outcome{});
  state_.hold(false);
  ASSERT_TRUE(said.get().has_value());
  until([this] { return lane_->recorded() && lane_->status().delivered == 1; }, "it is delivered");
  EXPECT_FALSE(stored(row.key()).has_value());
}

TEST_F(LaneWorld, TwoPeopleDoNotDecideOneRowAtOnce) {
  const ParkedRow row = parked_row("e1");
  put(row);
  start();
  until_on_wire("e1");
  state_.hold(true);
  auto first = decide(row.key(), {.kind = Decision::Kind::discard, .reason = "made by hand"});
  until([this] { return state_.waiting() > 0; }, "the decision waits for its commit");
  const auto second =
      decide(row.key(), {.kind = Decision::Kind::applied, .external_id = "T1"}).get();
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(Errc::conflict, second.error().code);
  state_.hold(false);
  ASSERT_TRUE(first.get().has_value());
  EXPECT_EQ("discarded: made by hand", stored(row.key())->reason);
}

TEST_F(LaneWorld, HowLongItHoldsAnEventIsByTheBootClock) {
  start();
  append("e1");
  until_on_wire("e1");
  const auto age = [this] { return on_shard([this] { return lane_->status().oldest_held; }); };
  constexpr std::int64_t kDay = 86'400'000'000;
  EXPECT_EQ(microseconds(0), age());
  clock_.wall_us += kDay;
  EXPECT_EQ(microseconds(0), age()) << "a false alarm";
  clock_.boot_us += 1'200'000'000;
  clock_.wall_us -= 2 * kDay;
  EXPECT_EQ(seconds(1200), age()) << "a missed alarm";
}

TEST_F(LaneWorld, ARowParkedByAClockFarAheadWaitsNoLongerThanAnyRetry) {
  ParkedRow row = parked_row("e1");
  row.next_at += std::chrono::days(90);
  put(row);
  start();
  clock_.wall_us -= 86'400'000'000;  // and no longer because the clock is set back
  clock_.boot_us += microseconds(config_->routes.find("r")->second.retry.max_interval).count();
  until_on_wire("e1");
}

TEST_F(LaneWorld, RetryAfterIsBelievedForAnHourAtMost) {
  const ParkedRow row = parked_row("e1");
  put(row);
  start();
  until_on_wire("e1");
  Outcome later = refusing();
  later.retry_after = std::chrono::hours(48);
  answer("e1", later);
  until([&] { return stored(row.key())->attempts > row.attempts; }, "the attempt is recorded");
  EXPECT_EQ(std::chrono::hours(1), stored(row.key())->next_at - clock_.wall_now());
}

TEST_F(LaneWorld, ADeadLetterAndItsAnnouncementAreOneCommit) {
  const ParkedRow row = parked_row("e1");
  put(row);
  start();
  until_on_wire("e1");
  state_.hold(true);
  Outcome rejected = refusing();
  rejected.kind = Outcome::Kind::rejected;
  answer("e1", rejected);
  until([this] { return state_.waiting() > 0; }, "the outcome waits for its commit");
  EXPECT_TRUE(state_.waiting_with(Table::parked, Table::outbox));
  EXPECT_EQ(ParkedState::retrying, stored(row.key())->state);
  state_.hold(false);
  until([&] { return stored(row.key())->state == ParkedState::dead; }, "it is a dead letter");
  EXPECT_EQ(1U, *state_.count(Table::outbox, "dead:"));
}

// Lanes of targets that are down hold all the memory there is for the lanes of a shard.
TEST_F(LaneWorld, WhoIsAnsweredGoesOnWhateverOtherLanesHold) {
  together_->taken_bytes = kTakenBytesOfShardMax;
  start();
  const int places = target_->in_flight_max();
  ASSERT_GT(places, static_cast<int>(kItemsAlways));
  for (int i = 0; i < 2 * places; ++i) append(fmt::format("e{}", i), fmt::format("shop/{}", i));
  until([&] { return static_cast<int>(sink_->on_wire.size()) == places; }, "all places are taken");
  together_->taken_bytes -= kTakenBytesOfShardMax;
}

TEST_F(LaneWorld, WhatGoesOnByItselfIsNotSentUnderAnotherKey) {
  ParkedRow row = parked_row("e1");
  row.next_at += std::chrono::hours(1);
  put(row);
  start();
  const auto refused = decide(row.key(), {.kind = Decision::Kind::resubmit}).get();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(Errc::conflict, refused.error().code);
  EXPECT_EQ(ParkedState::retrying, stored(row.key())->state);
  const auto again = decide(row.key(), {.kind = Decision::Kind::resubmit, .again = true}).get();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(ParkedState::resubmitted, stored(row.key())->state);
}

TEST_F(LaneWorld, WhatWasGivenUpUnansweredKeepsItsKey) {
  ParkedRow row = parked_row("e1");
  row.state = ParkedState::dead;
  put(row);
  start();
  ASSERT_TRUE(decide(row.key(), {.kind = Decision::Kind::resubmit}).get().has_value());
  until_on_wire("e1");
  answer("e1", Outcome{});
  until([this] { return lane_->recorded() && lane_->status().delivered == 1; }, "it is delivered");
  EXPECT_FALSE(stored(row.key()).has_value());
  EXPECT_TRUE(state_.scan(Table::parked, "", "", 10)->empty());
}

TEST_F(LaneWorld, WhatWasRefusedIsSentUnderAnotherKey) {
  ParkedRow row = parked_row("e1");
  row.state = ParkedState::dead;
  row.answer_status = 422;
  put(row);
  start();
  ASSERT_TRUE(decide(row.key(), {.kind = Decision::Kind::resubmit}).get().has_value());
  EXPECT_EQ(ParkedState::resubmitted, stored(row.key())->state);
}

}  // namespace
}  // namespace millrace::deliver
