// Reads one journal forward from given offsets, across segments, beside the running writer.
#pragma once

#include <memory>
#include <optional>

#include "log/frame_reader.hpp"
#include "log/segment_catalog.hpp"
#include "log/troubles.hpp"

namespace millrace::log {

/// The disk must outlive it; the log need not. What it cannot read it notes in `troubles`, and
/// takes back once it can.
class JournalReader final : public LogReader {
 public:
  static Result<std::unique_ptr<LogReader>> open(Disk& disk,
                                                 std::shared_ptr<SegmentCatalog> catalog,
                                                 const PartitionOffsets& from,
                                                 TroublesPtr troubles);

  Result<RecordBatchPtr> next(std::size_t records_max, std::size_t bytes_max) override;
  const PartitionOffsets& position() const override { return position_; }

 private:
  JournalReader(Disk& disk, std::shared_ptr<SegmentCatalog> catalog, const PartitionOffsets& from,
                TroublesPtr troubles)
      : disk_(disk),
        catalog_(std::move(catalog)),
        position_(from),
        troubles_(std::move(troubles)) {}
  Result<RecordBatchPtr> gather(std::size_t records_max, std::size_t bytes_max);

  Result<void> enter(SegmentPtr segment);
  Result<bool> next_frame();
  Result<bool> next_record();
  std::size_t reserve_bytes(std::size_t bytes_max) const;
  bool is_wanted(const LogRecord& record) const;

  Disk& disk_;
  std::shared_ptr<SegmentCatalog> catalog_;
  PartitionOffsets position_;
  TroublesPtr troubles_;
  SegmentPtr segment_;
  std::unique_ptr<FrameReader> frames_;
  std::uint64_t began_ = 0;        ///< everything from here to `scanned_` was read
  std::uint64_t scanned_ = 0;      ///< position of the next frame
  std::uint64_t frame_ = 0;        ///< position of the frame that `records_` walks
  std::uint64_t limit_ = 0;        ///< how far the segment could be read when last asked
  PartitionOffsets at_scanned_{};  ///< offsets of the records that come next, of all partitions
  std::optional<RecordCursor> records_;
  LogRecord held_;  ///< read from its frame and not returned yet, if `holds_`
  bool holds_ = false;
};

}  // namespace millrace::log
