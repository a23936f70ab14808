// Topics, ends, trimming, published offsets and the ways in, held against a real Kafka.
#include <gmock/gmock.h>

#include "kafka_fixture.hpp"

namespace millrace {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST_F(KafkaTest, CreatesTopicsThatKeepEverything) {
  const KafkaTopicSpec spec{KafkaServer::fresh_topic(), 6};
  const auto with = admin();
  for (int time = 0; time < 2; ++time) {
    const auto made = with->ensure_topics({&spec, 1});
    ASSERT_TRUE(made) << made.error().message;
    const KafkaTopic& topic = made->front();
    EXPECT_EQ(topic.partitions, 6);
    EXPECT_EQ(topic.replication, 1);
    EXPECT_TRUE(topic.has_settings);
    EXPECT_FALSE(topic.retention);
    EXPECT_FALSE(topic.retention_bytes);
    EXPECT_FALSE(topic.compacted);
    EXPECT_EQ(topic.min_insync_replicas, 1);
  }
  const auto cluster = with->cluster();
  ASSERT_TRUE(cluster) << cluster.error().message;
  EXPECT_THAT(cluster->brokers, ElementsAre(1));
  EXPECT_FALSE(cluster->id.empty());
}

TEST_F(KafkaTest, RefusesATopicWithOtherPartitions) {
  const KafkaTopicSpec other{topic(4), 5};
  const auto refused = admin()->ensure_topics({&other, 1});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::config);
  EXPECT_THAT(refused.error().message, HasSubstr("has 4 partitions and must have 5"));
}

TEST_F(KafkaTest, SaysTheCommandWithoutTheRightToCreate) {
  const KafkaTopicSpec spec{KafkaServer::fresh_topic(), 64};
  const auto settings = server().sasl("bob");
  const auto refused = admin(settings)->ensure_topics({&spec, 1});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::forbidden);
  EXPECT_THAT(refused.error().message,
              HasSubstr("kafka-topics.sh --bootstrap-server " + settings.brokers +
                        " --command-config client.properties --create --topic " + spec.name +
                        " --partitions 64 --replication-factor 1 --config retention.ms=-1"));
  EXPECT_THAT(refused.error().message, Not(HasSubstr("secret")));
}

TEST_F(KafkaTest, TellsEndsBeginsAndTimes) {
  const auto name = topic(3);
  fill(name, 1, 4);
  const auto with = admin();
  ASSERT_TRUE(with->delete_records(name, std::vector<KafkaOffset>{{1, 2}}));
  const auto ends = with->ends(name, 3);
  ASSERT_TRUE(ends) << ends.error().message;
  EXPECT_THAT(*ends, ElementsAre(0, 4, 0));
  const auto begins = with->begins(name, 3);
  ASSERT_TRUE(begins) << begins.error().message;
  EXPECT_THAT(*begins, ElementsAre(0, 2, 0));
  const auto old = with->offsets_at(name, 3, WallTime(1s));
  ASSERT_TRUE(old) << old.error().message;
  EXPECT_THAT(*old, ElementsAre(0, 2, 0));
  const auto later = with->offsets_at(name, 3, system_clock().wall_now() + 1h);
  ASSERT_TRUE(later) << later.error().message;
  EXPECT_THAT(*later, ElementsAre(0, 4, 0));
  const auto nowhere = with->ends("nowhere", 1);
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, Errc::not_found) << nowhere.error().message;
}

TEST_F(KafkaTest, PublishesOffsetsOfAGroupWithoutMembers) {
  const auto name = topic(3);
  fill(name, 0, 4);
  const auto with = admin();
  const std::string group = "millrace.test." + name;
  const auto none = with->published_offsets(group, name, 3);
  ASSERT_TRUE(none) << none.error().message;
  EXPECT_TRUE(none->empty());
  for (const std::int64_t offset : {2, 3}) {
    const auto written =
        with->publish_offsets(group, name, std::vector<KafkaOffset>{{0, offset}, {2, 0}});
    ASSERT_TRUE(written) << written.error().message;
    const auto read = with->published_offsets(group, name, 3);
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_EQ(read->size(), 2);
    EXPECT_EQ((*read)[0].partition, 0);
    EXPECT_EQ((*read)[0].offset, offset);
    EXPECT_EQ((*read)[1].offset, 0);
  }
}

TEST_F(KafkaTest, ComesInOverSaslAndTls) {
  for (const auto& settings :
       {server().sasl("alice", "SCRAM-SHA-256"), server().sasl("alice", "SCRAM-SHA-512"),
        server().sasl("alice", "PLAIN"), server().sasl_over_tls("alice"), server().tls()}) {
    const auto cluster = admin(settings)->cluster();
    EXPECT_TRUE(cluster) << settings.brokers << ": " << (cluster ? "" : cluster.error().message);
  }
}

TEST_F(KafkaTest, SaysWhyItCannotComeIn) {
  const auto why = [&](const KafkaSettings& settings) {
    produce_with(settings);
    std::string reason;
    EXPECT_TRUE(eventually([&] {
      const auto health = on(shard_, [&] { return producer_->health(); });
      reason = health.reason;
      return health.away_since.has_value();
    }));
    on(shard_, [&] { producer_.reset(); });
    return reason;
  };
  auto wrong = server().sasl("alice");
  wrong.sasl_password = "not-the-password";
  EXPECT_THAT(why(wrong), HasSubstr("Authentication failed"));
  EXPECT_THAT(why(wrong), Not(HasSubstr("not-the-password")));
  auto stranger = server().tls();
  stranger.tls_ca.clear();
  EXPECT_THAT(why(stranger), HasSubstr("certificate verify failed"));
  auto nameless = server().tls();
  nameless.tls_cert.clear();
  nameless.tls_key.clear();
  EXPECT_THAT(why(nameless), HasSubstr("certificate"));
  auto nobody = server().settings();
  nobody.brokers = "127.0.0.1:1";
  EXPECT_THAT(why(nobody), HasSubstr("Connection refused"));
}

}  // namespace

}  // namespace millrace
