// What a consumer promises, held against a real Kafka.
#include <gmock/gmock.h>

#include "kafka_fixture.hpp"

namespace millrace {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

TEST_F(KafkaTest, ReadsFromTheOffsetsItIsGiven) {
  const auto name = topic();
  fill(name, 0, 5);
  fill(name, 1, 5);
  consume_with(server().settings(), {.tell_ends = true});
  Seen seen;
  ASSERT_TRUE(on(shard_, [&] { return consumer_->assign({{name, 0, 3}, {name, 1, 5}}); }));
  ASSERT_TRUE(take_until(seen, [&] { return seen.ends.size() == 2; }));
  EXPECT_THAT(seen.values, ElementsAre("3", "4"));
  for (const auto& end : seen.ends) EXPECT_EQ(end.offset, 5);
  EXPECT_TRUE(seen.problems.empty());
}

TEST_F(KafkaTest, WakesItsShardWhenSomethingCame) {
  const auto name = topic();
  fill(name, 0, 1);
  consume_with(server().settings());
  std::promise<std::string> first;
  on(shard_, [&] {
    consumer_->set_on_readable([&, done = false]() mutable {
      const KafkaBatch batch = consumer_->take(10, 1'000);
      if (done || batch.records().empty()) return;
      done = true;
      first.set_value(std::string(batch.records().front().value));
    });
    EXPECT_TRUE(consumer_->assign({{name, 0, 0}}));
  });
  auto value = first.get_future();
  ASSERT_EQ(value.wait_for(60s), std::future_status::ready);
  EXPECT_EQ(value.get(), "0");
}

TEST_F(KafkaTest, TakesPartitionsInAndOut) {
  const auto name = topic();
  for (int partition = 0; partition < 3; ++partition) fill(name, partition, 3);
  consume_with(server().settings());
  Seen seen;
  ASSERT_TRUE(on(shard_, [&] { return consumer_->add({{name, 0, 0}}); }));
  ASSERT_TRUE(take_until(seen, [&] { return seen.values.size() == 3; }));
  ASSERT_TRUE(on(shard_, [&] { return consumer_->add({{name, 1, 1}}); }));
  ASSERT_TRUE(take_until(seen, [&] { return seen.values.size() == 5; }));
  ASSERT_TRUE(on(shard_, [&] { return consumer_->remove({{name, 0}, {name, 2}}); }));
  fill(name, 0, 1);
  // Once more from another place.
  ASSERT_TRUE(on(shard_, [&] { return consumer_->add({{name, 1, 2}, {name, 2, 2}}); }));
  ASSERT_TRUE(take_until(seen, [&] { return seen.values.size() >= 7; }));
  EXPECT_THAT(seen.values, ElementsAre("0", "1", "2", "1", "2", "2", "2"));
}

TEST_F(KafkaTest, HoldsBackWhatNobodyTakes) {
  const auto name = topic();
  constexpr int kCount = 150;
  fill(name, 0, kCount, 20'000);  // 3 MB
  consume_with(server().settings(), {.prefetch_bytes = 1 << 20, .fetch_bytes_max = 200'000});
  ASSERT_TRUE(on(shard_, [&] { return consumer_->assign({{name, 0, 0}}); }));
  std::uint64_t most = 0;
  const auto look = [&] {
    most = std::max(most, on(shard_, [&] { return consumer_->statistics().fetch_queue_bytes; }));
  };
  ASSERT_TRUE(eventually([&] {
    look();
    return most > 500'000;
  }));
  // All of it arrives, in order, and never more than twice the bound and a batch lie here.
  Seen seen;
  ASSERT_TRUE(eventually([&] {
    take_into(seen, 7);
    look();
    return seen.values.size() >= kCount;
  }));
  EXPECT_THAT(seen.values, SizeIs(kCount));
  for (int i = 0; i < kCount; ++i) ASSERT_EQ(seen.offsets[static_cast<std::size_t>(i)], i);
  EXPECT_LT(most, 2 * (1 << 20) + 1'000'000);
}

TEST_F(KafkaTest, StandsStillWhereAnOffsetIsNotThere) {
  const auto name = topic();
  fill(name, 0, 5);
  fill(name, 1, 1);
  ASSERT_TRUE(admin()->delete_records(name, std::vector<KafkaOffset>{{0, 4}}));
  consume_with(server().settings());
  Seen seen;
  ASSERT_TRUE(on(shard_, [&] { return consumer_->assign({{name, 0, 2}, {name, 1, 0}}); }));
  ASSERT_TRUE(take_until(seen, [&] { return !seen.problems.empty() && !seen.values.empty(); }));
  EXPECT_THAT(seen.values, ElementsAre("0"));
  EXPECT_EQ(seen.problems.front().error.code, Errc::corrupt);
  EXPECT_EQ(seen.problems.front().topic, name);
  EXPECT_EQ(seen.problems.front().partition, 0);
  EXPECT_THAT(seen.problems.front().error.message, HasSubstr(name + " partition 0"));
  // The others go on; it does once it is told where.
  fill(name, 1, 1);
  ASSERT_TRUE(take_until(seen, [&] { return seen.values.size() == 2; }));
  ASSERT_TRUE(on(shard_, [&] { return consumer_->add({{name, 0, 4}}); }));
  ASSERT_TRUE(take_until(seen, [&] { return seen.values.size() == 3; }));
  EXPECT_EQ(seen.values.back(), "4");
  EXPECT_THAT(seen.problems, SizeIs(1));
}

TEST_F(KafkaTest, StandsStillBeyondTheEnd) {
  const auto name = topic();
  fill(name, 0, 2);
  consume_with(server().settings());
  Seen seen;
  ASSERT_TRUE(on(shard_, [&] { return consumer_->assign({{name, 0, 7}}); }));
  ASSERT_TRUE(take_until(seen, [&] { return !seen.problems.empty(); }));
  EXPECT_EQ(seen.problems.front().error.code, Errc::corrupt);
  fill(name, 0, 10);
  take_into(seen);
  EXPECT_TRUE(seen.values.empty());
}

TEST_F(KafkaTest, SaysThatATopicIsGone) {
  const auto name = topic();
  fill(name, 0, 1);
  consume_with(server().settings());
  Seen seen;
  ASSERT_TRUE(on(shard_, [&] { return consumer_->assign({{name, 0, 0}}); }));
  ASSERT_TRUE(take_until(seen, [&] { return !seen.values.empty(); }));
  ASSERT_TRUE(admin()->delete_topic(name));
  ASSERT_TRUE(take_until(seen, [&] { return !seen.problems.empty(); }));
  EXPECT_EQ(seen.problems.front().topic, name);
  EXPECT_EQ(seen.problems.front().error.code, Errc::not_found);
}

TEST_F(KafkaTest, SaysThatATopicIsNotThere) {
  consume_with(server().settings());
  Seen seen;
  ASSERT_TRUE(on(shard_, [&] { return consumer_->assign({{"nowhere", 0, 0}}); }));
  ASSERT_TRUE(take_until(seen, [&] { return !seen.problems.empty(); }))
      << on(shard_, [&] { return consumer_->health().reason; });
  EXPECT_EQ(seen.problems.front().topic, "nowhere");
  EXPECT_EQ(seen.problems.front().error.code, Errc::not_found);
}

TEST_F(KafkaTest, ABatchMayOutliveItsConsumer) {
  const auto name = topic();
  fill(name, 0, 3);
  consume_with(server().settings());
  ASSERT_TRUE(on(shard_, [&] { return consumer_->assign({{name, 0, 0}}); }));
  KafkaBatch batch;
  ASSERT_TRUE(eventually([&] {
    on(shard_, [&] { batch = consumer_->take(10, 1'000); });
    return !batch.empty();
  }));
  on(shard_, [&] { consumer_.reset(); });
  EXPECT_EQ(batch.records().front().value, "0");
}

}  // namespace

}  // namespace millrace
