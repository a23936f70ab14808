#include "deliver/target.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <vector>

#include "held_sink.hpp"

namespace millrace::deliver {
namespace {

using test::HeldSink;

class TargetTest : public ::testing::Test {
 protected:
  TargetTest() {
    config::Connection connection;
    connection.name = "mes";
    connection.limits.in_flight = 8;
    auto sink = std::make_unique<HeldSink>(shard_);
    sink_ = sink.get();
    target_ = std::make_shared<Target>(shard_, connection, std::move(sink), system_clock());
    shard_.start();
  }
  ~TargetTest() override {
    target_->stop();
    shard_.stop(milliseconds(1000));
  }

  void submit(const std::string& event, std::uint64_t exclusive = 0, bool parked = false) {
    DeliveryJob job;
    job.delivery.event_id = event;
    job.record = hash64(event);
    job.home = &shard_;
    job.exclusive = exclusive;
    job.parked = parked;
    job.done = [this, event](const DeliveryResult&) { done_.push_back(event); };
    target_->submit(std::move(job));
  }
  void answer(const std::string& event) {
    shard_.post([this, event] { sink_->answer(event); });
  }
  /// What is on the wire, once nothing more happens by itself.
  std::vector<std::string> on_wire() {
    std::vector<std::string> seen;
    for (int look = 0; look < 4; ++look) {
      std::promise<std::vector<std::string>> answer;
      shard_.post([&] { answer.set_value(sink_->on_wire); });
      seen = answer.get_future().get();
    }
    std::ranges::sort(seen);
    return seen;
  }

  Shard shard_;
  HeldSink* sink_ = nullptr;
  std::shared_ptr<Target> target_;
  std::vector<std::string> done_;
};

using Events = std::vector<std::string>;

TEST_F(TargetTest, SendsOneOfAnExclusiveValueAtATimeAndOthersPastThem) {
  submit("a1", 1);
  submit("a2", 1);
  submit("a3", 1);
  submit("b1", 2);
  submit("free");
  EXPECT_EQ((Events{"a1", "b1", "free"}), on_wire());
  answer("a1");
  EXPECT_EQ((Events{"a2", "b1", "free"}), on_wire());
  answer("b1");
  answer("free");
  EXPECT_EQ((Events{"a2"}), on_wire());
  answer("a2");
  EXPECT_EQ((Events{"a3"}), on_wire());
  answer("a3");
  EXPECT_EQ((Events{}), on_wire());
  EXPECT_EQ(5U, done_.size());
}

TEST_F(TargetTest, ACallThatItsTargetFailsLetsTheValueGo) {
  submit("a1", 1);
  submit("a2", 1);
  EXPECT_EQ((Events{"a1"}), on_wire());
  shard_.post([this] {
    sink_->answers.kind = Outcome::Kind::again;
    sink_->answers.scope = Outcome::Scope::record;
  });
  answer("a1");
  EXPECT_EQ((Events{"a2"}), on_wire());
}

TEST_F(TargetTest, ParkedRetriesTakeAQuarterOfItWhateverLaneTheyAreOf) {
  for (int i = 0; i < 6; ++i) submit("parked" + std::to_string(i), 0, true);
  EXPECT_EQ((Events{"parked0", "parked1"}), on_wire());
  for (int i = 0; i < 8; ++i) submit("news" + std::to_string(i));
  EXPECT_EQ(8U, on_wire().size());
  answer("parked0");
  EXPECT_EQ(8U, on_wire().size());
  std::size_t parked = 0;
  for (const std::string& event : on_wire()) parked += event.starts_with("parked") ? 1 : 0;
  EXPECT_EQ(2U, parked);
}

}  // namespace
}  // namespace millrace::deliver
