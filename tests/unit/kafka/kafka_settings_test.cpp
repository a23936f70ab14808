#include "kafka/kafka_settings.hpp"

#include <gmock/gmock.h>

#include "kafka/kafka_client.hpp"

namespace millrace {

namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

KafkaSettings somewhere() {
  KafkaSettings settings;
  settings.brokers = "k1:9092,k2:9092";
  return settings;
}

TEST(KafkaSettings, AreSaidInTheWordsOfTheClient) {
  auto settings = somewhere();
  EXPECT_THAT(*properties_of(settings), Contains(Pair("security.protocol", "plaintext")));
  settings.tls = true;
  settings.tls_ca = "ca.pem";
  EXPECT_THAT(*properties_of(settings), Contains(Pair("security.protocol", "ssl")));
  EXPECT_THAT(*properties_of(settings), Contains(Pair("ssl.ca.location", "ca.pem")));
  settings.sasl_user = "alice";
  settings.sasl_password = "secret";
  const auto all = *properties_of(settings);
  EXPECT_THAT(all, Contains(Pair("security.protocol", "sasl_ssl")));
  EXPECT_THAT(all, Contains(Pair("sasl.mechanisms", "SCRAM-SHA-512")));
  EXPECT_THAT(all, Contains(Pair("bootstrap.servers", "k1:9092,k2:9092")));
}

TEST(KafkaSettings, AreRefusedWhenTheyContradictThemselves) {
  const auto why = [](auto change) {
    auto settings = somewhere();
    change(settings);
    const auto properties = properties_of(settings);
    EXPECT_FALSE(properties);
    return properties ? "" : properties.error().message;
  };
  EXPECT_THAT(why([](auto& s) { s.brokers.clear(); }), HasSubstr("`brokers` is empty"));
  EXPECT_THAT(why([](auto& s) { s.tls_ca = "ca.pem"; }), HasSubstr("no TLS"));
  EXPECT_THAT(why([](auto& s) {
                s.tls = true;
                s.tls_key = "key.pem";
              }),
              HasSubstr("needs its key"));
  EXPECT_THAT(why([](auto& s) {
                s.sasl_user = "alice";
                s.sasl_mechanism = "GSSAPI";
              }),
              HasSubstr("\"GSSAPI\" is not one of"));
}

TEST(KafkaSettings, OpenSaysWhatTheClientRefuses) {
  auto settings = somewhere();
  settings.tls = true;
  settings.tls_ca = "no-such-file.pem";
  settings.sasl_user = "alice";
  settings.sasl_password = "the-secret";
  const auto client = KafkaClient::open(KafkaClient::Kind::producer, settings, {});
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, Errc::tls);
  EXPECT_THAT(client.error().message, HasSubstr("ssl.ca.location"));
  EXPECT_THAT(client.error().message, Not(HasSubstr("the-secret")));
}

TEST(KafkaStatistics, RefusesWhatIsNone) {
  EXPECT_FALSE(parse_kafka_statistics("[]"));
  EXPECT_FALSE(parse_kafka_statistics("{}"));
  const auto numbers = parse_kafka_statistics(
      R"({"msg_cnt":3,"msg_size":40,"txmsgs":7,"brokers":{)"
      R"("a/bootstrap":{"nodeid":-1,"state":"UP","nodename":"b:1","rtt":{"p99":5}},)"
      R"("b/1":{"nodeid":1,"state":"UP","nodename":"b:1",)"
      R"("req_timeouts":2,"txretries":1,"waitresp_cnt":4,)"
      R"("rtt":{"p99":900,"avg":300}}},)"
      R"("topics":{"t":{"partitions":{)"
      R"("0":{"fetchq_size":11,"fetchq_cnt":2,"fetch_state":"active","hi_offset":9,)"
      R"("next_offset":6},)"
      R"("1":{"fetch_state":"none","hi_offset":9,"next_offset":0},)"
      R"("2":{"fetch_state":"active","hi_offset":-1001,"next_offset":0},)"
      R"("-1":{"fetchq_size":0}}}}})");
  ASSERT_TRUE(numbers) << numbers.error().message;
  EXPECT_EQ(numbers->queued_messages, 3);
  EXPECT_EQ(numbers->queued_bytes, 40);
  EXPECT_EQ(numbers->sent_messages, 7);
  EXPECT_EQ(numbers->brokers_known, 1);
  EXPECT_EQ(numbers->brokers_up, 1);
  EXPECT_EQ(numbers->request_timeouts, 2);
  EXPECT_EQ(numbers->request_retries, 1);
  EXPECT_EQ(numbers->round_trip_p99_us, 900);
  EXPECT_EQ(numbers->round_trip_mean_us, 300);
  EXPECT_EQ(numbers->requests_in_flight, 4);
  EXPECT_EQ(numbers->fetch_queue_bytes, 11);
  EXPECT_EQ(numbers->records_behind, 5) << "three not fetched and two not taken, of what is read";
}

}  // namespace

}  // namespace millrace
