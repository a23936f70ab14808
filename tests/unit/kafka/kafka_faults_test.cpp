// Errors that a real Kafka does not make on demand, injected by librdkafka's mock cluster. It is no
// evidence of what is written: that is tests/unit/kafka_server.
#include <gmock/gmock.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <future>

#include "kafka/kafka_producer.hpp"

namespace millrace {

namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::int16_t kProduce = 0;
constexpr std::int16_t kInitProducerId = 22;

class KafkaFaults : public testing::Test {
 protected:
  void SetUp() override {
    std::array<char, 256> reason{};
    rd_kafka_conf_t* quiet = rd_kafka_conf_new();
    rd_kafka_conf_set(quiet, "log_level", "0", reason.data(), reason.size());
    owner_ = rd_kafka_new(RD_KAFKA_PRODUCER, quiet, reason.data(), reason.size());
    ASSERT_NE(owner_, nullptr) << reason.data();
    cluster_ = rd_kafka_mock_cluster_new(owner_, 1);
    rd_kafka_mock_topic_create(cluster_, "topic", 4, 1);
    shard_.start();
  }
  void TearDown() override {
    on_shard([&] { producer_.reset(); });
    shard_.stop(5s);
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(owner_);
  }

  void on_shard(const std::function<void()>& work) {
    std::promise<void> done;
    shard_.post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  void open(KafkaProducerOptions options = {}) {
    KafkaSettings settings;
    settings.brokers = rd_kafka_mock_cluster_bootstraps(cluster_);
    settings.statistics_every = 100ms;
    on_shard([&] {
      auto made = KafkaProducer::open(shard_, settings, std::move(options));
      ASSERT_TRUE(made) << made.error().message;
      producer_ = *std::move(made);
    });
  }
  using Report = std::future<Result<KafkaPlace>>;
  Report send(const std::string& value) {
    auto promise = std::make_shared<std::promise<Result<KafkaPlace>>>();
    on_shard([&] {
      const auto taken = producer_->send(
          {.topic = "topic", .partition = 0, .key = "k", .value = value},
          [promise](Result<KafkaPlace> place) { promise->set_value(std::move(place)); });
      if (!taken) promise->set_value(std::unexpected(taken.error()));
    });
    return promise->get_future();
  }
  static Result<KafkaPlace> answer(Report& report) {
    if (report.wait_for(60s) == std::future_status::ready) return report.get();
    return fail(Errc::internal, "there is no report");
  }
  void inject(std::int16_t request, std::vector<rd_kafka_resp_err_t> errors) {
    rd_kafka_mock_push_request_errors_array(cluster_, request, errors.size(), errors.data());
  }
  KafkaProducer::Counters counters() {
    KafkaProducer::Counters numbers;
    on_shard([&] { numbers = producer_->counters(); });
    return numbers;
  }
  KafkaHealth health() {
    KafkaHealth now;
    on_shard([&] { now = producer_->health(); });
    return now;
  }

  rd_kafka_t* owner_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
  Shard shard_{"kafka"};
  std::unique_ptr<KafkaProducer> producer_;
};

TEST_F(KafkaFaults, PassesOverWhatGoesAway) {
  open();
  inject(kProduce, {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS});
  auto report = send("value");
  EXPECT_TRUE(answer(report));
  EXPECT_EQ(counters().recreated, 0);
}

TEST_F(KafkaFaults, SendsAgainWhatAnAnswerSaysNothingOf) {
  open();
  auto first = send("first");
  ASSERT_TRUE(answer(first));
  for (const auto error :
       {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING,
        RD_KAFKA_RESP_ERR_UNKNOWN}) {
    inject(kProduce, {error});
    std::vector<Report> reports;
    for (int i = 0; i < 10; ++i) reports.push_back(send(std::to_string(i)));
    for (auto& report : reports) {
      const auto place = answer(report);
      ASSERT_TRUE(place) << place.error().message;
    }
  }
  EXPECT_GT(counters().recreated, 0);
  EXPECT_EQ(counters().delivered, 31);
  EXPECT_EQ(counters().failed, 0);
}

TEST_F(KafkaFaults, SaysWhatIsRefused) {
  open();
  for (const auto error :
       {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED}) {
    inject(kProduce, {error});
    auto report = send("value");
    const auto place = answer(report);
    ASSERT_FALSE(place);
    EXPECT_THAT(place.error().message, HasSubstr(rd_kafka_err2str(error)));
  }
  EXPECT_EQ(counters().recreated, 0);
  EXPECT_EQ(counters().failed, 2);
}

TEST_F(KafkaFaults, AsksAgainForARightThatIsMissing) {
  inject(kInitProducerId, {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
                           RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED});
  open();
  auto report = send("value");
  EXPECT_TRUE(answer(report));
  EXPECT_EQ(counters().recreated, 2);
  // It may have been sent after the first of them.
  EXPECT_GE(counters().resent, 1);
}

TEST_F(KafkaFaults, DoesNotBelieveASuccessWithoutAnOffset) {
  open();
  auto first = send("first");
  ASSERT_TRUE(answer(first));
  inject(kProduce, {RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER});
  auto report = send("value");
  const auto place = answer(report);
  ASSERT_TRUE(place) << place.error().message;
  EXPECT_GE(place->offset, 0);
  EXPECT_EQ(counters().recreated, 1);
}

TEST_F(KafkaFaults, WaitsForABrokerThatIsAwayAndSaysSo) {
  open();
  auto first = send("first");
  ASSERT_TRUE(answer(first));
  rd_kafka_mock_broker_set_down(cluster_, 1);
  auto report = send("value");
  while (!health().away_since)
    ASSERT_NE(report.wait_for(5ms), std::future_status::ready) << "there was no broker";
  EXPECT_FALSE(health().reason.empty());
  rd_kafka_mock_broker_set_up(cluster_, 1);
  EXPECT_TRUE(answer(report));
  EXPECT_FALSE(health().away_since);
}

TEST_F(KafkaFaults, DropsWhatIsOutstandingWithTheProducer) {
  open();
  rd_kafka_mock_broker_set_down(cluster_, 1);
  auto report = send("value");
  on_shard([&] { producer_.reset(); });
  EXPECT_THROW(report.get(), std::future_error);
}

TEST_F(KafkaFaults, MayBeEndedByACompletion) {
  open();
  std::promise<void> ended;
  on_shard([&] {
    for (int i = 0; i < 10; ++i)
      ASSERT_TRUE(producer_->send({.topic = "topic", .partition = 0, .value = "v"},
                                  [&](Result<KafkaPlace>) {
                                    if (!producer_) return;
                                    producer_.reset();
                                    ended.set_value();
                                  }));
  });
  EXPECT_EQ(ended.get_future().wait_for(60s), std::future_status::ready);
}

}  // namespace

}  // namespace millrace
