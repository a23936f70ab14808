// An EventLog in memory, as far as the guards of an installation need one: it keeps what is
// appended, is durable at once, and ends where it is told to end.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "millrace/event_log.hpp"

namespace millrace {

class MemoryLog final : public EventLog {
 public:
  struct Entry {
    Partition partition = 0;
    Offset offset = 0;
    std::string payload;
  };

  explicit MemoryLog(std::string uuid) : uuid_(std::move(uuid)) {}

  void add(Journal journal, Partition partition, std::string payload) {
    auto& ends = ends_.at(static_cast<std::size_t>(journal));
    entries_.at(static_cast<std::size_t>(journal))
        .push_back({partition, ends.at(partition)++, std::move(payload)});
  }
  void trim_to(Partition partition, Offset begin) { begins_.at(partition) = begin; }
  void cut_off() { cut_ = true; }
  std::size_t records_read() const { return records_read_; }

  void append(Journal, std::vector<LogEntry>, Executor&, AppendDone) override {}
  void set_tail_listener(Journal, TailListener) override {}
  Result<std::unique_ptr<LogReader>> open_reader(const LogStream& stream,
                                                 const PartitionOffsets& from) override {
    for (std::size_t p = 0; p < kPartitionCount; ++p)
      if (from[p] < begins_[p]) return fail(Errc::not_found, "trimmed");
    return std::make_unique<Reader>(*this, entries_.at(static_cast<std::size_t>(stream.journal)),
                                    from);
  }
  PartitionOffsets ends(const LogStream& stream) const override {
    return ends_.at(static_cast<std::size_t>(stream.journal));
  }
  PartitionOffsets begins(const LogStream&) const override { return begins_; }
  std::string durable_ends() const override { return "{}"; }
  Result<void> verify_ends(std::string_view stored) const override {
    if (cut_) return fail(Errc::corrupt, "the log ends before " + std::string(stored));
    return {};
  }
  std::string uuid() const override { return uuid_; }
  bool empty() const override {
    return std::all_of(entries_.begin(), entries_.end(), [](const auto& e) { return e.empty(); });
  }
  Usage usage() const override { return {}; }
  Result<void> trim(const LogStream&, WallTime, const PartitionOffsets&) override { return {}; }
  void close() override {}

 private:
  class Reader final : public LogReader {
   public:
    Reader(MemoryLog& log, const std::vector<Entry>& entries, const PartitionOffsets& from)
        : log_(log), entries_(entries), position_(from) {}
    Result<RecordBatchPtr> next(std::size_t records_max, std::size_t) override {
      auto batch = std::make_shared<RecordBatch>();
      for (; at_ < entries_.size() && batch->records.size() < records_max; ++at_) {
        const Entry& entry = entries_[at_];
        if (position_[entry.partition] == kSkipPartition ||
            entry.offset < position_[entry.partition])
          continue;
        position_[entry.partition] = entry.offset + 1;
        batch->records.push_back(
            {entry.partition, entry.offset, WallTime{}, "order", entry.payload});
        ++log_.records_read_;
      }
      return batch;
    }
    const PartitionOffsets& position() const override { return position_; }

   private:
    MemoryLog& log_;
    const std::vector<Entry>& entries_;
    PartitionOffsets position_;
    std::size_t at_ = 0;
  };

  std::string uuid_;
  std::array<std::vector<Entry>, kJournalCount> entries_;
  std::array<PartitionOffsets, kJournalCount> ends_{};
  PartitionOffsets begins_{};
  std::size_t records_read_ = 0;
  bool cut_ = false;
};

}  // namespace millrace
