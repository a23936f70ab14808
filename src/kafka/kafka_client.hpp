// One librdkafka client, owned, and how its queues wake an event loop: librdkafka writes to an
// eventfd when a queue begins to hold something, and Asio waits for that. No thread polls.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "kafka/kafka_settings.hpp"
#include "kafka/kafka_statistics.hpp"

struct rd_kafka_s;
struct rd_kafka_queue_s;
struct rd_kafka_op_s;

namespace boost::asio {
class io_context;
}

namespace millrace {

/// A topic and one of its partitions.
using KafkaPartition = std::pair<std::string, std::int32_t>;

/// A client of librdkafka. What came from it (messages, queues) must be gone before it.
class KafkaClient {
 public:
  enum class Kind : std::uint8_t { producer, consumer };
  /// `more` wins over what the settings say. Connects in the background. Errc::config with
  /// librdkafka's reason; Errc::tls for files it cannot use.
  static Result<std::shared_ptr<KafkaClient>> open(Kind kind, const KafkaSettings& settings,
                                                   const KafkaProperties& more);
  /// Waits for its threads, without telling the brokers: some milliseconds. Those that have not
  /// ended after 5 s stay idle until the process ends, with a warning.
  ~KafkaClient();
  KafkaClient(const KafkaClient&) = delete;
  KafkaClient& operator=(const KafkaClient&) = delete;

  rd_kafka_s* get() const { return client_; }
  /// Its end would wait for ever: librdkafka 2.0.2 does not let go of a broker after a topic that
  /// it read was deleted. It stays, idle and silent, until the process ends.
  void abandon();

 private:
  explicit KafkaClient(rd_kafka_s* client) : client_(client) {}
  rd_kafka_s* client_;
  std::atomic<bool> abandoned_{false};
};

struct KafkaQueueDestroy {
  void operator()(rd_kafka_queue_s* queue) const;
};
using KafkaQueue = std::unique_ptr<rd_kafka_queue_s, KafkaQueueDestroy>;

/// Calls `on_wake` on the loop's thread after one of the watched queues began to hold something:
/// it then takes until nothing is left. Made and destroyed on that thread, or while it stands
/// still.
class KafkaWake {
 public:
  KafkaWake(boost::asio::io_context& context, std::function<void()> on_wake);
  ~KafkaWake();
  KafkaWake(const KafkaWake&) = delete;
  KafkaWake& operator=(const KafkaWake&) = delete;

  /// The wake keeps the queue.
  void watch(KafkaQueue queue);
  /// Wakes as a queue would; on the loop's thread.
  void wake();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// What is known about the way to the brokers.
struct KafkaHealth {
  /// Since when no broker answers; none while one does.
  std::optional<WallTime> away_since;
  std::string reason;  ///< the last thing that went wrong with a broker, for the operator
  Errc code = Errc::not_connected;  ///< of that
};

/// What a client says of itself beside its records: errors and statistics.
class KafkaMonitor {
 public:
  /// Whether the event was one of those.
  bool take(rd_kafka_op_s* event);
  /// A broker answered.
  void heard();
  /// The client cannot do its work, for this reason.
  void failed(Error reason);

  const KafkaHealth& health() const { return health_; }
  const KafkaStatistics& statistics() const { return statistics_; }

 private:
  KafkaHealth health_;
  KafkaStatistics statistics_;
};

}  // namespace millrace
