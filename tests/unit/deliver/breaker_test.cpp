#include "deliver/breaker.hpp"

#include <gtest/gtest.h>

namespace millrace::deliver {
namespace {

BootTime at(int milliseconds_after) {
  return BootTime(std::chrono::hours(1)) + milliseconds(milliseconds_after);
}

Outcome outcome(Outcome::Kind kind, int status = 0, Outcome::Scope scope = Outcome::Scope::record) {
  Outcome made;
  made.kind = kind;
  made.scope = scope;
  made.reason = "because";
  if (status != 0) {
    made.answer.emplace();
    made.answer->status = status;
  }
  return made;
}

// Every record sends a request of its own.
Call call(std::uint64_t record, bool slow = false) {
  return {.record = record, .request = record, .slow = slow};
}

TEST(Breaker, OneFailingRecordDoesNotOpenIt) {
  Breaker breaker({});
  for (int i = 0; i < 50; ++i) {
    EXPECT_FALSE(breaker.record(outcome(Outcome::Kind::again, 500), call(1), at(i)));
  }
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
}

TEST(Breaker, OpensAfterFailuresOfSeveralRecordsAndAbsorbsThem) {
  Breaker breaker({.opens_after = 5});
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(breaker.record(outcome(Outcome::Kind::again, 503), call(i), at(i)));
  }
  EXPECT_TRUE(breaker.record(outcome(Outcome::Kind::again, 503), call(9), at(5)));
  EXPECT_EQ(breaker.state(), Breaker::State::open);
  EXPECT_EQ(breaker.reason(), "because");
}

TEST(Breaker, ARunOfFailuresBetweenSuccessesDoesNotOpenIt) {
  Breaker breaker({.opens_after = 5, .probes_every = milliseconds(1000)});
  breaker.record(outcome(Outcome::Kind::delivered, 200), call(100), at(0));
  for (int i = 1; i < 50; ++i) {
    EXPECT_FALSE(breaker.record(outcome(Outcome::Kind::again, 503), call(i), at(i)));
  }
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
  EXPECT_TRUE(breaker.record(outcome(Outcome::Kind::again, 503), call(51), at(1000)));
  EXPECT_EQ(breaker.state(), Breaker::State::open);
}

TEST(Breaker, ATargetThatCannotBeReachedOpensItAtOnce) {
  Breaker breaker({});
  EXPECT_TRUE(
      breaker.record(outcome(Outcome::Kind::again, 0, Outcome::Scope::target), call(1), at(0)));
  EXPECT_EQ(breaker.state(), Breaker::State::open);
}

TEST(Breaker, ProbesOneAtATimeAndClosesOnSuccess) {
  Breaker breaker({.opens_after = 5, .probes_every = milliseconds(1000)});
  const Outcome down = outcome(Outcome::Kind::again, 0, Outcome::Scope::target);
  breaker.record(down, call(1), at(0));
  EXPECT_FALSE(breaker.take_probe(at(999)));
  Call probe = call(2);
  probe.probe = breaker.take_probe(at(1000));
  EXPECT_TRUE(probe.probe);
  EXPECT_FALSE(breaker.take_probe(at(5000)));
  breaker.record(down, probe, at(5001));
  EXPECT_FALSE(breaker.take_probe(at(5500)));
  probe.probe = breaker.take_probe(at(6001));
  EXPECT_TRUE(probe.probe);
  breaker.record(outcome(Outcome::Kind::delivered, 200), probe, at(6002));
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
}

TEST(Breaker, WhatWasOnTheWireBeforeMakesNoRoomForASecondProbe) {
  Breaker breaker({.opens_after = 5, .probes_every = milliseconds(1000)});
  const Outcome down = outcome(Outcome::Kind::again, 0, Outcome::Scope::target);
  breaker.record(down, call(1), at(0));
  ASSERT_TRUE(breaker.take_probe(at(1000)));
  breaker.record(down, call(2), at(1100));
  EXPECT_FALSE(breaker.take_probe(at(9000)));
}

TEST(Breaker, ThreeForbiddenRecordsPauseTheLaneButOneIsItsOwnFault) {
  Breaker breaker({});
  EXPECT_FALSE(breaker.record(outcome(Outcome::Kind::rejected, 403), call(1), at(0)));
  EXPECT_FALSE(breaker.record(outcome(Outcome::Kind::delivered, 200), call(2), at(1)));
  EXPECT_FALSE(breaker.record(outcome(Outcome::Kind::rejected, 403), call(3), at(2)));
  EXPECT_FALSE(breaker.record(outcome(Outcome::Kind::rejected, 403), call(4), at(3)));
  EXPECT_TRUE(breaker.record(outcome(Outcome::Kind::rejected, 403), call(5), at(4)));
  EXPECT_EQ(breaker.state(), Breaker::State::open);
}

TEST(Breaker, TwentyRejectionsWithoutADeliveryWaitForAPerson) {
  Breaker breaker({});
  for (std::uint64_t record = 0; record < 19; ++record) {
    breaker.record(outcome(Outcome::Kind::rejected, 422), call(record), at(0));
  }
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
  breaker.record(outcome(Outcome::Kind::rejected, 422), call(100), at(1));
  EXPECT_EQ(breaker.state(), Breaker::State::for_person);
  EXPECT_FALSE(breaker.take_probe(at(1'000'000)));
  breaker.resume(at(2));
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
}

TEST(Breaker, OneRecordRejectedOftenWaitsForNobody) {
  Breaker breaker({});
  for (int i = 0; i < 100; ++i)
    breaker.record(outcome(Outcome::Kind::rejected, 422), call(7), at(i));
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
}

TEST(Breaker, TheSameRequestRejectedForManyRecordsCountsOnce) {
  Breaker breaker({});
  for (std::uint64_t record = 0; record < 100; ++record) {
    breaker.record(outcome(Outcome::Kind::rejected, 422), {.record = record, .request = 7}, at(0));
  }
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
}

TEST(Breaker, WhatWaitsForAPersonIsNotOpenedByWhatWasStillOnTheWire) {
  Breaker breaker({});
  for (std::uint64_t record = 0; record < 20; ++record) {
    breaker.record(outcome(Outcome::Kind::rejected, 422), call(record), at(0));
  }
  ASSERT_EQ(breaker.state(), Breaker::State::for_person);
  EXPECT_TRUE(
      breaker.record(outcome(Outcome::Kind::again, 401, Outcome::Scope::target), call(30), at(1)));
  breaker.check_failed("gone", at(2));
  breaker.record(outcome(Outcome::Kind::delivered, 200), call(31), at(3));
  for (std::uint64_t record = 40; record < 50; ++record) {
    breaker.record(outcome(Outcome::Kind::delivered, 200), call(record, true), at(4));
  }
  EXPECT_EQ(breaker.state(), Breaker::State::for_person);
  EXPECT_FALSE(breaker.take_probe(at(1'000'000)));
}

TEST(Breaker, SlowAnswersOfSeveralRecordsOpenItAndAFastOneClosesIt) {
  Breaker breaker({.opens_after = 5, .probes_every = milliseconds(1000)});
  const Outcome delivered = outcome(Outcome::Kind::delivered, 200);
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(breaker.record(delivered, call(i, true), at(i)));
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
  // It was delivered: nothing is sent again because it took long.
  EXPECT_FALSE(breaker.record(delivered, call(4, true), at(5)));
  EXPECT_EQ(breaker.state(), Breaker::State::open);
  EXPECT_FALSE(breaker.take_probe(at(900)));
  Call probe = call(5, true);
  probe.probe = breaker.take_probe(at(1005));
  EXPECT_TRUE(probe.probe);
  EXPECT_FALSE(breaker.record(delivered, probe, at(1300)));
  EXPECT_EQ(breaker.state(), Breaker::State::open);
  EXPECT_TRUE(breaker.take_probe(at(2300)));
  EXPECT_FALSE(breaker.record(delivered, call(6), at(2301)));
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
}

TEST(Breaker, SlowAnswersBetweenFastOnesOrOfOneRecordDoNotOpenIt) {
  Breaker breaker({.opens_after = 5});
  const Outcome delivered = outcome(Outcome::Kind::delivered, 200);
  for (int i = 0; i < 50; ++i) breaker.record(delivered, call(i, i % 5 != 0), at(i));
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
  breaker.record(delivered, call(50), at(50));
  for (int i = 0; i < 50; ++i) breaker.record(delivered, call(i % 2, true), at(i));
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
}

TEST(Breaker, ASlowSuccessEndsARowOfFailures) {
  Breaker breaker({.opens_after = 5, .probes_every = milliseconds(1000)});
  const Outcome unavailable = outcome(Outcome::Kind::again, 503);
  for (int i = 0; i < 4; ++i) breaker.record(unavailable, call(i), at(2000 * i));
  breaker.record(outcome(Outcome::Kind::delivered, 200), call(9, true), at(8000));
  for (int i = 5; i < 9; ++i) breaker.record(unavailable, call(i), at(2000 * i));
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
  breaker.record(unavailable, call(9), at(18'000));
  EXPECT_EQ(breaker.state(), Breaker::State::open);
}

TEST(Breaker, TheOdometerStandsStillWhileTheTargetIsDown) {
  Breaker breaker({});
  breaker.record(outcome(Outcome::Kind::delivered, 200), call(1), at(0));
  EXPECT_EQ(breaker.odometer(at(500)), milliseconds(500));
  breaker.record(outcome(Outcome::Kind::again, 0, Outcome::Scope::target), call(1), at(500));
  EXPECT_EQ(breaker.odometer(at(90'000)), milliseconds(500));
  breaker.record(outcome(Outcome::Kind::delivered, 200), call(1), at(100'000));
  EXPECT_EQ(breaker.odometer(at(100'250)), milliseconds(750));
}

TEST(Breaker, KnowsWhetherOthersWereAnswered) {
  Breaker breaker({});
  breaker.record(outcome(Outcome::Kind::delivered, 200), call(1), at(10));
  EXPECT_TRUE(breaker.answered_other_since(2, at(5)));
  EXPECT_FALSE(breaker.answered_other_since(1, at(5)));
  EXPECT_FALSE(breaker.answered_other_since(2, at(11)));
  breaker.record(outcome(Outcome::Kind::delivered, 200), call(2), at(20));
  EXPECT_TRUE(breaker.answered_other_since(2, at(5)));
  EXPECT_TRUE(breaker.answered_other_since(1, at(15)));
}

}  // namespace
}  // namespace millrace::deliver
