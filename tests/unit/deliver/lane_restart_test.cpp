// What may have been on the wire before the start, and cannot be asked for (semantics 5,
// "Answers").
#include <fmt/format.h>

#include "deliver/lane.hpp"
#include "lane_world.hpp"

namespace millrace::deliver {
namespace {

using test::LaneWorld;

class LaneRestart : public LaneWorld {
 protected:
  LaneRestart() {
    config::Connection& mes = config_->connections["mes"];
    mes.idempotent = false;
    mes.limits.in_flight = 8;
    mes.limits.unrecorded = 3;
    connect();
    at_once_[""] = Outcome{};
  }
  void append_many(const std::string& name, int count) {
    for (int i = 0; i < count; ++i) {
      append(fmt::format("{}{}", name, i), fmt::format("shop/{}{}", name, i));
    }
  }
  void until_delivered(std::uint64_t count) {
    until([&] { return lane_->status().delivered == count; }, "all are delivered");
  }
  std::uint64_t repeated() {
    return on_shard([this] { return lane_->status().repeated_unknown; });
  }
};

TEST_F(LaneRestart, WhatIsSentAgainAfterACrashIsCounted) {
  append_many("before", 4);
  start();
  append_many("after", 4);
  until_delivered(8);
  EXPECT_EQ(4U, repeated());
}

TEST_F(LaneRestart, ButNoMoreThanACrashCanLeaveInDoubt) {
  append_many("before", 20);
  start();
  until_delivered(20);
  EXPECT_EQ(11U, repeated()) << "in_flight and unrecorded";
}

TEST_F(LaneRestart, NothingIsCountedWhereTheTargetIsAsked) {
  auto probe = std::make_shared<config::Probe>();
  probe->request.method = "GET";
  probe->request.path.text = "/orders";
  probe->request.path.literals = {"/orders"};
  config_->routes["r"].requests[0].probe = std::move(probe);
  append_many("before", 1);
  start();
  until([this] { return lane_->status().retries == 1; }, "the probe tells nothing");
  EXPECT_EQ(0U, repeated());
}

TEST_F(LaneRestart, AParkedRowThatWasTriedBeforeMayHaveBeenOnTheWire) {
  put(parked_row("tried"));
  ParkedRow untried = parked_row("untried");
  untried.record = "shop/2";
  untried.offset = 4;
  untried.attempts = 0;
  put(untried);
  start();
  until_delivered(2);
  EXPECT_EQ(1U, repeated());
}

}  // namespace
}  // namespace millrace::deliver
