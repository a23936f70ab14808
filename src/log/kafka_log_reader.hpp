// Reads one stream of a log on Kafka forward, for whoever lags behind the tail. Clients are shared:
// a reader that goes gives its own to the next one.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kafka/kafka_reader.hpp"
#include "log/kafka_reigns.hpp"
#include "log/kafka_repeats.hpp"
#include "millrace/event_log.hpp"

namespace millrace::log {

/// Clients that nobody uses right now. Thread-safe.
class KafkaReaderPool {
 public:
  explicit KafkaReaderPool(KafkaSettings settings) : settings_(std::move(settings)) {}
  Result<std::unique_ptr<KafkaReader>> take();
  void give_back(std::unique_ptr<KafkaReader> reader);

 private:
  static constexpr std::size_t kKept = 2;

  KafkaSettings settings_;
  std::mutex mutex_;  // guards what follows
  std::vector<std::unique_ptr<KafkaReader>> idle_;
};

struct KafkaLogReaderOptions {
  std::shared_ptr<KafkaReaderPool> pool;
  LogStream stream = Journal::events;
  std::string topic;                       ///< Kafka's
  std::function<PartitionOffsets()> ends;  ///< what is durable; from any thread
  std::shared_ptr<KafkaRepeats> repeats;   ///< of all readers and the tail
  std::shared_ptr<KafkaReigns> reigns;     ///< likewise
  milliseconds answer_within{30'000};
};

class KafkaLogReader final : public LogReader {
 public:
  KafkaLogReader(KafkaLogReaderOptions options, const PartitionOffsets& from);
  ~KafkaLogReader() override;

  /// Errc::not_found when the records were trimmed, not_connected when nothing comes in time.
  Result<RecordBatchPtr> next(std::size_t records_max, std::size_t bytes_max) override;
  const PartitionOffsets& position() const override { return position_; }

 private:
  bool at_end() const;
  Result<void> assign();
  Result<RecordBatchPtr> take(const KafkaBatch& got);
  /// It repeats an earlier one, or does not count.
  bool says_nothing(const KafkaRecord& record);

  KafkaLogReaderOptions options_;
  PartitionOffsets position_;
  KafkaRepeats seen_;  ///< further back than `repeats` know
  std::unique_ptr<KafkaReader> reader_;
};

}  // namespace millrace::log
