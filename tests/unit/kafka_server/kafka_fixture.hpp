// What the tests with a real Kafka share: the server, a shard, and waiting.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kafka/kafka_admin.hpp"
#include "kafka/kafka_consumer.hpp"
#include "kafka/kafka_producer.hpp"
#include "kafka_server.hpp"

namespace millrace {

using namespace std::chrono_literals;

template <typename F>
bool eventually(F predicate) {
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (std::chrono::steady_clock::now() < until) {
    if (predicate()) return true;
    ::poll(nullptr, 0, 5);
  }
  return false;
}

/// Runs `work` on the shard and hands back what it returns.
template <typename F>
auto on(Shard& shard, F work) {
  std::promise<decltype(work())> promise;
  auto value = promise.get_future();
  shard.post([&] {
    if constexpr (std::is_void_v<decltype(work())>) {
      work();
      promise.set_value();
    } else {
      promise.set_value(work());
    }
  });
  return value.get();
}

class KafkaTest : public testing::Test {
 protected:
  void SetUp() override {
    if (KafkaServer::shared() == nullptr) GTEST_SKIP();
    shard_.start();
  }
  void TearDown() override {
    if (KafkaServer::shared() == nullptr) return;
    on(shard_, [&] {
      producer_.reset();
      consumer_.reset();
    });
    shard_.stop(5s);
  }

  static KafkaServer& server() { return *KafkaServer::shared(); }
  static std::unique_ptr<KafkaAdmin> admin() { return admin(server().settings()); }
  static std::unique_ptr<KafkaAdmin> admin(const KafkaSettings& settings) {
    auto made = KafkaAdmin::open(settings);
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return *std::move(made);
  }
  /// A topic of its own.
  static std::string topic(std::int32_t partitions = 4) {
    const KafkaTopicSpec spec{KafkaServer::fresh_topic(), partitions};
    const auto made = admin()->ensure_topics({&spec, 1});
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return spec.name;
  }

  void produce_with(const KafkaSettings& settings, KafkaProducerOptions options = {}) {
    on(shard_, [&] {
      auto made = KafkaProducer::open(shard_, settings, std::move(options));
      EXPECT_TRUE(made) << (made ? "" : made.error().message);
      producer_ = *std::move(made);
    });
  }
  using Report = std::future<Result<KafkaPlace>>;
  Report send(KafkaMessage message) {
    auto promise = std::make_shared<std::promise<Result<KafkaPlace>>>();
    auto report = promise->get_future();
    on(shard_, [&] {
      auto taken = producer_->send(std::move(message), [promise](Result<KafkaPlace> place) {
        promise->set_value(std::move(place));
      });
      if (!taken) promise->set_value(std::unexpected(taken.error()));
    });
    return report;
  }
  static Result<KafkaPlace> answer(Report& report) {
    if (report.wait_for(60s) == std::future_status::ready) return report.get();
    return fail(Errc::internal, "there is no report");
  }
  /// Writes `count` records "0", "1", … to one partition and waits for all reports.
  void fill(const std::string& name, std::int32_t partition, int count, std::size_t size = 1) {
    if (!producer_) produce_with(server().settings());
    std::vector<Report> reports;
    for (int i = 0; i < count; ++i) {
      KafkaMessage message{.topic = name, .partition = partition, .key = "k", .value = {}};
      message.value = std::to_string(i);
      if (message.value.size() < size) message.value.append(size - message.value.size(), ' ');
      reports.push_back(send(std::move(message)));
    }
    for (auto& report : reports) {
      const auto place = answer(report);
      ASSERT_TRUE(place) << place.error().message;
    }
  }

  void consume_with(const KafkaSettings& settings, KafkaConsumerOptions options = {}) {
    on(shard_, [&] {
      auto made = KafkaConsumer::open(shard_, settings, std::move(options));
      EXPECT_TRUE(made) << (made ? "" : made.error().message);
      consumer_ = *std::move(made);
    });
  }
  /// What a consumer said so far, of all batches.
  struct Seen {
    std::vector<std::string> values;
    std::vector<std::int64_t> offsets;
    std::vector<KafkaPosition> ends;
    std::vector<KafkaProblem> problems;
  };
  void take_into(Seen& seen, std::size_t records_max = 1'000) {
    on(shard_, [&] {
      const KafkaBatch batch = consumer_->take(records_max, 1 << 20);
      for (const auto& record : batch.records()) {
        seen.values.emplace_back(record.value);
        seen.offsets.push_back(record.offset);
      }
      seen.ends.insert(seen.ends.end(), batch.ends().begin(), batch.ends().end());
      seen.problems.insert(seen.problems.end(), batch.problems().begin(), batch.problems().end());
    });
  }
  template <typename F>
  bool take_until(Seen& seen, F enough) {
    return eventually([&] {
      take_into(seen);
      return enough();
    });
  }

  Shard shard_{"kafka"};
  std::unique_ptr<KafkaProducer> producer_;
  std::unique_ptr<KafkaConsumer> consumer_;
};

}  // namespace millrace
