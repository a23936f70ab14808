// What a producer promises, held against a real Kafka.
#include <gmock/gmock.h>

#include "kafka_fixture.hpp"
#include "millrace/ids.hpp"

namespace millrace {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> numbers(int count) {
  std::vector<std::string> texts;
  for (int i = 0; i < count; ++i) texts.push_back(std::to_string(i));
  return texts;
}

TEST_F(KafkaTest, ReportsPartitionAndOffsetOfEachRecord) {
  const auto name = topic();
  produce_with(server().settings());
  for (std::int64_t offset = 0; offset < 3; ++offset) {
    auto report = send({.topic = name, .partition = 2, .key = "key", .value = "value"});
    const auto place = answer(report);
    ASSERT_TRUE(place) << place.error().message;
    EXPECT_EQ(place->partition, 2);
    EXPECT_EQ(place->offset, offset);
  }
  const auto ends = admin()->ends(name, 4);
  ASSERT_TRUE(ends) << ends.error().message;
  EXPECT_THAT(*ends, ElementsAre(0, 0, 3, 0));
}

TEST_F(KafkaTest, PutsAKeyWhereTheBrokersOwnPartitionsAre) {
  const auto name = topic(kPartitionCount);
  produce_with(server().settings());
  for (const char* key : {"odoo/sale.order/7", "events:/erp/order-9", "hook/ä", "k"}) {
    auto report = send({.topic = name, .key = key, .value = "value"});
    const auto place = answer(report);
    ASSERT_TRUE(place) << place.error().message;
    EXPECT_EQ(place->partition, partition_of(key)) << key;
  }
}

TEST_F(KafkaTest, SaysWhyARecordIsRefused) {
  const auto name = topic();
  produce_with(server().settings(), {.message_bytes_max = 32 << 20});
  // More than a topic of ours takes.
  auto large = send({.topic = name, .partition = 0, .value = std::string(18 << 20, 'x')});
  auto nowhere = send({.topic = name, .partition = 99, .value = "value"});
  auto fine = send({.topic = name, .partition = 0, .value = "value"});
  const auto refused = answer(large);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::too_large);
  EXPECT_THAT(refused.error().message, HasSubstr(name));
  const auto lost = answer(nowhere);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Errc::not_found);
  EXPECT_TRUE(answer(fine));
}

TEST_F(KafkaTest, SendsAgainInOrderAfterAFatalError) {
  const auto name = topic();
  produce_with(server().settings());
  std::vector<Report> reports;
  for (int i = 0; i < 2'000; ++i) {
    reports.push_back(send({.topic = name, .partition = 1, .value = std::to_string(i)}));
    if (i == 1'000) on(shard_, [&] { producer_->raise_fatal_error_for_test(); });
  }
  std::int64_t last = -1;
  for (auto& report : reports) {
    const auto place = answer(report);
    ASSERT_TRUE(place) << place.error().message;
    EXPECT_GT(place->offset, last);
    last = place->offset;
  }
  const auto counters = on(shard_, [&] { return producer_->counters(); });
  EXPECT_EQ(counters.recreated, 1);
  EXPECT_EQ(counters.delivered, 2'000);
  // Those without a report may be there twice; in their order they are there all.
  consume_with(server().settings());
  Seen seen;
  ASSERT_TRUE(on(shard_, [&] { return consumer_->assign({{name, 1, 0}}); }));
  ASSERT_TRUE(
      take_until(seen, [&] { return seen.offsets.size() == static_cast<std::size_t>(last + 1); }));
  std::size_t next = 0;
  for (const auto& value : seen.values)
    if (next < 2'000 && value == std::to_string(next)) ++next;
  EXPECT_EQ(next, 2'000);
}

TEST_F(KafkaTest, RefusesWhatHasNoRoomAndLosesNothing) {
  const auto name = topic();
  KafkaProducerOptions options;
  options.records_max = 100;
  // librdkafka's own queue is shorter still.
  options.more = {{"queue.buffering.max.messages", "10"}};
  produce_with(server().settings(), std::move(options));
  std::atomic<int> delivered = 0;
  std::atomic<bool> room = true;
  on(shard_, [&] { producer_->set_on_room([&] { room = true; }); });
  int sent = 0;
  int refused = 0;
  while (sent < 1'000) {
    ASSERT_TRUE(eventually([&] { return room.load(); }));
    on(shard_, [&] {
      while (sent < 1'000) {
        auto taken = producer_->send({.topic = name, .partition = 0, .value = std::to_string(sent)},
                                     [&](Result<KafkaPlace> place) { delivered += place ? 1 : 0; });
        if (!taken) {
          EXPECT_EQ(taken.error().code, Errc::overloaded);
          ++refused;
          room = false;
          return;
        }
        ++sent;
      }
    });
  }
  EXPECT_GT(refused, 0);
  std::promise<void> idle;
  on(shard_, [&] { producer_->when_idle([&] { idle.set_value(); }); });
  ASSERT_EQ(idle.get_future().wait_for(60s), std::future_status::ready);
  EXPECT_EQ(delivered, 1'000);
  EXPECT_GT(on(shard_, [&] { return producer_->counters().queue_full; }), 0);
  consume_with(server().settings());
  Seen seen;
  ASSERT_TRUE(on(shard_, [&] { return consumer_->assign({{name, 0, 0}}); }));
  ASSERT_TRUE(take_until(seen, [&] { return seen.values.size() >= 1'000; }));
  EXPECT_EQ(seen.values, numbers(1'000));
}

TEST_F(KafkaTest, KeepsHeadersKeyAndTime) {
  const auto name = topic();
  produce_with(server().settings());
  const auto at = WallTime(1'764'000'000'123'456us);
  auto report = send({.topic = name,
                      .partition = 0,
                      .key = "the key",
                      .value = std::string("va\0lue", 6),
                      .headers = {{"ce_id", "1"}, {"ce_id", "2"}, {"empty", ""}},
                      .timestamp = at});
  ASSERT_TRUE(answer(report));
  consume_with(server().settings());
  ASSERT_TRUE(on(shard_, [&] { return consumer_->assign({{name, 0, 0}}); }));
  KafkaBatch batch;
  ASSERT_TRUE(eventually([&] {
    on(shard_, [&] { batch = consumer_->take(10, 1'000); });
    return !batch.empty();
  }));
  ASSERT_EQ(batch.records().size(), 1);
  const KafkaRecord& record = batch.records().front();
  EXPECT_EQ(record.topic, name);
  EXPECT_EQ(record.key, "the key");
  EXPECT_EQ(record.value, std::string_view("va\0lue", 6));
  EXPECT_EQ(record.timestamp, std::chrono::floor<milliseconds>(at));
  using Pair = std::pair<std::string_view, std::string_view>;
  EXPECT_THAT(record.headers(),
              ElementsAre(Pair("ce_id", "1"), Pair("ce_id", "2"), Pair("empty", "")));
}

TEST_F(KafkaTest, CountsForMetrics) {
  const auto name = topic();
  fill(name, 0, 10);
  ASSERT_TRUE(eventually([&] {
    const auto numbers = on(shard_, [&] { return producer_->statistics(); });
    return numbers.sent_messages >= 10 && numbers.brokers_up > 0 && numbers.brokers_known == 1;
  }));
  EXPECT_FALSE(on(shard_, [&] { return producer_->health(); }).away_since);
}

}  // namespace

}  // namespace millrace
