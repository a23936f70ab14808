// When a failed event leaves memory for a row, and what its budget counts (semantics 5, "Parking").
#include "deliver/lane.hpp"
#include "lane_world.hpp"

namespace millrace::deliver {
namespace {

using test::LaneWorld;

class LaneParking : public LaneWorld {
 protected:
  static Outcome again_after(milliseconds patience) {
    Outcome outcome;
    outcome.kind = Outcome::Kind::again;
    outcome.reason = "503";
    outcome.answer = HttpResponse{};
    outcome.answer->status = 503;
    outcome.retry_after = patience;
    return outcome;
  }
  void pass(microseconds time) {
    clock_.boot_us += time.count();
    clock_.wall_us += time.count();
  }
  config::RetryPolicy& retry() { return config_->routes["r"].retry; }
  std::uint64_t delivered() {
    return on_shard([this] { return lane_->status().delivered; });
  }
  std::uint64_t retries() {
    return on_shard([this] { return lane_->status().retries; });
  }
  bool is_row(ParkedState state) { return rows(state).size() == 1; }
  /// News are delivered, and what the lane does with that is done: a row it began has been read
  /// when the second are sent, and is tried before them.
  void deliver_news() {
    const std::uint64_t before = delivered();
    answer_at_once("more", Outcome{});
    append("more", "shop/more");
    until([&] { return lane_->status().delivered == before + 1; }, "news are delivered");
    until([&] { return readers_.waiting() == 0; }, "rows are read");
    append("more", "shop/more");
    until([&] { return lane_->status().delivered == before + 2; }, "more news are delivered");
  }
};

TEST_F(LaneParking, WhatIsToldToWaitForLongIsParkedWhenItsTargetAnswersOthers) {
  start();
  answer_at_once("e1", again_after(seconds(600)));
  append("e1");
  until([this] { return lane_->status().retries == 1; }, "it failed");
  pass(seconds(29));
  answer_at_once("", Outcome{});
  append("e2", "shop/2");
  until([this] { return lane_->status().delivered == 1; }, "another is answered");
  EXPECT_TRUE(rows(ParkedState::retrying).empty());
  pass(seconds(1));
  until([this] { return is_row(ParkedState::retrying); }, "it is parked after 30 s");
  const ParkedRow row = rows(ParkedState::retrying).at(0);
  EXPECT_EQ(1, row.attempts);
  EXPECT_EQ(seconds(570), row.next_at - clock_.wall_now());
  EXPECT_EQ(0, sink_->checks);
}

TEST_F(LaneParking, OrWhenItAnswersItsCheck) {
  start();
  answer_at_once("e1", again_after(seconds(600)));
  on_shard([this] {
    sink_->check_answers = again_after({});
    return 0;
  });
  append("e1");
  until([this] { return lane_->status().retries == 1; }, "it failed");
  pass(seconds(30));
  until([this] { return sink_->checks == 1; }, "the target is asked");
  until([this] { return target_->status().state == "down"; }, "it is down");
  EXPECT_TRUE(rows(ParkedState::retrying).empty()) << "a target that is down parks nothing";
  on_shard([this] {
    sink_->check_answers = Outcome{};
    return 0;
  });
  answer_at_once("", Outcome{});
  append("e2", "shop/2");
  pass(seconds(2));
  until([this] { return lane_->status().delivered == 1; }, "the target is back");
  pass(seconds(2));
  until([this] { return is_row(ParkedState::retrying); }, "it is parked");
}

TEST_F(LaneParking, WhatHoldsTheWindowForTwoThousandIsParkedWithoutAnotherAttempt) {
  start();
  answer_at_once("e1", again_after(seconds(600)));
  append("e1");
  until([this] { return lane_->status().retries == 1; }, "it failed");
  answer_at_once("", Outcome{});
  for (int i = 2; i <= 2048; ++i) append("e" + std::to_string(i), "shop/" + std::to_string(i));
  until([this] { return lane_->status().delivered == 2047; }, "others are settled beyond it");
  EXPECT_TRUE(rows(ParkedState::retrying).empty());
  for (int i = 2049; i <= 4200; ++i) append("e" + std::to_string(i), "shop/" + std::to_string(i));
  until([this] { return lane_->status().delivered == 4199; }, "the window moves on");
  until([this] { return is_row(ParkedState::retrying); }, "it is parked");
  EXPECT_EQ(1, rows(ParkedState::retrying).at(0).attempts);
  EXPECT_EQ(seconds(600), rows(ParkedState::retrying).at(0).next_at - clock_.wall_now());
}

TEST_F(LaneParking, BeyondAQuarterOfItsPlacesAFailureIsParkedAtOnce) {
  constexpr std::size_t kInMemory = kItemsMax / 4;
  constexpr std::size_t kFailing = kInMemory + 20;
  start();
  answer_at_once("", Outcome{});
  for (std::size_t i = 0; i < kFailing; ++i) {
    const std::string bad = "bad" + std::to_string(i);
    answer_at_once(bad, again_after(seconds(20)));
    append("good" + std::to_string(i), "shop/good" + std::to_string(i));
    append(bad, "shop/" + bad);
  }
  until([&] { return lane_->status().retries == kFailing; }, "all were tried");
  until([&] { return rows(ParkedState::retrying).size() == kFailing - kInMemory; },
        "the last park");
  for (const ParkedRow& row : rows(ParkedState::retrying)) EXPECT_EQ(1, row.attempts);
  EXPECT_EQ(kFailing, delivered());
}

TEST_F(LaneParking, ACrowdOfFailuresInARunIsParkedOnceAnotherIsAnswered) {
  constexpr std::size_t kInMemory = kItemsMax / 4;
  constexpr std::size_t kFailing = kItemsMax - 10;
  start();
  answer_at_once("", again_after(seconds(20)));
  answer_at_once("good1", Outcome{});
  answer_at_once("good2", Outcome{});
  append("good1", "shop/good1");
  until([this] { return lane_->status().delivered == 1; }, "the target delivers");
  pass(milliseconds(1));
  for (std::size_t i = 0; i < kFailing; ++i) {
    append("bad" + std::to_string(i), "shop/bad" + std::to_string(i));
  }
  until([&] { return lane_->status().retries == kFailing; }, "all were tried");
  EXPECT_TRUE(rows(ParkedState::retrying).empty()) << "nobody else was answered since";
  append("good2", "shop/good2");
  until([this] { return lane_->status().delivered == 2; }, "another is answered");
  pass(milliseconds(50));
  until([&] { return rows(ParkedState::retrying).size() == kFailing - kInMemory; },
        "all are parked that others would wait behind");
  for (const ParkedRow& row : rows(ParkedState::retrying)) {
    EXPECT_EQ(1, row.attempts);
    EXPECT_EQ("503", row.reason) << "what the target said";
    EXPECT_EQ("again 503", row.cause);
    EXPECT_EQ(503, row.answer_status);
  }
}

TEST_F(LaneParking, RetriesThatFailAgainGetLessRoomUntilOneIsDelivered) {
  std::uint64_t failed = 0;
  int number = 0;
  const auto fail = [&](int events, milliseconds patience) {
    for (const int end = number + events; number < end; ++number) {
      const std::string name = std::to_string(number);
      answer_at_once("bad" + name, again_after(patience));
      append("good" + name, "shop/good" + name);
      append("bad" + name, "shop/bad" + name);
    }
    failed += static_cast<std::uint64_t>(events);
    until([&] { return lane_->status().retries == failed; }, "all were tried");
  };
  const auto parked = [&] { return on_shard([this] { return lane_->status().parked; }); };
  retry().initial = milliseconds(900);  // so soon that the target has not been silent for long
  start();
  answer_at_once("", Outcome{});
  fail(4, milliseconds(900));
  // They fail again: of 128 places, 8 are left.
  for (const char* name : {"bad0", "bad1", "bad2", "bad3"}) {
    answer_at_once(name, again_after(seconds(20)));
  }
  answer_at_once("bad0", again_after(seconds(10)));
  pass(milliseconds(900));
  until([&] { return lane_->status().retries == failed + 4; }, "they were tried again");
  failed += 4;
  EXPECT_EQ(0u, parked());
  fail(20, seconds(20));
  EXPECT_EQ(16u, parked());

  const std::uint64_t before = delivered();
  answer_at_once("bad0", Outcome{});
  pass(seconds(10));
  until([&] { return lane_->status().delivered == before + 1; }, "one is delivered");
  fail(100, seconds(5));
  EXPECT_EQ(16u, parked());
}

TEST_F(LaneParking, EachThatWaitsIsAskedAboutInItsOwnTime) {
  start();
  answer_at_once("e1", again_after(seconds(600)));
  answer_at_once("e2", again_after(seconds(600)));
  append("e1");
  until([this] { return lane_->status().retries == 1; }, "the first failed");
  pass(seconds(10));
  append("e2", "shop/2");
  until([this] { return lane_->status().retries == 2; }, "the second failed");
  pass(seconds(19));
  answer_at_once("", Outcome{});
  append("e3", "shop/3");
  until([this] { return lane_->status().delivered == 1; }, "another is answered");
  pass(seconds(1));
  until([this] { return is_row(ParkedState::retrying); }, "the first is parked after 30 s");
  EXPECT_EQ("shop/1", rows(ParkedState::retrying).at(0).record);
  pass(seconds(10));
  until([this] { return rows(ParkedState::retrying).size() == 2; }, "and so is the second");
}

TEST_F(LaneParking, WhatKeepsFailingIsTriedMoreSeldomWhileNewsFlow) {
  constexpr int kParked = 8;
  retry().initial = retry().max_interval = std::chrono::hours(1);
  for (int i = 0; i < kParked; ++i) {
    const std::string name = "parked" + std::to_string(i);
    ParkedRow row = parked_row(name);
    row.record = "shop/" + name;
    row.payload = *parse_json(encode(event(name, row.record)));
    row.offset += static_cast<Offset>(i);
    row.next_at += microseconds(i);
    put(row);
    answer_at_once(name, again_after(std::chrono::hours(1)));
  }
  answer_at_once("parked6", Outcome{});
  together_->news_at = clock_.boot_now();
  start();
  until([this] { return lane_->status().retries == 1; }, "one is tried");
  std::uint64_t tried = 1;
  for (const int apart_ms : {10, 20, 40, 80, 80}) {
    pass(milliseconds(apart_ms - 1));
    deliver_news();
    EXPECT_EQ(tried, retries()) << apart_ms;
    pass(milliseconds(1));
    ++tried;
    until([&] { return lane_->status().retries == tried; }, "the next is tried");
  }
  const std::uint64_t before = delivered();
  pass(kParkedApartMax);
  until([&] { return lane_->status().delivered == before + 1; }, "the mended one is delivered");
  pass(kParkedApart - milliseconds(1));
  deliver_news();
  EXPECT_EQ(tried, retries());
  pass(milliseconds(1));
  until([&] { return lane_->status().retries == tried + 1; }, "the next follows soon");
}

TEST_F(LaneParking, WhileNewsFlowParkedRetriesFollowOneAnotherAtADistance) {
  constexpr int kParked = 3;
  for (int i = 0; i < kParked; ++i) {
    const std::string name = std::to_string(i);
    ParkedRow row = parked_row("parked" + name);
    row.record = "shop/parked" + name;
    row.payload = *parse_json(encode(event("parked" + name, row.record)));
    row.offset += static_cast<Offset>(i);
    row.next_at += milliseconds(5);
    put(row);
  }
  config_->connections["mes"].limits.in_flight = 4 * kParked;
  connect();
  start();
  append("news", "shop/news");
  until_on_wire("news");
  const auto tried = [this] { return sink_->on_wire.size() - 1; };
  pass(milliseconds(5));
  until([&] { return tried() == 1; }, "one is tried");
  deliver_news();
  EXPECT_EQ(1u, on_shard(tried));
  pass(milliseconds(5));
  until([&] { return tried() == 2; }, "the next is tried");
  pass(milliseconds(100));
  until([&] { return tried() == 3; }, "nothing new is sent any more");
}

TEST_F(LaneParking, ARowKeepsItsEventThroughItsRetries) {
  ParkedRow row = parked_row("e1");
  row.payload.as_object().emplace("appendedat", "2025-12-31T23:00:00Z");
  put(row);
  answer_at_once("e1", again_after(seconds(600)));
  start();
  until([&] { return stored(row.key())->attempts > row.attempts; }, "it is tried and failed");
  EXPECT_TRUE(equal_json(row.payload, stored(row.key())->payload));
}

TEST_F(LaneParking, ABudgetIsTimeInWhichTheTargetAnswers) {
  retry().give_up_after = std::chrono::hours(1);
  retry().max_interval = retry().initial = seconds(1);
  start();
  answer_at_once("", Outcome{});
  append("good", "shop/2");
  answer_at_once("bad", again_after({}));
  append("bad");
  for (int attempt = 1; attempt < 4; ++attempt) {
    until([&] { return lane_->status().retries >= static_cast<std::uint64_t>(attempt); }, "again");
    pass(seconds(1));
  }
  until([this] { return is_row(ParkedState::retrying); }, "it is parked");

  // An hour and a half in which it does not answer at all.
  Outcome refused = again_after({});
  refused.scope = Outcome::Scope::target;
  refused.answer.reset();
  answer_at_once("", refused);
  answer_at_once("bad", refused);
  append("other", "shop/3");
  until([this] { return target_->status().state == "down"; }, "it is down");
  pass(std::chrono::minutes(90));
  answer_at_once("", Outcome{});
  answer_at_once("bad", again_after({}));
  append("third", "shop/4");
  until([this] { return lane_->status().delivered >= 3; }, "it is up again");
  const auto tried_again = [this] {
    const int before = rows(ParkedState::retrying).at(0).attempts;
    pass(seconds(1));
    until(
        [&] {
          return rows(ParkedState::retrying).empty() ||
                 rows(ParkedState::retrying).at(0).attempts > before;
        },
        "it is tried again");
  };
  tried_again();
  tried_again();
  ASSERT_TRUE(is_row(ParkedState::retrying)) << "what is down uses up no budget";
  EXPECT_LT(rows(ParkedState::retrying).at(0).spent, std::chrono::minutes(1));

  pass(std::chrono::minutes(61));
  until([this] { return is_row(ParkedState::dead); }, "an hour of answers is used up");
  EXPECT_EQ("given up", rows(ParkedState::dead).at(0).cause);
}

}  // namespace
}  // namespace millrace::deliver
