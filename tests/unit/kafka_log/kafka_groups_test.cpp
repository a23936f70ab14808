#include "log/kafka_groups.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <optional>
#include <thread>

#include "kafka_server.hpp"
#include "log/kafka_log.hpp"
#include "millrace/ids.hpp"

namespace millrace::test {
namespace {

using Offsets = std::map<std::int32_t, std::int64_t>;

class KafkaGroups : public testing::Test {
 protected:
  void SetUp() override {
    if (KafkaServer::shared() == nullptr) GTEST_SKIP();
    auto admin = KafkaAdmin::open(KafkaServer::shared()->settings());
    ASSERT_TRUE(admin) << admin.error().message;
    admin_ = std::move(*admin);
    const KafkaTopicSpec topic{.name = prefix_ + ".events.order", .partitions = 64};
    ASSERT_TRUE(admin_->ensure_topics({&topic, 1}));
    groups_.emplace(KafkaServer::shared()->settings(), prefix_);
  }

  /// What a tool sees of the route's group.
  Offsets seen(const std::string& route) {
    Offsets found;
    const auto offsets =
        admin_->published_offsets(prefix_ + "." + route, prefix_ + ".events.order", 64);
    EXPECT_TRUE(offsets) << offsets.error().message;
    if (!offsets) return found;
    for (const KafkaOffset& at : *offsets) found[at.partition] = at.offset;
    return found;
  }

  static PartitionOffsets places(const Offsets& of) {
    PartitionOffsets all;
    all.fill(kSkipPartition);
    for (const auto& [partition, offset] : of) {
      all[static_cast<Partition>(partition)] = static_cast<Offset>(offset);
    }
    return all;
  }

  void publish(const Offsets& of) {
    // A Kafka that was just started refuses until it has made the topic that groups lie in.
    const auto until = std::chrono::steady_clock::now() + seconds(60);
    auto published = groups_->publish("to-mes", orders_, places(of));
    while (!published && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(milliseconds(100));
      published = groups_->publish("to-mes", orders_, places(of));
    }
    EXPECT_TRUE(published) << published.error().message;
  }

  const LogStream orders_{Journal::events, "order"};
  std::string prefix_ = "groups-" + random_hex(4);
  std::unique_ptr<KafkaAdmin> admin_;
  std::optional<log::KafkaGroups> groups_;
};

TEST_F(KafkaGroups, ToolsSeeHowFarARouteHasCome) {
  publish({{3, 7}, {63, 0}});
  EXPECT_EQ((Offsets{{3, 7}, {63, 0}}), seen("to-mes"));
  publish({{3, 9}, {5, 1}});
  EXPECT_EQ((Offsets{{3, 9}, {5, 1}, {63, 0}}), seen("to-mes"));
  EXPECT_EQ(Offsets{}, seen("to-wms"));
}

// Two instances that share a log write what they own; what one has given away is the other's.
TEST_F(KafkaGroups, WhatDidNotChangeIsWrittenAgainOnlyWhenItIsForgotten) {
  log::KafkaGroups other(KafkaServer::shared()->settings(), prefix_);
  publish({{3, 7}});
  ASSERT_TRUE(other.publish("to-mes", orders_, places({{3, 8}})));
  publish({{3, 7}});
  EXPECT_EQ((Offsets{{3, 8}}), seen("to-mes"));
  groups_->forget();
  publish({{3, 7}});
  EXPECT_EQ((Offsets{{3, 7}}), seen("to-mes"));
}

TEST_F(KafkaGroups, WhatCouldNotBeWrittenIsWrittenTheNextTime) {
  const auto refused =
      groups_->publish("to-mes", LogStream(Journal::events, "nothing"), places({{3, 7}}));
  EXPECT_FALSE(refused);
  publish({{3, 7}});
  EXPECT_EQ((Offsets{{3, 7}}), seen("to-mes"));
}

}  // namespace
}  // namespace millrace::test
