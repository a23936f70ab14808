// How records of the log lie in Kafka. Events are CloudEvents in binary form, their key is the
// record; other records lie there as they are, and a header names their topic.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kafka/kafka_consumer.hpp"
#include "kafka/kafka_producer.hpp"
#include "millrace/event_log.hpp"

namespace millrace::log {

/// Of one entry of `journal`, for the Kafka topic `to`. `owner`: who appends it, named by
/// entries of owners unless it is empty.
KafkaMessage to_kafka(Journal journal, const std::string& to, const LogEntry& entry,
                      std::string_view owner, WallTime at);

/// What a record says of itself beside its content; views into it.
struct KafkaMarks {
  std::string_view id;     ///< by which its entry was known when it was appended; may be empty
  std::string_view owner;  ///< who appended it as its partition's owner; may be empty
};
KafkaMarks marks_of(const KafkaRecord& record);

/// Collects what was read into a batch whose views point into its own bytes.
class KafkaBatchBuilder {
 public:
  explicit KafkaBatchBuilder(LogStream stream) : stream_(std::move(stream)) {}
  /// Errc::malformed for a record that nobody of us wrote.
  Result<void> add(const KafkaRecord& record);
  void add(Partition partition, Offset offset, WallTime at, const LogEntry& entry);
  bool empty() const { return places_.empty(); }
  RecordBatchPtr build();

 private:
  struct Place {
    Partition partition = 0;
    Offset offset = 0;
    WallTime at;
    std::size_t topic_at = 0;
    std::size_t payload_at = 0;
    std::size_t end = 0;
    std::shared_ptr<const void> decoded;
  };
  void put(Partition partition, Offset offset, WallTime at, std::string_view topic,
           std::string_view payload, std::shared_ptr<const void> decoded);

  LogStream stream_;
  std::string bytes_;
  std::vector<Place> places_;
};

}  // namespace millrace::log
