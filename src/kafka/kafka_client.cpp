#include "kafka/kafka_client.hpp"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace millrace {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kReasonMax = 512;
// librdkafka 2.0.2 sometimes does not let go of a broker after an assignment ended with a fetch
// under way, and then never ends (its issue 4674).
constexpr std::chrono::seconds kEndWithin{5};
// What librdkafka writes to an eventfd: its counter goes up by one.
constexpr std::uint64_t kOne = 1;

struct ConfigurationDestroy {
  void operator()(rd_kafka_conf_t* configuration) const { rd_kafka_conf_destroy(configuration); }
};
using Configuration = std::unique_ptr<rd_kafka_conf_t, ConfigurationDestroy>;

// From librdkafka's own threads. What matters to an operator comes as an event as well.
void log_line(const rd_kafka_t* client, int /*level*/, const char* facility, const char* text) {
  spdlog::debug("kafka client={} facility={} {}", rd_kafka_name(client), facility, text);
}

// The reason may quote the value, which may be a secret: then it is left out.
Result<void> set(rd_kafka_conf_t* configuration, const std::string& name,
                 const std::string& value) {
  std::array<char, kReasonMax> reason{};
  if (rd_kafka_conf_set(configuration, name.c_str(), value.c_str(), reason.data(), reason.size()) ==
      RD_KAFKA_CONF_OK)
    return {};
  const bool secret = name.find("password") != name.npos;
  return fail(Errc::config, fmt::format("the Kafka client refuses its setting {}: {}", name,
                                        secret ? "the value is not allowed" : reason.data()));
}

}  // namespace

Result<std::shared_ptr<KafkaClient>> KafkaClient::open(Kind kind, const KafkaSettings& settings,
                                                       const KafkaProperties& more) {
  MILLRACE_TRY(properties, properties_of(settings));
  properties.insert(properties.end(), more.begin(), more.end());
  Configuration configuration(rd_kafka_conf_new());
  for (const auto& [name, value] : properties)
    MILLRACE_CHECK_OK(set(configuration.get(), name, value));
  rd_kafka_conf_set_log_cb(configuration.get(), log_line);
  int events = RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_STATS;
  events |= kind == Kind::producer ? RD_KAFKA_EVENT_DR : RD_KAFKA_EVENT_FETCH;
  rd_kafka_conf_set_events(configuration.get(), events);
  std::array<char, kReasonMax> reason{};
  rd_kafka_t* client = rd_kafka_new(kind == Kind::producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER,
                                    configuration.get(), reason.data(), reason.size());
  if (client == nullptr)
    return fail(settings.tls ? Errc::tls : Errc::config,
                fmt::format("the Kafka client cannot be made: {}", reason.data()));
  // The client owns its configuration from now on.
  static_cast<void>(configuration.release());
  return std::shared_ptr<KafkaClient>(new KafkaClient(client));
}

void KafkaClient::abandon() {
  abandoned_ = true;
  // Its threads outlive the log.
  rd_kafka_set_log_level(client_, 0);
}

KafkaClient::~KafkaClient() {
  if (abandoned_) return;
  // Not later: a client that has ended meanwhile is gone.
  rd_kafka_set_log_level(client_, 0);
  const auto ended = std::make_shared<std::promise<void>>();
  auto end = ended->get_future();
  std::thread([client = client_, ended] {
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    ended->set_value();
  }).detach();
  if (end.wait_for(kEndWithin) == std::future_status::ready) return;
  spdlog::warn("a Kafka client does not end, it stays idle until this process ends");
}

void KafkaQueueDestroy::operator()(rd_kafka_queue_s* queue) const {
  rd_kafka_queue_destroy(queue);
}

struct KafkaWake::State : std::enable_shared_from_this<KafkaWake::State> {
  State(asio::io_context& context, std::function<void()> call)
      : descriptor(context, ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), on_wake(std::move(call)) {}

  void wait() {
    descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](const boost::system::error_code& error) {
                            if (!error && self->descriptor.is_open()) self->woken();
                          });
  }
  void woken() {
    std::uint64_t count = 0;
    // Read before anything is taken: what comes later wakes again.
    const auto size = ::read(descriptor.native_handle(), &count, sizeof(count));
    const auto self = shared_from_this();
    if (size == sizeof(count)) on_wake();
    if (descriptor.is_open()) wait();
  }

  asio::posix::stream_descriptor descriptor;
  std::function<void()> on_wake;
  std::vector<KafkaQueue> queues;
};

KafkaWake::KafkaWake(asio::io_context& context, std::function<void()> on_wake)
    : state_(std::make_shared<State>(context, std::move(on_wake))) {
  state_->wait();
}

KafkaWake::~KafkaWake() {
  for (const auto& queue : state_->queues)
    rd_kafka_queue_io_event_enable(queue.get(), -1, nullptr, 0);
  state_->queues.clear();
  boost::system::error_code ignored;
  state_->descriptor.close(ignored);
}

void KafkaWake::watch(KafkaQueue queue) {
  rd_kafka_queue_io_event_enable(queue.get(), state_->descriptor.native_handle(), &kOne,
                                 sizeof(kOne));
  state_->queues.push_back(std::move(queue));
  // It may have begun to hold something before.
  wake();
}

void KafkaWake::wake() {
  // Cannot fail: the counter of an eventfd is far from full.
  static_cast<void>(!::write(state_->descriptor.native_handle(), &kOne, sizeof(kOne)));
}

bool KafkaMonitor::take(rd_kafka_op_s* event) {
  switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_ERROR: {
      const auto error = rd_kafka_event_error(event);
      const char* text = rd_kafka_event_error_string(event);
      const bool all_down = error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
      if (all_down && !health_.away_since) health_.away_since = system_clock().wall_now();
      // "1/1 brokers are down" says less than why.
      if (!all_down || health_.reason.empty()) health_.reason = text == nullptr ? "" : text;
      return true;
    }
    case RD_KAFKA_EVENT_STATS:
      if (auto parsed = parse_kafka_statistics(rd_kafka_event_stats(event))) {
        statistics_ = *parsed;
        if (statistics_.brokers_up > 0) heard();
      }
      return true;
    default:
      return false;
  }
}

void KafkaMonitor::failed(Error reason) {
  if (!health_.away_since) health_.away_since = system_clock().wall_now();
  health_.code = reason.code;
  health_.reason = std::move(reason.message);
}

void KafkaMonitor::heard() {
  if (!health_.away_since && health_.reason.empty()) return;
  health_ = {};
}

}  // namespace millrace
