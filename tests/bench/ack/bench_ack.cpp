// What the modes of `ack:` acknowledge beside what librdkafka itself does, on one Kafka and in
// turns: events of 1 KB over 64 partitions, 1,000 on their way at any time.
//   bench_ack DIRECTORY [SECONDS [ROUNDS]]     DIRECTORY, for the spool, must lie on a disk
// Exits with 1 when a mode stays below 60 % of the bare rate (medians of the rounds).
#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kafka/kafka_admin.hpp"
#include "kafka_server.hpp"
#include "log/kafka_log.hpp"
#include "log/spooling_log.hpp"
#include "loop_executor.hpp"
#include "storage/posix_disk.hpp"

namespace millrace {
namespace {

using Steady = std::chrono::steady_clock;
constexpr std::size_t kEventBytes = 1024;
constexpr int kInFlight = 1000;
constexpr double kShareMin = 0.6;

/// What one run came to.
struct Figures {
  double per_second = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double cpu_us = 0;  ///< of this process, an event
};

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// Counts from its making.
class Meter {
 public:
  explicit Meter(double seconds)
      : until_(begin_ + std::chrono::milliseconds(static_cast<int>(seconds * 1e3))) {}
  bool goes_on() const { return Steady::now() < until_; }
  void acknowledged(Steady::time_point sent) {
    took_ms_.push_back(std::chrono::duration<double, std::milli>(Steady::now() - sent).count());
  }
  Figures figures() {
    const double took = std::chrono::duration<double>(Steady::now() - begin_).count();
    const auto count = static_cast<double>(took_ms_.size());
    std::ranges::sort(took_ms_);
    return {.per_second = count / took,
            .p50_ms = took_ms_[took_ms_.size() / 2],
            .p99_ms = took_ms_[took_ms_.size() * 99 / 100],
            .cpu_us = (cpu_seconds() - cpu_) / count * 1e6};
  }

 private:
  const Steady::time_point begin_ = Steady::now();
  const Steady::time_point until_;
  const double cpu_ = cpu_seconds();
  std::vector<double> took_ms_;
};

/// librdkafka by itself, with the guarantees that the log has: idempotent, acknowledged by all.
Figures bare(const KafkaSettings& settings, const std::string& topic, double seconds) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : KafkaProperties{{"bootstrap.servers", settings.brokers},
                                                   {"enable.idempotence", "true"},
                                                   {"acks", "all"},
                                                   {"linger.ms", "0"}}) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), nullptr, 0) != RD_KAFKA_CONF_OK) {
      std::abort();
    }
  }
  rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
  rd_kafka_t* client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
  rd_kafka_topic_t* to = rd_kafka_topic_new(client, topic.c_str(), nullptr);
  rd_kafka_queue_t* queue = rd_kafka_queue_get_main(client);
  std::string body(kEventBytes, 'e');
  std::vector<Steady::time_point> sent(kInFlight);
  std::vector<std::size_t> free;
  for (std::size_t i = 0; i < sent.size(); ++i) free.push_back(i);
  std::int32_t partition = 0;
  Meter meter(seconds);
  while (meter.goes_on() || free.size() < sent.size()) {
    while (!free.empty() && meter.goes_on()) {
      const std::size_t place = free.back();
      sent[place] = Steady::now();
      if (rd_kafka_produce(to, partition++ % kPartitionCount, RD_KAFKA_MSG_F_COPY, body.data(),
                           body.size(), nullptr, 0, reinterpret_cast<void*>(place)) != 0) {
        break;
      }
      free.pop_back();
    }
    rd_kafka_event_t* event = rd_kafka_queue_poll(queue, 100);
    while (const rd_kafka_message_t* report = rd_kafka_event_message_next(event)) {
      if (report->err != RD_KAFKA_RESP_ERR_NO_ERROR) std::abort();
      const auto place = reinterpret_cast<std::size_t>(report->_private);
      meter.acknowledged(sent[place]);
      free.push_back(place);
    }
    rd_kafka_event_destroy(event);
  }
  const Figures figures = meter.figures();
  rd_kafka_queue_destroy(queue);
  rd_kafka_topic_destroy(to);
  rd_kafka_destroy(client);
  return figures;
}

/// Senders that each wait for their answer before they send again.
struct Senders {
  EventLog& log;
  LoopExecutor& shard;
  Meter& meter;
  std::string body = std::string(kEventBytes, 'e');
  int waiting = 0;

  void send(Partition partition) {
    const auto sent = Steady::now();
    log.accept(Journal::inbox, {{partition, "orders", body}}, shard,
               [this, partition, sent](const Result<void>& result) {
                 if (!result) std::abort();
                 meter.acknowledged(sent);
                 if (meter.goes_on()) return send(partition);
                 --waiting;
               });
  }
};

Figures through(EventLog& log, double seconds) {
  LoopExecutor shard;
  Meter meter(seconds);
  Senders all{.log = log, .shard = shard, .meter = meter};
  all.waiting = kInFlight;
  for (int i = 0; i < kInFlight; ++i) all.send(static_cast<Partition>(i % kPartitionCount));
  while (all.waiting > 0) shard.run_one();
  return meter.figures();
}

std::unique_ptr<EventLog> open(AckMode mode, const KafkaSettings& settings, const Clock& clock,
                               Disk& disk, const std::filesystem::path& directory) {
  auto log = open_kafka_log(
      {.settings = settings, .prefix = "bench", .entities = {"orders"}, .clock = clock});
  if (!log) {
    fmt::print(stderr, "{}\n", log.error().message);
    std::exit(2);
  }
  if (mode == AckMode::log) return *std::move(log);
  auto spool = log::Spool::open(
      {.directory = directory / "spool", .disk = disk, .clock = clock, .fatal = [](const Error&) {
         std::abort();
       }});
  if (!spool) std::abort();
  auto both = open_spooling_log({.mode = mode}, *std::move(spool), *std::move(log));
  if (!both) std::abort();
  return *std::move(both);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

int run(const std::filesystem::path& directory, double seconds, int rounds) {
  spdlog::set_level(spdlog::level::warn);
  KafkaServer server;
  if (!server.is_there()) return 2;
  const KafkaSettings settings = server.settings();
  const Clock& clock = system_clock();
  PosixDisk disk;
  static_cast<void>(open(AckMode::log, settings, clock, disk, directory));  // makes the topics
  const std::vector<std::pair<std::string, std::function<Figures()>>> all{
      {"bare librdkafka", [&] { return bare(settings, "bench.inbox", seconds); }},
      {"ack: kafka",
       [&] { return through(*open(AckMode::log, settings, clock, disk, directory), seconds); }},
      {"ack: auto",
       [&] {
         return through(*open(AckMode::automatic, settings, clock, disk, directory), seconds);
       }},
      {"ack: local",
       [&] { return through(*open(AckMode::local, settings, clock, disk, directory), seconds); }},
  };
  std::map<std::string, std::vector<double>> rates;
  bare(settings, "bench.inbox", seconds);  // Kafka has just begun
  for (int round = 0; round < rounds; ++round) {
    for (const auto& [name, measure] : all) {
      const Figures figures = measure();
      rates[name].push_back(figures.per_second);
      fmt::print("{:16} {:8.0f} acked/s  p50 {:6.2f} ms  p99 {:6.2f} ms  {:5.1f} us CPU/event\n",
                 name, figures.per_second, figures.p50_ms, figures.p99_ms, figures.cpu_us);
    }
  }
  int below = 0;
  const double limit = median(rates[all.front().first]);
  for (const auto& [name, measure] : all) {
    const double share = median(rates[name]) / limit;
    fmt::print("{:16} {:8.0f} acked/s  {:4.0f} %\n", name, median(rates[name]), share * 100);
    if (share < kShareMin) ++below;
  }
  if (below > 0) fmt::print("FAILED: {} below {:.0f} %\n", below, kShareMin * 100);
  return below > 0 ? 1 : 0;
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: bench_ack DIRECTORY [SECONDS [ROUNDS]]\n");
    return 2;
  }
  return millrace::run(argv[1], argc > 2 ? std::atof(argv[2]) : 5,
                       argc > 3 ? std::atoi(argv[3]) : 3);
}
