#include "log/journal_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "log/inspect.hpp"

namespace millrace::log {
namespace {

/// The most a batch reserves at once; more grows.
constexpr std::size_t kReserveBytesMax = 1u << 20;

/// Views of the records are set when the batch's bytes do not move any more.
void point_into(RecordBatch& batch) {
  const char* at = batch.bytes.data();
  for (LogRecord& record : batch.records) {
    record.topic = {at, record.topic.size()};
    at += record.topic.size();
    record.payload = {at, record.payload.size()};
    at += record.payload.size();
  }
}

}  // namespace

Result<std::unique_ptr<LogReader>> JournalReader::open(Disk& disk,
                                                       std::shared_ptr<SegmentCatalog> catalog,
                                                       const PartitionOffsets& from,
                                                       TroublesPtr troubles) {
  MILLRACE_TRY(place, catalog->find(from));
  std::unique_ptr<JournalReader> reader(
      new JournalReader(disk, std::move(catalog), from, std::move(troubles)));
  MILLRACE_CHECK_OK(reader->enter(std::move(place.segment)));
  reader->scanned_ = place.at.position;
  reader->began_ = place.at.position;
  reader->at_scanned_ = place.at.offsets;
  return reader;
}

Result<void> JournalReader::enter(SegmentPtr segment) {
  MILLRACE_TRY(file, disk_.open(segment->path, OpenMode::read));
  frames_ = std::make_unique<FrameReader>(std::move(file), segment->header);
  segment_ = std::move(segment);
  return {};
}

Result<RecordBatchPtr> JournalReader::next(std::size_t records_max, std::size_t bytes_max) {
  auto batch = gather(records_max, bytes_max);
  if (batch) {
    troubles_->passed(segment_->path.parent_path(), began_, scanned_);
  } else if (batch.error().code == Errc::corrupt || batch.error().code == Errc::disk_failed) {
    troubles_->note(segment_->path.string(), "the log cannot be read on: " + batch.error().message,
                    "put the file back from a backup, with the daemon stopped "
                    "(docs/runbooks/corrupt-log.md)",
                    scanned_);
  }
  return batch;
}

Result<RecordBatchPtr> JournalReader::gather(std::size_t records_max, std::size_t bytes_max) {
  auto batch = std::make_shared<RecordBatch>();
  while (batch->records.size() < records_max) {
    auto more = next_record();
    // What was read before is good; the next call meets the error again.
    if (!more && batch->records.empty()) return std::unexpected(std::move(more).error());
    if (!more || !*more) break;
    const LogRecord& record = held_;
    const std::size_t bytes = record.topic.size() + record.payload.size();
    if (!batch->records.empty() && batch->bytes.size() + bytes > bytes_max) break;
    if (batch->records.empty()) batch->bytes.reserve(reserve_bytes(bytes_max));
    batch->bytes.append(record.topic).append(record.payload);
    batch->records.push_back(record);
    position_[record.partition] = record.offset + 1;
    holds_ = false;
  }
  // Where most was skipped, the rest should not hold on to what was reserved.
  if (batch->bytes.size() < batch->bytes.capacity() / 2) batch->bytes.shrink_to_fit();
  point_into(*batch);
  return batch;
}

std::size_t JournalReader::reserve_bytes(std::size_t bytes_max) const {
  return static_cast<std::size_t>(
      std::min<std::uint64_t>({bytes_max, kReserveBytesMax, limit_ - frame_}));
}

bool JournalReader::is_wanted(const LogRecord& record) const {
  const Offset from = position_[record.partition];
  return from != kSkipPartition && record.offset >= from;
}

/// Puts the next wanted record into `held_`; false at the durable end.
Result<bool> JournalReader::next_record() {
  if (holds_) return true;
  for (;;) {
    LogRecord record;
    while (records_ && records_->next(record)) {
      if (record.offset != at_scanned_[record.partition]) {
        return std::unexpected(damage(*segment_, frame_));
      }
      ++at_scanned_[record.partition];
      if (!is_wanted(record)) continue;
      held_ = record;
      holds_ = true;
      return true;
    }
    if (records_ && records_->malformed()) return std::unexpected(damage(*segment_, frame_));
    records_.reset();
    MILLRACE_TRY(more, next_frame());
    if (!more) return false;
  }
}

Result<bool> JournalReader::next_frame() {
  SegmentCatalog::Extent extent = catalog_->extent(*segment_);
  if (extent.sealed && scanned_ >= extent.limit) {
    SegmentPtr following = catalog_->beginning_at(scanned_);
    if (!following) {
      return fail(
          Errc::not_found,
          fmt::format("the journal was trimmed beyond byte {} while it was read", scanned_));
    }
    MILLRACE_CHECK_OK(enter(std::move(following)));
    extent = catalog_->extent(*segment_);
  }
  if (scanned_ >= extent.limit) return false;
  catalog_->note(*segment_, scanned_, at_scanned_);
  MILLRACE_TRY(frame, frames_->at(scanned_, extent.limit));
  if (!frame) return std::unexpected(damage(*segment_, scanned_));
  records_.emplace(frame->bytes, frame->header);
  frame_ = scanned_;
  limit_ = extent.limit;
  scanned_ = frame->next;
  return true;
}

}  // namespace millrace::log
