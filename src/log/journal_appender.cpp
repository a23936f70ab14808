#include "log/journal_appender.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "log/inspect.hpp"
#include "millrace/ids.hpp"
#include "millrace/record_id.hpp"

namespace millrace::log {
namespace {

/// A frame takes no further group once it is this long: readers check a frame as a whole.
constexpr std::size_t kFrameBytesAim = 1u << 20;
/// One write and one sync carry at most about this much.
constexpr std::size_t kBatchBytesMax = 16u << 20;
/// Zeros are written ahead in pieces of this size, when less than a quarter of it is left.
constexpr std::size_t kAheadBytes = 256 * 1024;

std::uint64_t random_salt() {
  const std::string hex = random_hex(8);
  std::uint64_t salt = 0;
  std::from_chars(hex.data(), hex.data() + hex.size(), salt, 16);
  return salt;
}

}  // namespace

Result<std::size_t> measure(std::span<const LogEntry> entries) {
  std::size_t bytes = 0;
  for (const LogEntry& entry : entries) {
    if (entry.partition >= kPartitionCount) {
      return fail(Errc::invalid_argument, fmt::format("partition {} does not exist; there are {}",
                                                      entry.partition, kPartitionCount));
    }
    if (entry.topic.size() > kTopicBytesMax) {
      return fail(Errc::too_large, fmt::format("a topic of {} bytes is beyond the limit of {}",
                                               entry.topic.size(), kTopicBytesMax));
    }
    bytes += record_bytes(entry);
    if (bytes > kFrameBytesMax - kFrameHeaderBytes) {
      return fail(Errc::too_large,
                  fmt::format("a group of {} records exceeds one frame of {} bytes; append fewer "
                              "or smaller records together",
                              entries.size(), kFrameBytesMax));
    }
  }
  return bytes;
}

std::uint64_t JournalAppender::file_offset(std::uint64_t position) const {
  return kSegmentHeaderBytes + position - segment_->header.base_position;
}

std::uint64_t JournalAppender::room() const {
  const std::uint64_t used = file_offset(write_position_);
  return options_.segment_bytes - std::min(options_.segment_bytes, used);
}

JournalAppender::Layout JournalAppender::lay_out(std::span<const Group* const> groups) const {
  Layout layout;
  const std::uint64_t whole = options_.segment_bytes - kSegmentHeaderBytes;
  // Where the first group does not fit, the batch begins a segment.
  const bool rolls = padded(kFrameHeaderBytes + groups.front()->bytes) > room() &&
                     write_position_ > segment_->header.base_position;
  const std::uint64_t bytes_max = std::min<std::uint64_t>(rolls ? whole : room(), kBatchBytesMax);
  std::size_t closed = 0;  // bytes of the frames before the last
  for (const Group* group : groups) {
    const bool new_frame = layout.frames.empty() || layout.frames.back().second >= kFrameBytesAim ||
                           layout.frames.back().second + group->bytes > kFrameBytesMax;
    if (new_frame) closed = layout.bytes;
    const std::size_t frame =
        (new_frame ? kFrameHeaderBytes : layout.frames.back().second) + group->bytes;
    if (layout.groups > 0 && closed + padded(frame) > bytes_max) break;
    if (new_frame) layout.frames.emplace_back(0, 0);
    ++layout.frames.back().first;
    layout.frames.back().second = frame;
    layout.bytes = closed + static_cast<std::size_t>(padded(frame));
    ++layout.groups;
  }
  return layout;
}

std::size_t JournalAppender::fitting(std::span<const Group* const> groups) const {
  return lay_out(groups).groups;
}

RecordBatch JournalAppender::encode_batch(std::span<Group* const> groups, const Layout& layout,
                                          WallTime now, PartitionOffsets& ends, bool want_records) {
  RecordBatch batch;
  batch.bytes.resize(layout.bytes);
  char* frame = batch.bytes.data();
  std::uint64_t position = write_position_;
  for (const auto& [count, frame_bytes] : layout.frames) {
    FrameHeader header{.bytes = static_cast<std::uint32_t>(frame_bytes),
                       .position = position,
                       .synced_through = synced_through_,
                       .appended_at = now};
    char* at = frame + kFrameHeaderBytes;
    for (Group* group : groups.first(count)) {
      group->offsets.clear();
      group->offsets.reserve(group->entries.size());
      for (const LogEntry& entry : group->entries) {
        const Offset offset = ends[entry.partition]++;
        group->offsets.push_back(offset);
        const char* text = at + kRecordHeaderBytes;
        at = put_record(at, entry, offset);
        if (!want_records) continue;
        batch.records.push_back({entry.partition,
                                 offset,
                                 now,
                                 {text, entry.topic.size()},
                                 {text + entry.topic.size(), entry.payload.size()},
                                 entry.decoded});
      }
      header.records += static_cast<std::uint32_t>(group->entries.size());
    }
    groups = groups.subspan(count);
    seal_frame(frame, header, segment_->header.salt);
    frame += padded(frame_bytes);
    position += padded(frame_bytes);
  }
  return batch;
}

Result<RecordBatchPtr> JournalAppender::append(std::span<Group* const> groups, bool want_records) {
  Layout layout = lay_out(groups);
  MILLRACE_INVARIANT(layout.groups == groups.size());
  if (layout.bytes > room() && write_position_ > segment_->header.base_position) {
    MILLRACE_CHECK_OK(roll());
  }
  const WallTime now = std::max(last_time_, options_.clock->wall_now());
  PartitionOffsets ends = ends_;
  auto batch = std::make_shared<RecordBatch>(encode_batch(groups, layout, now, ends, want_records));
  MILLRACE_CHECK_OK(write(batch->bytes));
  if (options_.sync_each_batch) MILLRACE_CHECK_OK(sync());
  catalog_->note(*segment_, write_position_ - batch->bytes.size(), ends_);
  ends_ = ends;
  last_time_ = now;
  data_end_ = write_position_;
  wants_mark_ = true;
  catalog_->publish(write_position_, data_end_, ends_);
  return batch;
}

Result<void> JournalAppender::write(std::string_view bytes) {
  auto written = file_->write_at(file_offset(write_position_), bytes);
  if (written) {
    write_position_ += bytes.size();
    return {};
  }
  if (written.error().code != Errc::disk_full) return written;
  ahead_ = 0;
  // Part of it may be there, even a whole frame: nobody was promised it, so it must not come back.
  for (auto undone : {file_->truncate(file_offset(write_position_)), file_->sync_data()}) {
    if (!undone) return fail(Errc::disk_failed, undone.error().message);
  }
  return written;
}

Result<void> JournalAppender::mark() {
  wants_mark_ = false;
  if (room() < kFrameHeaderBytes) return {};  // the next segment's header will say it
  std::string frame(kFrameHeaderBytes, '\0');
  seal_frame(frame.data(),
             {.bytes = kFrameHeaderBytes,
              .position = write_position_,
              .synced_through = synced_through_,
              .appended_at = last_time_},
             segment_->header.salt);
  auto written = write(frame);
  if (!written && written.error().code == Errc::disk_full) return {};
  return written;
}

Result<void> JournalAppender::sync() {
  auto synced = file_->sync_data();
  // Whatever the errno of a failed sync was, the data may be gone: it is final.
  if (!synced) return fail(Errc::disk_failed, synced.error().message);
  synced_through_ = write_position_;
  return {};
}

/// Space that is only reserved is marked as unwritten, and the first write into it changes that
/// mark: a sync of such a write is two writes on ext4, or a commit of its journal. So zeros go
/// there before, with the sync of the next batch.
Result<void> JournalAppender::write_ahead() {
  static const std::string zeros(kAheadBytes, '\0');
  const std::uint64_t end = file_offset(write_position_);
  if (!options_.sync_each_batch || end + kAheadBytes / 4 < ahead_) return {};
  const std::uint64_t from = std::max(end, ahead_);
  const std::uint64_t to = std::min(options_.segment_bytes, from + kAheadBytes);
  if (from >= to) return {};
  auto written = file_->write_at(from, std::string_view(zeros).substr(0, to - from));
  // No room is no failure of what was appended: the next batch will tell.
  if (written || written.error().code == Errc::disk_full) ahead_ = to;
  return written || written.error().code == Errc::disk_full ? Result<void>{} : written;
}

Result<void> JournalAppender::prepare() {
  MILLRACE_CHECK_OK(write_ahead());
  if (spare_ || file_offset(write_position_) < options_.segment_bytes / 4 * 3) return {};
  auto made = make_spare();
  // No room for it yet is no failure: rolling tries again.
  if (!made && made.error().code == Errc::disk_full) return {};
  return made;
}

Result<void> JournalAppender::make_spare() {
  if (spare_) return {};
  auto removed = options_.disk->remove(spare_path());
  if (!removed && removed.error().code != Errc::not_found) return removed;
  MILLRACE_TRY(file, options_.disk->open(spare_path(), OpenMode::create));
  spare_ = std::move(file);
  auto allocated = spare_->allocate(options_.segment_bytes);
  if (!allocated) drop_spare();
  return allocated;
}

void JournalAppender::drop_spare() {
  spare_.reset();
  if (auto removed = options_.disk->remove(spare_path()); !removed) {
    spdlog::warn("A spare segment could not be removed: error={}", removed.error().message);
  }
}

Result<void> JournalAppender::roll() {
  if (file_ && unsynced()) MILLRACE_CHECK_OK(sync());
  MILLRACE_CHECK_OK(make_spare());
  auto segment = std::make_shared<Segment>();
  segment->path = options_.directory / segment_name(write_position_);
  segment->header = {.journal = options_.journal,
                     .log_uuid = options_.log_uuid,
                     .salt = random_salt(),
                     .base_position = write_position_,
                     .base_time = last_time_,
                     .base_offsets = ends_};
  // The header is durable before the name is: a segment that can be seen can be read.
  if (auto written = spare_->write_at(0, encode(segment->header)); !written) {
    drop_spare();
    return written;
  }
  if (auto synced = spare_->sync_data(); !synced) {
    return fail(Errc::disk_failed, synced.error().message);
  }
  for (auto named : {options_.disk->rename(spare_path(), segment->path),
                     options_.disk->sync_directory(options_.directory)}) {
    if (!named) return fail(Errc::disk_failed, named.error().message);
  }
  if (file_) {
    // Gives back what was reserved and not used; should it fail, only space is lost.
    if (auto cut = file_->truncate(file_offset(write_position_)); !cut) {
      spdlog::warn("A sealed segment keeps its reserved space: error={}", cut.error().message);
    }
  }
  file_ = std::move(spare_);
  ahead_ = 0;
  SegmentPtr before = std::exchange(segment_, segment);
  if (catalog_) catalog_->add(std::move(segment));
  if (options_.memory != nullptr) options_.memory->begin_segment(write_position_);
  if (sealed_ && before) sealed_(std::move(before));
  return {};
}

/// What the scan at start tells of the records of the active segment.
RecordVisitor JournalAppender::remember_ids() {
  if (options_.memory == nullptr) return {};
  options_.memory->begin_segment(segment_->header.base_position);
  return
      [memory = options_.memory, ids = std::vector<RecordId>()](const LogRecord& record) mutable {
        ids.clear();
        memory->ids_of(record, ids);
        for (const RecordId& id : ids) memory->remember(id, record.appended_at);
      };
}

Result<std::unique_ptr<JournalAppender>> JournalAppender::look(AppenderOptions options,
                                                               std::vector<SegmentPtr> segments) {
  MILLRACE_INVARIANT(options.segment_bytes > kSegmentHeaderBytes);
  std::unique_ptr<JournalAppender> appender(new JournalAppender(std::move(options)));
  if (segments.empty()) {
    appender->ends_ = appender->options_.first;
    return appender;
  }
  appender->segment_ = segments.back();
  appender->found_ = std::move(segments);
  MILLRACE_TRY(scan, scan_segment(*appender->options_.disk, *appender->segment_,
                                  appender->options_.index_bytes, appender->remember_ids()));
  if (scan.damaged) return std::unexpected(damage(*appender->segment_, scan.end));
  appender->torn_ = scan.torn;
  appender->write_position_ = scan.end;
  appender->data_end_ = scan.data_end;
  appender->ends_ = scan.ends;
  appender->last_time_ = scan.last_time;
  appender->wants_mark_ = scan.ends_with_records;
  return appender;
}

Result<std::unique_ptr<JournalAppender>> JournalAppender::open(AppenderOptions options,
                                                               std::vector<SegmentPtr> segments) {
  MILLRACE_TRY(appender, look(std::move(options), std::move(segments)));
  MILLRACE_CHECK_OK(appender->open());
  return appender;
}

Result<void> JournalAppender::open() {
  Disk& disk = *options_.disk;
  // Names that were not synced before a crash are visible, but not durable yet.
  MILLRACE_CHECK_OK(disk.sync_directory(options_.directory));
  if (found_.empty()) {
    MILLRACE_CHECK_OK(roll());
    catalog_ = std::make_shared<SegmentCatalog>(std::vector{segment_}, options_.index_bytes);
    catalog_->publish(write_position_, data_end_, ends_);
    return {};
  }
  MILLRACE_TRY(file, disk.open(segment_->path, OpenMode::write));
  file_ = std::move(file);
  const std::uint64_t end = file_offset(write_position_);
  MILLRACE_TRY(size, file_->size());
  if (torn_ || size < end) {
    spdlog::info("A torn tail, never acknowledged, was cut off: file={} offset={}",
                 segment_->path.string(), end);
    MILLRACE_CHECK_OK(file_->truncate(end));
  }
  if (auto allocated = file_->allocate(std::max(end, options_.segment_bytes)); !allocated) {
    if (allocated.error().code != Errc::disk_full) return allocated;
    spdlog::warn("A segment could not be allocated in full: error={}", allocated.error().message);
  }
  // What a killed process wrote can be read back and may still be lost: make it durable first.
  MILLRACE_CHECK_OK(file_->sync_data());
  synced_through_ = write_position_;
  catalog_ = std::make_shared<SegmentCatalog>(std::move(found_), options_.index_bytes);
  catalog_->publish(write_position_, data_end_, ends_);
  return {};
}

}  // namespace millrace::log
