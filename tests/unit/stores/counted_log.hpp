// A log in memory that counts offsets as files do, all topics of the events together, or as Kafka
// does, each by itself.
#pragma once

#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "millrace/event_log.hpp"

namespace millrace::test {

class CountedLog final : public EventLog {
 public:
  enum class Counts : std::uint8_t { together, by_topic };

  CountedLog(std::string uuid, Counts counts) : uuid_(std::move(uuid)), counts_(counts) {}

  /// Where a stream begins; before its first record.
  void begin_at(const LogStream& stream, Partition partition, Offset begin) {
    begins_[stream][partition] = ends_[stream][partition] = begin;
  }
  Offset add(Journal journal, const std::string& topic, Partition partition, std::string payload) {
    const LogStream stream = stream_of(journal, topic);
    const Offset offset = ends_[stream][partition]++;
    entries_[stream].push_back({partition, offset, topic, std::move(payload)});
    return offset;
  }
  /// An offset that nobody reads anything at.
  Offset skip(const LogStream& stream, Partition partition) { return ends_[stream][partition]++; }
  void trim_to(const LogStream& stream, Partition partition, Offset begin) {
    begins_[stream][partition] = begin;
  }

  LogStream stream_of(Journal journal, std::string_view topic) const override {
    const bool by_topic = counts_ == Counts::by_topic && journal == Journal::events;
    return by_topic ? LogStream(journal, std::string(topic)) : LogStream(journal);
  }
  Result<std::unique_ptr<LogReader>> open_reader(const LogStream& stream,
                                                 const PartitionOffsets& from) override {
    return std::make_unique<Reader>(entries_[stream], from);
  }
  PartitionOffsets ends(const LogStream& stream) const override { return of(ends_, stream); }
  PartitionOffsets begins(const LogStream& stream) const override { return of(begins_, stream); }
  std::string uuid() const override { return uuid_; }
  bool empty() const override { return entries_.empty(); }

  void append(Journal, std::vector<LogEntry>, Executor&, AppendDone) override { std::abort(); }
  void set_tail_listener(Journal, TailListener) override { std::abort(); }
  std::string durable_ends() const override { return "{}"; }
  Result<void> verify_ends(std::string_view) const override { return {}; }
  Usage usage() const override { return {}; }
  Result<void> trim(const LogStream&, WallTime, const PartitionOffsets&) override { return {}; }
  void close() override {}

 private:
  struct Entry {
    Partition partition = 0;
    Offset offset = 0;
    std::string topic;
    std::string payload;
  };
  using Offsets = std::map<LogStream, PartitionOffsets>;

  class Reader final : public LogReader {
   public:
    Reader(const std::deque<Entry>& entries, const PartitionOffsets& from)
        : entries_(entries), position_(from) {}
    Result<RecordBatchPtr> next(std::size_t records_max, std::size_t) override {
      auto batch = std::make_shared<RecordBatch>();
      for (; at_ < entries_.size() && batch->records.size() < records_max; ++at_) {
        const Entry& entry = entries_[at_];
        if (entry.offset < position_[entry.partition]) continue;
        batch->records.push_back({entry.partition, entry.offset, {}, entry.topic, entry.payload});
      }
      return batch;
    }
    const PartitionOffsets& position() const override { return position_; }

   private:
    const std::deque<Entry>& entries_;
    PartitionOffsets position_;
    std::size_t at_ = 0;
  };

  static PartitionOffsets of(const Offsets& offsets, const LogStream& stream) {
    const auto found = offsets.find(stream);
    return found == offsets.end() ? PartitionOffsets() : found->second;
  }

  std::string uuid_;
  Counts counts_;
  std::map<LogStream, std::deque<Entry>> entries_;
  Offsets begins_;
  Offsets ends_;
};

}  // namespace millrace::test
