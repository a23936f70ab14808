// Takes in the records of a Kafka topic, each the payload of a connection or a CloudEvent. A record
// is in the log, durably, before its offset is stored; one that comes again is known by its id.
// Nothing is skipped: when records are gone before they were read, or the topic is, it stops for a
// person.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ingress/counters.hpp"
#include "ingress/dedupe_index.hpp"
#include "ingress/events_endpoint.hpp"
#include "ingress/hook_table.hpp"
#include "ingress/intake.hpp"
#include "ingress/kafka_progress.hpp"
#include "ingress/kafka_taking.hpp"
#include "kafka/kafka_consumer.hpp"
#include "millrace/state_store.hpp"
#include "net/reader_pool.hpp"
#include "net/shard.hpp"

namespace millrace {
class KafkaAdmin;
}

namespace millrace::ingress {

struct KafkaSourceOptions {
  HookSource source;  ///< how a record is read
  KafkaSettings kafka;
  std::string topic;
  bool from_beginning = false;  ///< where a partition begins that was never read
};

/// What it works with; outlives it.
struct KafkaSourceParts {
  Intake& intake;
  DedupeIndex& inbox_ids;
  DedupeIndex& event_ids;
  EventsEndpoint& events;  ///< for what may be sent at this moment
  StateStore& state;
  ReaderPool& waiting;  ///< for calls that wait for Kafka
  Counters& counters;
  Clocks clocks;
};

/// Records not taken in that are older than half of what the topic keeps.
struct KafkaAged {
  std::uint64_t records = 0;
  milliseconds kept_for{0};  ///< the topic's retention
  std::optional<WallTime> since;
};

struct KafkaSourceStatus {
  std::string state = "unknown";  ///< up, down (it waits by itself), paused (for a person)
  std::string reason;
  std::optional<WallTime> since;
  KafkaStatistics statistics;  ///< of its consumer, as last told
  KafkaAged aged;
};

/// Lives on one shard.
class KafkaSource : public std::enable_shared_from_this<KafkaSource> {
 public:
  KafkaSource(Shard& home, KafkaSourceOptions options, KafkaSourceParts parts);
  ~KafkaSource();

  // The rest from any thread.
  void start();
  /// Begins nothing more. See ended().
  void stop();
  bool ended() const { return running_ == 0; }
  KafkaSourceStatus status() const;
  /// A person says that it goes on, with the oldest record where what came next is gone.
  /// Errc::conflict when it does not wait for one.
  Result<void> resume();

 private:
  /// What Kafka says of the topic; no partitions: it is not there.
  struct Topic {
    std::vector<std::int64_t> begins;
    std::vector<std::int64_t> ends;
  };

  static Awaitable<void> run(std::shared_ptr<KafkaSource> self);
  Awaitable<bool> load();
  Awaitable<bool> begin();
  Awaitable<Result<Topic>> ask_topic();
  std::string settle_offsets(const Topic& topic);
  Awaitable<void> consume();
  Awaitable<bool> has_grown();
  Awaitable<void> keep(KafkaBatch batch);
  Awaitable<void> append_all(DedupeIndex& index, std::vector<TakenRecord> taken);
  Awaitable<bool> append(DedupeIndex& index, std::vector<TakenRecord>& taken);
  Awaitable<bool> save();
  Awaitable<void> stop_for_person(std::string reason);
  void tell(std::string_view state, std::string reason);
  static Awaitable<void> watch_age(std::shared_ptr<KafkaSource> self);
  Awaitable<Result<KafkaAged>> ask_age();
  void tell_age(KafkaAged aged);
  Result<KafkaAdmin*> admin();

  Shard& home_;
  const KafkaSourceOptions options_;
  KafkaSourceParts parts_;
  KafkaProgress progress_;
  std::shared_ptr<KafkaAdmin> admin_;  ///< of the waiting thread
  std::unique_ptr<KafkaConsumer> consumer_;
  Notifier wake_;
  Notifier stopped_;
  int missing_ = 0;        ///< how often in a row the topic was not there
  bool accepted_ = false;  ///< a person let go of what is gone
  std::atomic<bool> stopping_{false};
  std::atomic<int> running_{2};  ///< of its two tasks
  mutable std::mutex mutex_;     ///< guards status_
  KafkaSourceStatus status_;
};

}  // namespace millrace::ingress
