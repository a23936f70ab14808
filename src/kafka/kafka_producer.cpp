#include "kafka/kafka_producer.hpp"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <utility>

namespace millrace {

namespace {

// Bytes a record costs beside its own: our entry and librdkafka's.
constexpr std::size_t kRecordOverhead = 512;
constexpr milliseconds kAgainAfter{1'000};

// Kafka says that it has not written the record and never will. Everything else may be about its
// batch, the producer or the connection, and says nothing of the record.
bool is_refusal(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
      return true;
    default:
      return false;
  }
}

struct EventDestroy {
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
};
using KafkaEvent = std::unique_ptr<rd_kafka_event_t, EventDestroy>;

struct TopicDestroy {
  void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
};
using Topic = std::unique_ptr<rd_kafka_topic_t, TopicDestroy>;

struct HeadersDestroy {
  void operator()(rd_kafka_headers_t* headers) const { rd_kafka_headers_destroy(headers); }
};
using Headers = std::unique_ptr<rd_kafka_headers_t, HeadersDestroy>;

std::size_t bytes_of(const KafkaMessage& message) {
  std::size_t bytes = message.key.size() + message.value.size();
  for (const auto& header : message.headers) bytes += header.name.size() + header.value.size();
  return bytes;
}

KafkaProperties producer_properties(const KafkaProducerOptions& options) {
  KafkaProperties properties{
      {"enable.idempotence", "true"},
      {"acks", "all"},
      // A record that timed out may be written all the same, and leaves a gap in the sequence.
      {"message.timeout.ms", "0"},
      {"request.timeout.ms", "10000"},
      {"partitioner", "murmur2_random"},
      {"linger.ms",
       fmt::format("{}.{:03}", options.linger.count() / 1000, options.linger.count() % 1000)},
      {"compression.type", options.compression},
      {"message.max.bytes", std::to_string(options.message_bytes_max)},
      // Our own bounds are reached before librdkafka's.
      {"queue.buffering.max.messages", std::to_string(options.records_max + 1)},
      {"queue.buffering.max.kbytes",
       std::to_string((std::max(options.bytes_max, options.message_bytes_max) +
                       options.records_max * kRecordOverhead) /
                          1024 +
                      1)},
  };
  properties.insert(properties.end(), options.more.begin(), options.more.end());
  return properties;
}

}  // namespace

struct KafkaProducer::State : std::enable_shared_from_this<KafkaProducer::State> {
  State(Shard& shard, KafkaSettings kafka, KafkaProducerOptions given)
      : home(shard),
        settings(std::move(kafka)),
        options(std::move(given)),
        again(shard.context()) {}

  struct Entry {
    KafkaMessage message;
    Done done;
    std::size_t bytes;
  };
  struct Report {
    std::uint64_t sequence;
    Result<KafkaPlace> result;
  };

  Result<void> start_client();
  void stop_client();
  void hand_over();
  rd_kafka_resp_err_t produce(std::uint64_t sequence, const KafkaMessage& message);
  rd_kafka_topic_t* topic(const std::string& name);
  void drain();
  void take_report(const rd_kafka_message_t& report, std::vector<Report>& reports);
  void complete(std::uint64_t sequence, Result<KafkaPlace> result);
  void fail_later(std::uint64_t sequence, Error error);
  bool is_fatal() const;
  void recreate();
  void start_again();
  void start_again_later();
  void tell_room();
  void post(std::move_only_function<void(State&)> task);

  Shard& home;
  const KafkaSettings settings;
  const KafkaProducerOptions options;
  KafkaMonitor monitor;
  Counters counters;

  // By the order in which they were sent; erased when they are reported.
  std::map<std::uint64_t, Entry> entries;
  std::uint64_t next_sequence = 1;
  std::uint64_t next_to_hand_over = 1;
  std::size_t bytes = 0;
  bool refused = false;                      ///< since there was room
  bool delivers = false;                     ///< this client has written something
  std::optional<rd_kafka_resp_err_t> doubt;  ///< why this client's work is not known
  std::function<void()> on_room;
  std::vector<std::move_only_function<void()>> idle;

  std::shared_ptr<KafkaClient> client;  // before what comes from it
  std::map<std::string, Topic, std::less<>> topics;
  rd_kafka_queue_t* queue = nullptr;  ///< the wake's
  std::unique_ptr<KafkaWake> wake;
  boost::asio::steady_timer again;
};

void KafkaProducer::State::post(std::move_only_function<void(State&)> task) {
  home.post([weak = weak_from_this(), task = std::move(task)]() mutable {
    if (const auto self = weak.lock()) task(*self);
  });
}

Result<void> KafkaProducer::State::start_client() {
  MILLRACE_TRY(
      made, KafkaClient::open(KafkaClient::Kind::producer, settings, producer_properties(options)));
  client = std::move(made);
  wake = std::make_unique<KafkaWake>(home.context(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->drain();
  });
  KafkaQueue main(rd_kafka_queue_get_main(client->get()));
  queue = main.get();
  wake->watch(std::move(main));
  return {};
}

void KafkaProducer::State::stop_client() {
  if (!client) return;
  // Otherwise the client's end waits for what is on its way.
  rd_kafka_purge(client->get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                    RD_KAFKA_PURGE_F_NON_BLOCKING);
  wake.reset();
  queue = nullptr;
  topics.clear();
  client.reset();
}

rd_kafka_topic_t* KafkaProducer::State::topic(const std::string& name) {
  auto found = topics.find(name);
  if (found == topics.end())
    found =
        topics.emplace(name, Topic(rd_kafka_topic_new(client->get(), name.c_str(), nullptr))).first;
  return found->second.get();
}

rd_kafka_resp_err_t KafkaProducer::State::produce(std::uint64_t sequence,
                                                  const KafkaMessage& message) {
  rd_kafka_topic_t* to = topic(message.topic);
  if (to == nullptr) return rd_kafka_last_error();
  Headers headers(rd_kafka_headers_new(message.headers.size()));
  for (const auto& header : message.headers)
    rd_kafka_header_add(headers.get(), header.name.data(), static_cast<ssize_t>(header.name.size()),
                        header.value.data(), static_cast<ssize_t>(header.value.size()));
  std::array<rd_kafka_vu_t, 8> values{};
  values[0].vtype = RD_KAFKA_VTYPE_RKT;
  values[0].u.rkt = to;
  values[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  values[1].u.i32 = message.partition;
  values[2].vtype = RD_KAFKA_VTYPE_VALUE;
  values[2].u.mem = {const_cast<char*>(message.value.data()), message.value.size()};
  values[3].vtype = RD_KAFKA_VTYPE_KEY;
  values[3].u.mem = {const_cast<char*>(message.key.data()), message.key.size()};
  values[4].vtype = RD_KAFKA_VTYPE_OPAQUE;
  values[4].u.ptr = reinterpret_cast<void*>(sequence);
  values[5].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  values[5].u.i = RD_KAFKA_MSG_F_COPY;
  values[6].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
  values[6].u.i64 =
      message.timestamp
          ? std::chrono::floor<milliseconds>(*message.timestamp).time_since_epoch().count()
          : 0;
  values[7].vtype = RD_KAFKA_VTYPE_HEADERS;
  values[7].u.headers = headers.get();
  rd_kafka_error_t* error = rd_kafka_produceva(client->get(), values.data(), values.size());
  if (error == nullptr) {
    // The record owns its headers from now on.
    static_cast<void>(headers.release());
    return RD_KAFKA_RESP_ERR_NO_ERROR;
  }
  const auto code = rd_kafka_error_code(error);
  rd_kafka_error_destroy(error);
  return code;
}

void KafkaProducer::State::hand_over() {
  if (!client) return;
  for (auto entry = entries.lower_bound(next_to_hand_over); entry != entries.end(); ++entry) {
    const auto error = produce(entry->first, entry->second.message);
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      // Its reports are on their way, and each calls this again.
      ++counters.queue_full;
      return;
    }
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR && is_fatal()) return recreate();
    next_to_hand_over = entry->first + 1;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
      fail_later(entry->first,
                 kafka_error_while(error, fmt::format("a record for topic {} was not taken",
                                                      entry->second.message.topic)));
  }
}

void KafkaProducer::State::fail_later(std::uint64_t sequence, Error error) {
  post([sequence, error = std::move(error)](State& self) mutable {
    self.complete(sequence, std::unexpected(std::move(error)));
    self.tell_room();
  });
}

bool KafkaProducer::State::is_fatal() const {
  return rd_kafka_fatal_error(client->get(), nullptr, 0) != RD_KAFKA_RESP_ERR_NO_ERROR;
}

void KafkaProducer::State::drain() {
  const auto self = shared_from_this();  // a completion may end the producer
  std::vector<Report> reports;
  while (queue != nullptr) {
    KafkaEvent event(rd_kafka_queue_poll(queue, 0));
    if (!event) break;
    if (monitor.take(event.get())) continue;
    if (rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_DR) continue;
    reports.clear();
    while (const rd_kafka_message_t* report = rd_kafka_event_message_next(event.get()))
      take_report(*report, reports);
    // Before completions run: what came from a client must be gone before it.
    event.reset();
    for (auto& report : reports) complete(report.sequence, std::move(report.result));
  }
  if (!client) return;
  if (doubt || is_fatal()) return recreate();
  hand_over();
  tell_room();
}

void KafkaProducer::State::take_report(const rd_kafka_message_t& report,
                                       std::vector<Report>& reports) {
  const auto sequence = reinterpret_cast<std::uint64_t>(report._private);
  // librdkafka takes DUPLICATE_SEQUENCE_NUMBER for success, although the broker only says that it
  // does not know that batch any more: no offset, so no proof that it was ever written.
  if (report.err == RD_KAFKA_RESP_ERR_NO_ERROR && report.offset >= 0) {
    delivers = true;
    monitor.heard();
    reports.push_back({sequence, KafkaPlace{report.partition, report.offset}});
    return;
  }
  // Whether it was written is not known: it stays, and goes to the next client.
  if (is_fatal() || !is_refusal(report.err)) {
    doubt = report.err != RD_KAFKA_RESP_ERR_NO_ERROR ? report.err
                                                     : RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER;
    return;
  }
  reports.push_back(
      {sequence, std::unexpected(kafka_error_while(
                     report.err, fmt::format("a record was not written to topic {} partition {}",
                                             rd_kafka_topic_name(report.rkt), report.partition)))});
}

void KafkaProducer::State::complete(std::uint64_t sequence, Result<KafkaPlace> result) {
  const auto entry = entries.find(sequence);
  if (entry == entries.end()) return;
  Done done = std::move(entry->second.done);
  bytes -= entry->second.bytes;
  if (result) {
    ++counters.delivered;
    counters.delivered_bytes += entry->second.bytes;
  } else {
    ++counters.failed;
  }
  entries.erase(entry);
  if (done) done(std::move(result));
}

void KafkaProducer::State::tell_room() {
  if (entries.empty())
    for (auto& call : std::exchange(idle, {})) call();
  const bool free =
      entries.size() <= options.records_max / 4 * 3 && bytes <= options.bytes_max / 4 * 3;
  if (!free || !std::exchange(refused, false)) return;
  if (on_room) on_room();
}

void KafkaProducer::State::recreate() {
  std::array<char, 512> fatal{};
  const auto error = rd_kafka_fatal_error(client->get(), fatal.data(), fatal.size());
  const std::string reason = fatal.front() != 0
                                 ? fatal.data()
                                 : rd_kafka_err2str(doubt.value_or(RD_KAFKA_RESP_ERR__FATAL));
  doubt.reset();
  stop_client();
  ++counters.recreated;
  counters.resent += entries.size();
  spdlog::warn(
      "a Kafka producer is made anew; what has no report is sent again records={} "
      "error=\"{}\"",
      entries.size(), reason);
  // One that never wrote anything fails for a reason that will be there again.
  if (!std::exchange(delivers, false)) {
    monitor.failed(kafka_error(error, reason));
    return start_again_later();
  }
  start_again();
}

void KafkaProducer::State::start_again() {
  next_to_hand_over = entries.empty() ? next_sequence : entries.begin()->first;
  if (const auto started = start_client(); !started) {
    monitor.failed(started.error());
    return start_again_later();
  }
  post([](State& self) { self.hand_over(); });
}

void KafkaProducer::State::start_again_later() {
  again.expires_after(kAgainAfter);
  again.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (self && !error) self->start_again();
  });
}

KafkaProducer::KafkaProducer(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<KafkaProducer>> KafkaProducer::open(Shard& home, KafkaSettings settings,
                                                           KafkaProducerOptions options) {
  auto state = std::make_shared<State>(home, std::move(settings), std::move(options));
  MILLRACE_CHECK_OK(state->start_client());
  return std::unique_ptr<KafkaProducer>(new KafkaProducer(std::move(state)));
}

KafkaProducer::~KafkaProducer() {
  state_->on_room = nullptr;
  state_->again.cancel();
  state_->stop_client();
  // What runs now may be one of the completions: it finds none of the others.
  state_->entries.clear();
}

bool KafkaProducer::has_room(std::size_t records, std::size_t bytes) const {
  const State& state = *state_;
  if (state.entries.empty()) return true;
  return state.entries.size() + records <= state.options.records_max &&
         state.bytes + bytes <= state.options.bytes_max;
}

Result<void> KafkaProducer::send(KafkaMessage message, Done done) {
  State& state = *state_;
  const std::size_t bytes = bytes_of(message);
  if (!has_room(1, bytes)) {
    state.refused = true;
    ++state.counters.refused;
    return fail(Errc::overloaded,
                fmt::format("{} records wait for Kafka; send again later", state.entries.size()));
  }
  const std::uint64_t sequence = state.next_sequence++;
  state.entries.emplace(sequence, State::Entry{std::move(message), std::move(done), bytes});
  state.bytes += bytes;
  if (state.next_to_hand_over == sequence) state.hand_over();
  return {};
}

void KafkaProducer::set_on_room(std::function<void()> on_room) {
  state_->on_room = std::move(on_room);
}

void KafkaProducer::when_idle(std::move_only_function<void()> idle) {
  state_->idle.push_back(std::move(idle));
  state_->post([](State& state) { state.tell_room(); });
}

const KafkaProducer::Counters& KafkaProducer::counters() const {
  return state_->counters;
}
std::size_t KafkaProducer::outstanding() const {
  return state_->entries.size();
}
std::size_t KafkaProducer::outstanding_bytes() const {
  return state_->bytes;
}
KafkaHealth KafkaProducer::health() const {
  return state_->monitor.health();
}
KafkaStatistics KafkaProducer::statistics() const {
  return state_->monitor.statistics();
}

void KafkaProducer::raise_fatal_error_for_test() {
  rd_kafka_test_fatal_error(state_->client->get(), RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                            "raised by a test");
}

}  // namespace millrace
