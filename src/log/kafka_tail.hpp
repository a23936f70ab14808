// What the tail listener of a log on Kafka is told: every record of each partition once and in
// order. While nobody else appends, the reports of our own records say it all. Where others do, a
// consumer brings what lies between; our own is told by its report or by the consumer, whichever
// comes first.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kafka/kafka_consumer.hpp"
#include "log/kafka_bounds.hpp"
#include "log/kafka_ids.hpp"
#include "log/kafka_reigns.hpp"
#include "log/kafka_repeats.hpp"
#include "millrace/event_log.hpp"

namespace millrace::log {

struct KafkaTailOptions {
  KafkaSettings settings;
  /// The inbox and each stream of the events, by their Kafka topic.
  std::map<std::string, LogStream, std::less<>> streams;
  std::shared_ptr<KafkaBounds> bounds;
  std::shared_ptr<KafkaRepeats> repeats;
  std::shared_ptr<KafkaReigns> reigns;
  const KafkaIds& ids;  ///< of what the consumer brings
  const Clock& clock;
  EventLog::TailListener tell;
};

/// Lives on the log's shard.
class KafkaTail {
 public:
  /// One of our own records, acknowledged.
  struct Report {
    Partition partition = 0;
    Offset offset = 0;
    WallTime at;
    std::shared_ptr<const LogEntry> entry;
  };

  KafkaTail(Shard& shard, KafkaTailOptions options);

  void add(const LogStream& stream, Report report) {
    reports_[stream].push_back(std::move(report));
  }
  /// Tells what was reported.
  void flush();

  /// From now on nothing is told of partitions but those that are followed. Says how far those were
  /// told that are let go now.
  Result<std::vector<KafkaPosition>> let_go_of_all_but(const std::set<Partition>& partitions);
  /// Tells what these partitions hold from there on.
  Result<void> begin(const std::vector<KafkaPosition>& positions);
  /// Now and then: what could not be read is tried again.
  void look();
  /// Of its consumer; none while only reports are told.
  std::optional<KafkaStatistics> statistics() const {
    return consumer_ ? std::optional(consumer_->statistics()) : std::nullopt;
  }
  /// The consumer goes.
  void stop() { consumer_.reset(); }

  /// Both from any thread.
  const auto& streams() const { return options_.streams; }
  std::vector<EventLog::Trouble> troubles() const;

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  using Builders = std::map<LogStream, class KafkaBatchBuilder>;

  /// Whether it is told now; if so the next one is awaited.
  bool is_next(const LogStream& stream, const Report& report);
  /// Of what was said before nothing is told but its place in the log.
  bool is_repeat(const LogStream& stream, Partition partition, Offset offset,
                 std::string_view id) const {
    return options_.repeats->is_repeat(stream, partition, offset, id);
  }
  Result<void> open();
  void take();
  void add(const KafkaRecord& record, Builders& builders);
  void reached_end(const KafkaPosition& end);
  void failed(const KafkaProblem& problem);
  Offset& told(const std::string& topic, std::int32_t partition);

  Shard& shard_;
  const KafkaTailOptions options_;
  std::map<LogStream, std::vector<Report>> reports_;
  /// The next offset to be told, or kSkipPartition; nothing at all while only reports are told.
  std::map<LogStream, PartitionOffsets> told_;
  std::unique_ptr<KafkaConsumer> consumer_;
  std::optional<SteadyTime> again_at_;  ///< a partition could not be read

  mutable std::mutex mutex_;  // guards what follows
  std::map<KafkaPartition, EventLog::Trouble> troubles_;
};

}  // namespace millrace::log
