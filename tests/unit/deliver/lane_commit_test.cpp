// What a lane does while its progress is not recorded yet, or cannot be (semantics 4 and 5).
#include <fmt/format.h>

#include "deliver/lane.hpp"
#include "lane_world.hpp"

namespace millrace::deliver {
namespace {

using test::LaneWorld;

class LaneCommit : public LaneWorld {
 protected:
  void set_in_flight(int places) {
    config_->connections["mes"].limits.in_flight = places;
    connect();
  }
  /// Delivered, and not recorded for want of space.
  void deliver_unsaved(const std::string& event) {
    state_.refuse(true);
    answer(event, Outcome{});
    until([this] { return lane_->status().unsaved; }, "its progress cannot be saved");
  }
};

TEST_F(LaneCommit, WhileProgressCannotBeSavedNothingNewStarts) {
  set_in_flight(2);
  start();
  for (const char* event : {"e1", "e2", "e3", "e4"}) append(event, fmt::format("shop/{}", event));
  until_on_wire("e2");
  deliver_unsaved("e1");
  until_on_wire("e3");  // it went while the commit was under way
  append("e5", "shop/e5");
  answer("e2", Outcome{});
  until([this] { return lane_->status().delivered == 2; }, "a place is free");
  EXPECT_EQ(std::vector<std::string>{"e3"}, sink_->on_wire) << "what waits for a place";
  EXPECT_EQ(4U, on_shard([this] { return lane_->status().waiting; })) << "the fifth is taken up";
  state_.refuse(false);
  until_on_wire("e4");
  EXPECT_FALSE(on_shard([this] { return lane_->status().unsaved; }));
  answer("e3", Outcome{});
  until_on_wire("e5");
}

TEST_F(LaneCommit, NorDoesAParkedRowThatWasBeingRead) {
  ParkedRow row = parked_row("parked");
  row.next_at += seconds(10);
  put(row);
  start();
  append("e1", "shop/2");
  until_on_wire("e1");
  std::promise<void> go_on;
  readers_.next().post([&go_on] { go_on.get_future().wait(); });
  clock_.boot_us += microseconds(seconds(10)).count();
  until([this] { return readers_.waiting() == 2; }, "its row is being read");
  deliver_unsaved("e1");
  go_on.set_value();
  until([this] { return lane_->status().waiting == 2; }, "its row has been read");
  EXPECT_TRUE(on_shard([this] { return sink_->on_wire.empty(); }));
  state_.refuse(false);
  until_on_wire("parked");
}

TEST_F(LaneCommit, ARecordStaysLockedUntilItsOutcomeIsRecorded) {
  start();
  state_.hold(true);
  append("e1");
  append("e2");
  until_on_wire("e1");
  answer("e1", Outcome{});
  until([this] { return lane_->status().delivered == 1; }, "it is delivered");
  append("other", "shop/2");
  until_on_wire("other");
  EXPECT_FALSE(on_shard([this] { return sink_->has("e2"); }));
  state_.hold(false);
  until_on_wire("e2");
}

TEST_F(LaneCommit, AndWhenTheCommitWasRefusedUntilItSucceeds) {
  start();
  append("e1");
  append("e2");
  until_on_wire("e1");
  deliver_unsaved("e1");
  EXPECT_EQ(0U, *state_.count(Table::cursors, "route/r"));
  EXPECT_FALSE(on_shard([this] { return sink_->has("e2"); }));
  state_.refuse(false);
  until_on_wire("e2");
  EXPECT_EQ(1U, *state_.count(Table::cursors, "route/r"));
}

struct Bound {
  bool idempotent = true;
  std::size_t shards = 1;
  std::optional<int> configured;
  std::uint64_t unrecorded = 0;
};

class Unrecorded : public LaneWorld, public ::testing::WithParamInterface<Bound> {};

TEST_P(Unrecorded, SoMuchIsDeliveredBeforeItIsRecorded) {
  const Bound& bound = GetParam();
  config::Connection& mes = config_->connections["mes"];
  mes.idempotent = bound.idempotent;
  mes.limits.unrecorded = bound.configured;
  mes.limits.in_flight = 1;
  connect();
  shards_ = bound.shards;
  start();
  answer_at_once("", Outcome{});
  state_.hold(true);
  const std::uint64_t all = bound.unrecorded + 10;
  for (std::uint64_t i = 0; i < all; ++i) {
    append(fmt::format("e{}", i), fmt::format("shop/{}", i));
  }
  const auto idle = [&] {
    return lane_->status().delivered >= bound.unrecorded && target_->in_flight() == 0;
  };
  until(idle, "as much is delivered as may be");
  EXPECT_EQ(bound.unrecorded, on_shard([this] { return lane_->status().delivered; }));
  state_.hold(false);
  until([&] { return lane_->status().delivered == all; }, "the rest goes on");
}

// Of an idempotent target a quarter of 1,024, so that the lane's 512 places are not the limit.
INSTANTIATE_TEST_SUITE_P(Bounds, Unrecorded,
                         ::testing::Values(Bound{true, 4, {}, 256}, Bound{false, 1, {}, 64},
                                           Bound{false, 4, {}, 16}, Bound{false, 100, {}, 1},
                                           Bound{true, 2, 10, 5}));

}  // namespace
}  // namespace millrace::deliver
