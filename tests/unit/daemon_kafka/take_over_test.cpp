// What a new owner of a partition finds in the log, and what it leaves there, before it projects.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "../../conformance/event_log_support.hpp"
#include "../kafka_log/delete_log.hpp"
#include "../state/temporary_directory.hpp"
#include "daemon/recovery.hpp"
#include "kafka_server.hpp"
#include "millrace/event.hpp"
#include "millrace/ids.hpp"
#include "state/partition_reigns.hpp"
#include "state/sqlite_state.hpp"

namespace millrace::daemon {
namespace {

using test::append_and_wait;

const LogStream kOrders(Journal::events, "order");
constexpr Partition kMoved = 5;

class TakeOver : public testing::Test {
 protected:
  void SetUp() override {
    if (KafkaServer::shared() == nullptr) GTEST_SKIP();
    auto state = open_sqlite_state({.path = directory_.file("state.db")});
    ASSERT_TRUE(state) << state.error().message;
    state_ = *std::move(state);
    moved_.insert(kMoved);
    a_ = open("a/1");
    ASSERT_TRUE(a_);
  }
  void TearDown() override {
    if (a_) test::delete_log(KafkaServer::shared()->settings(), prefix_, {"order"});
  }
  std::unique_ptr<EventLog> open(const std::string& owner) {
    auto log = open_kafka_log({.settings = KafkaServer::shared()->settings(),
                               .prefix = prefix_,
                               .entities = {"order"},
                               .clock = system_clock(),
                               .owner = owner});
    EXPECT_TRUE(log) << log.error().message;
    return log ? *std::move(log) : nullptr;
  }
  static void append(EventLog& log, std::uint64_t rev, const std::string& type) {
    Event event;
    event.id = fmt::format("{}-{}", rev, type);
    event.type = "order." + type;
    event.entity = "order";
    event.source = "/scenario/shop";
    event.subject = "S1";
    event.record = "shop/1";
    event.rev = rev;
    event.types = {"order.confirmed", "order.changed", "order.seen"};
    event.cause = "5:3";
    event.data = JsonObject{{"number", "S1"}, {"rev", rev}};
    ASSERT_TRUE(append_and_wait(
        log, Journal::events,
        {{.partition = kMoved, .topic = "order", .payload = encode(event), .of_owner = true}}));
  }
  void take_over(EventLog& log, const std::string& owner) {
    ASSERT_TRUE(log.follow({kMoved}));
    const auto begun = begin_reigns(*state_, log, moved_, owner);
    ASSERT_TRUE(begun) << begun.error().message;
  }
  std::uint64_t fold(EventLog& log) {
    const auto folded = fold_projections(*state_, log, moved_);
    EXPECT_TRUE(folded) << folded.error().message;
    return folded.value_or(0);
  }
  static std::string said(EventLog& log) {
    const auto records = test::read_all(log, kOrders, log.begins(kOrders));
    EXPECT_TRUE(records) << records.error().message;
    std::string text;
    for (const test::ReadRecord& record : *records) {
      const auto event = decode_event(record.payload);
      EXPECT_TRUE(event);
      text += fmt::format("{}:{}-{} ", record.offset, event->rev, event->name());
    }
    return text;
  }

  TemporaryDirectory directory_;
  const std::string prefix_ = "take-over-" + random_hex(4);
  std::unique_ptr<StateStore> state_;
  PartitionSet moved_;
  std::unique_ptr<EventLog> a_;
};

TEST_F(TakeOver, SaysTheRestOfAChangeThatWasSaidByHalf) {
  for (const std::string type : {"confirmed", "changed", "seen"}) append(*a_, 1, type);
  append(*a_, 2, "confirmed");
  const auto b = open("b/1");
  ASSERT_TRUE(b);
  take_over(*b, "b/1");
  append(*a_, 2, "changed");  // too late
  EXPECT_EQ(4u, fold(*b));
  append(*a_, 2, "seen");
  EXPECT_EQ("0:1-confirmed 1:1-changed 2:1-seen 3:2-confirmed 5:2-changed 6:2-seen ", said(*b));
  const auto records = test::read_all(*b, kOrders, b->begins(kOrders));
  ASSERT_TRUE(records);
  const auto seen = decode_event(records->back().payload);
  ASSERT_TRUE(seen);
  EXPECT_EQ(stable_hash({"order", "shop/1", "2", "order.seen", R"({"number":"S1","rev":2})"}),
            seen->id)
      << "as its projector makes it";
  // As after a crash before anything else was saved: all is there, and nothing is said again.
  EXPECT_EQ(3u, fold(*b));
  EXPECT_EQ(0u, fold(*b));
  EXPECT_EQ("0:1-confirmed 1:1-changed 2:1-seen 3:2-confirmed 5:2-changed 6:2-seen ", said(*b));
}

TEST_F(TakeOver, FoldsNothingThatCameTooLate) {
  for (const std::string type : {"confirmed", "changed", "seen"}) append(*a_, 1, type);
  const auto b = open("b/1");
  ASSERT_TRUE(b);
  take_over(*b, "b/1");
  for (const std::string type : {"confirmed", "changed", "seen"}) append(*a_, 2, type);
  // An owner after that one finds them in the middle of the log.
  const auto c = open("c/1");
  ASSERT_TRUE(c);
  take_over(*c, "c/1");
  EXPECT_EQ(3u, fold(*c));
  const auto row = state_->get(Table::projections, row_key("order", "shop/1"));
  ASSERT_TRUE(row && *row);
  EXPECT_NE((*row)->find(R"({"number":"S1","rev":1})"), std::string::npos) << **row;
}

}  // namespace
}  // namespace millrace::daemon
