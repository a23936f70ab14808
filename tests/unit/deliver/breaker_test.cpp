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

TEST(Breaker, OneFailingRecordDoesNotOpenIt) {
  Breaker breaker({});
  for (int i = 0; i < 50; ++i) {
    EXPECT_FALSE(breaker.record(outcome(Outcome::Kind::again, 500), 1, at(i)));
  }
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
}

TEST(Breaker, OpensAfterFailuresOfSeveralRecordsAndAbsorbsThem) {
  Breaker breaker({.opens_after = 5});
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(breaker.record(outcome(Outcome::Kind::again, 503), i, at(i)));
  }
  EXPECT_TRUE(breaker.record(outcome(Outcome::Kind::again, 503), 9, at(5)));
  EXPECT_EQ(breaker.state(), Breaker::State::open);
  EXPECT_EQ(breaker.reason(), "because");
}

TEST(Breaker, ARunOfFailuresBetweenSuccessesDoesNotOpenIt) {
  Breaker breaker({.opens_after = 5, .probes_every = milliseconds(1000)});
  breaker.record(outcome(Outcome::Kind::delivered, 200), 100, at(0));
  for (int i = 1; i < 50; ++i) {
    EXPECT_FALSE(breaker.record(outcome(Outcome::Kind::again, 503), i, at(i)));
  }
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
  EXPECT_TRUE(breaker.record(outcome(Outcome::Kind::again, 503), 51, at(1000)));
  EXPECT_EQ(breaker.state(), Breaker::State::open);
}

TEST(Breaker, ATargetThatCannotBeReachedOpensItAtOnce) {
  Breaker breaker({});
  EXPECT_TRUE(breaker.record(outcome(Outcome::Kind::again, 0, Outcome::Scope::target), 1, at(0)));
  EXPECT_EQ(breaker.state(), Breaker::State::open);
}

TEST(Breaker, ProbesOneAtATimeAndClosesOnSuccess) {
  Breaker breaker({.opens_after = 5, .probes_every = milliseconds(1000)});
  breaker.record(outcome(Outcome::Kind::again, 0, Outcome::Scope::target), 1, at(0));
  EXPECT_FALSE(breaker.take_probe(at(999)));
  EXPECT_TRUE(breaker.take_probe(at(1000)));
  EXPECT_FALSE(breaker.take_probe(at(5000)));
  breaker.record(outcome(Outcome::Kind::again, 0, Outcome::Scope::target), 2, at(1001));
  EXPECT_FALSE(breaker.take_probe(at(1500)));
  EXPECT_TRUE(breaker.take_probe(at(2001)));
  breaker.record(outcome(Outcome::Kind::delivered, 200), 2, at(2002));
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
}

TEST(Breaker, ThreeForbiddenRecordsPauseTheLaneButOneIsItsOwnFault) {
  Breaker breaker({});
  EXPECT_FALSE(breaker.record(outcome(Outcome::Kind::rejected, 403), 1, at(0)));
  EXPECT_FALSE(breaker.record(outcome(Outcome::Kind::delivered, 200), 2, at(1)));
  EXPECT_FALSE(breaker.record(outcome(Outcome::Kind::rejected, 403), 3, at(2)));
  EXPECT_FALSE(breaker.record(outcome(Outcome::Kind::rejected, 403), 4, at(3)));
  EXPECT_TRUE(breaker.record(outcome(Outcome::Kind::rejected, 403), 5, at(4)));
  EXPECT_EQ(breaker.state(), Breaker::State::open);
}

TEST(Breaker, TwentyRejectionsWithoutADeliveryWaitForAPerson) {
  Breaker breaker({});
  for (std::uint64_t record = 0; record < 19; ++record) {
    breaker.record(outcome(Outcome::Kind::rejected, 422), record, at(0));
  }
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
  breaker.record(outcome(Outcome::Kind::rejected, 422), 100, at(1));
  EXPECT_EQ(breaker.state(), Breaker::State::for_person);
  EXPECT_FALSE(breaker.take_probe(at(1'000'000)));
  breaker.resume(at(2));
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
}

TEST(Breaker, OneRecordRejectedOftenWaitsForNobody) {
  Breaker breaker({});
  for (int i = 0; i < 100; ++i) breaker.record(outcome(Outcome::Kind::rejected, 422), 7, at(i));
  EXPECT_EQ(breaker.state(), Breaker::State::closed);
}

TEST(Breaker, TheOdometerStandsStillWhileTheTargetIsDown) {
  Breaker breaker({});
  breaker.record(outcome(Outcome::Kind::delivered, 200), 1, at(0));
  EXPECT_EQ(breaker.odometer(at(500)), milliseconds(500));
  breaker.record(outcome(Outcome::Kind::again, 0, Outcome::Scope::target), 1, at(500));
  EXPECT_EQ(breaker.odometer(at(90'000)), milliseconds(500));
  breaker.record(outcome(Outcome::Kind::delivered, 200), 1, at(100'000));
  EXPECT_EQ(breaker.odometer(at(100'250)), milliseconds(750));
}

TEST(Breaker, KnowsWhetherOthersWereAnswered) {
  Breaker breaker({});
  breaker.record(outcome(Outcome::Kind::delivered, 200), 1, at(10));
  EXPECT_TRUE(breaker.answered_other_since(2, at(5)));
  EXPECT_FALSE(breaker.answered_other_since(1, at(5)));
  EXPECT_FALSE(breaker.answered_other_since(2, at(11)));
  breaker.record(outcome(Outcome::Kind::delivered, 200), 2, at(20));
  EXPECT_TRUE(breaker.answered_other_since(2, at(5)));
  EXPECT_TRUE(breaker.answered_other_since(1, at(15)));
}

}  // namespace
}  // namespace millrace::deliver
