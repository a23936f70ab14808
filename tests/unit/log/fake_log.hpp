// A journal in memory for tests of followers, and the offsets of a shard with four partitions.
#pragma once

#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "log/followed_record.hpp"
#include "millrace/event_log.hpp"

namespace millrace::test {

/// A journal in memory whose durable end the test moves.
class FakeLog final : public EventLog {
 public:
  /// Makes the records durable; returns them as the tail listener would get them.
  RecordBatchPtr add(const std::vector<LogEntry>& entries) {
    auto batch = std::make_shared<RecordBatch>();
    for (const LogEntry& entry : entries) {
      kept_.push_back(std::make_shared<LogEntry>(entry));
      records_.push_back({entry.partition,
                          ends_[entry.partition]++,
                          {},
                          kept_.back()->topic,
                          kept_.back()->payload});
      batch->records.push_back(records_.back());
      batch->bytes.append(entry.topic).append(entry.payload);
    }
    const char* at = batch->bytes.data();
    for (LogRecord& record : batch->records) {
      record.topic = {at, record.topic.size()};
      at += record.topic.size();
      record.payload = {at, record.payload.size()};
      at += record.payload.size();
    }
    return batch;
  }
  void trim_everything() { begins_ = ends_; }
  void fail_reads(std::optional<Errc> code) { failure_ = code; }
  const std::vector<LogRecord>& records() const { return records_; }
  int opened = 0;

  void append(Journal, std::vector<LogEntry>, Executor&, AppendDone) override { std::abort(); }
  void set_tail_listener(Journal, TailListener) override { std::abort(); }
  Result<std::unique_ptr<LogReader>> open_reader(const LogStream&,
                                                 const PartitionOffsets& from) override {
    ++opened;
    for (Partition partition = 0; partition < kPartitionCount; ++partition) {
      if (from[partition] != kSkipPartition && from[partition] < begins_[partition]) {
        return fail(Errc::not_found, "trimmed");
      }
    }
    return std::make_unique<Reader>(*this, from);
  }
  PartitionOffsets ends(const LogStream&) const override { return ends_; }
  PartitionOffsets begins(const LogStream&) const override { return begins_; }
  std::string durable_ends() const override { return {}; }
  Result<void> verify_ends(std::string_view) const override { return {}; }
  std::string uuid() const override { return {}; }
  bool empty() const override { return records_.empty(); }
  Usage usage() const override { return {}; }
  Result<void> trim(const LogStream&, WallTime, const PartitionOffsets&) override { return {}; }
  void close() override {}

 private:
  class Reader final : public LogReader {
   public:
    Reader(FakeLog& log, const PartitionOffsets& from) : log_(log), position_(from) {}
    Result<RecordBatchPtr> next(std::size_t records_max, std::size_t bytes_max) override {
      if (log_.failure_) return fail(*log_.failure_, "the test wants it");
      std::vector<const LogRecord*> chosen;
      std::size_t bytes = 0;
      for (; at_ < log_.records_.size() && chosen.size() < records_max; ++at_) {
        const LogRecord& record = log_.records_[at_];
        if (record.offset < position_[record.partition]) continue;
        bytes += text_bytes(record);
        if (!chosen.empty() && bytes > bytes_max) break;
        chosen.push_back(&record);
        position_[record.partition] = record.offset + 1;
      }
      return copy_records(chosen);
    }
    const PartitionOffsets& position() const override { return position_; }

   private:
    FakeLog& log_;
    PartitionOffsets position_;
    std::size_t at_ = 0;
  };

  std::optional<Errc> failure_;
  std::vector<std::shared_ptr<LogEntry>> kept_;
  std::vector<LogRecord> records_;
  PartitionOffsets ends_{};
  PartitionOffsets begins_{};
};

/// The shard has partitions 0 to 3.
inline PartitionOffsets shard_offsets(const PartitionOffsets& ends) {
  PartitionOffsets offsets = ends;
  for (Partition partition = 4; partition < kPartitionCount; ++partition) {
    offsets[partition] = kSkipPartition;
  }
  return offsets;
}

}  // namespace millrace::test
