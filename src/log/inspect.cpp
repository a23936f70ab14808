#include "log/inspect.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "log/frame_reader.hpp"

namespace millrace::log {
namespace {

constexpr std::size_t kScanBytes = 64u << 10;

/// Whether anything but zeros lies at or after a position.
Result<bool> has_bytes_after(const File& file, std::uint64_t file_offset) {
  std::string chunk(kScanBytes, '\0');
  for (;;) {
    MILLRACE_TRY(got, file.read_at(file_offset, chunk));
    if (got == 0) return false;
    // All are zero when the first is and each equals the one before: the rest of a segment is
    // looked through at each start, and this looks at many bytes at a time.
    if (chunk.front() != '\0' || std::memcmp(chunk.data(), chunk.data() + 1, got - 1) != 0) {
      return true;
    }
    file_offset += got;
  }
}

/// Counts a sound frame's records in. False when they do not follow what came before.
bool take_records(const FrameReader::Frame& frame, SegmentScan& scan, const RecordVisitor& visit) {
  RecordCursor cursor(frame.bytes, frame.header);
  LogRecord record;
  while (cursor.next(record)) {
    if (record.offset != scan.ends[record.partition]) return false;
    ++scan.ends[record.partition];
    ++scan.records;
    if (visit) visit(record);
  }
  return !cursor.malformed();
}

Result<SegmentPtr> read_segment(Disk& disk, const std::filesystem::path& path) {
  MILLRACE_TRY(file, disk.open(path, OpenMode::read));
  std::string bytes(kSegmentHeaderBytes, '\0');
  MILLRACE_TRY(got, file->read_at(0, bytes));
  bytes.resize(got);
  auto segment = std::make_shared<Segment>();
  segment->path = path;
  MILLRACE_TRY(header, decode_segment_header(bytes, path));
  segment->header = std::move(header);
  return segment;
}

Result<void> check_follows(Disk& disk, const Segment& before, const Segment& after) {
  MILLRACE_TRY(file, disk.open(before.path, OpenMode::read));
  MILLRACE_TRY(size, file->size());
  const std::uint64_t needed =
      after.header.base_position - before.header.base_position + kSegmentHeaderBytes;
  if (size >= needed) return {};
  return fail(Errc::corrupt,
              fmt::format("{} has {} bytes and needs {} to reach {}: it was cut, or a segment "
                          "between them is gone; put it back, or see `millrace log quarantine`",
                          before.path.string(), size, needed, after.path.string()));
}

}  // namespace

Error damage(const Segment& segment, std::uint64_t position) {
  return Error(Errc::corrupt,
               fmt::format("{}: damaged frame at byte {}; `millrace log verify` shows what is "
                           "readable, `millrace log quarantine {}` moves the damaged part aside",
                           segment.path.string(),
                           kSegmentHeaderBytes + position - segment.header.base_position,
                           to_string(segment.header.journal)));
}

Result<SegmentScan> scan_segment(Disk& disk, Segment& segment, std::uint64_t index_bytes,
                                 const RecordVisitor& visit) {
  MILLRACE_TRY(file, disk.open(segment.path, OpenMode::read));
  FrameReader reader(std::move(file), segment.header);
  const std::uint64_t base = segment.header.base_position;
  std::uint64_t limit = segment.end;
  if (limit == 0) {
    MILLRACE_TRY(end, reader.end_of_file());
    limit = end;
  }
  SegmentScan scan{.end = base,
                   .data_end = base,
                   .ends = segment.header.base_offsets,
                   .last_time = segment.header.base_time};
  std::uint64_t indexed = base;
  while (scan.end < limit) {
    MILLRACE_TRY(frame, reader.at(scan.end, limit));
    if (!frame) break;
    if (scan.end >= indexed + index_bytes) {
      segment.index.push_back({scan.end, scan.ends});
      indexed = scan.end;
    }
    if (!take_records(*frame, scan, visit)) {
      scan.damaged = true;
      return scan;
    }
    ++scan.frames;
    scan.end = frame->next;
    scan.last_time = std::max(scan.last_time, frame->header.appended_at);
    scan.ends_with_records = frame->header.records > 0;
    if (scan.ends_with_records) scan.data_end = scan.end;
  }
  if (scan.end >= limit) return scan;
  if (segment.end != 0) {
    scan.damaged = true;  // a sealed segment has no torn tail
    return scan;
  }
  MILLRACE_TRY(acknowledged, reader.acknowledged_after(scan.end, limit));
  scan.damaged = acknowledged.has_value();
  MILLRACE_TRY(again, disk.open(segment.path, OpenMode::read));
  MILLRACE_TRY(torn, has_bytes_after(*again, reader.file_offset(scan.end)));
  scan.torn = torn;
  return scan;
}

namespace {

/// The segment, if it can be used behind `before`.
Result<SegmentPtr> usable_segment(Disk& disk, const std::filesystem::path& path, Journal journal,
                                  const std::string& log_uuid, std::uint64_t position,
                                  const SegmentPtr& before) {
  MILLRACE_TRY(segment, read_segment(disk, path));
  const SegmentHeader& header = segment->header;
  if (header.log_uuid != log_uuid) {
    return fail(Errc::wrong_environment,
                fmt::format("{} belongs to log {}, this directory to {}; keep each log in its own "
                            "directory",
                            path.string(), header.log_uuid, log_uuid));
  }
  if (header.journal != journal || header.base_position != position) {
    return fail(Errc::corrupt, fmt::format("{} holds {} from {} on: it was renamed", path.string(),
                                           to_string(header.journal), header.base_position));
  }
  if (before) MILLRACE_CHECK_OK(check_follows(disk, *before, *segment));
  return segment;
}

}  // namespace

Result<Inspection> inspect_directory(Disk& disk, const std::filesystem::path& directory,
                                     Journal journal, const std::string& log_uuid) {
  Inspection found;
  MILLRACE_TRY(names, disk.list(directory));
  for (const std::string& name : names) {
    const auto position = parse_segment_name(name);
    if (!position) continue;
    if (found.problem) {
      found.unusable.push_back(directory / name);
      continue;
    }
    const SegmentPtr before = found.segments.empty() ? nullptr : found.segments.back();
    auto segment = usable_segment(disk, directory / name, journal, log_uuid, *position, before);
    if (segment) {
      if (before) before->end = *position;
      found.segments.push_back(*std::move(segment));
      continue;
    }
    if (segment.error().code != Errc::corrupt) return std::unexpected(segment.error());
    found.problem = segment.error();
    found.unusable.push_back(directory / name);
  }
  return found;
}

Result<std::vector<SegmentPtr>> inspect_segments(Disk& disk, const std::filesystem::path& directory,
                                                 Journal journal, const std::string& log_uuid) {
  MILLRACE_TRY(found, inspect_directory(disk, directory, journal, log_uuid));
  if (found.problem) return std::unexpected(*std::move(found.problem));
  return std::move(found.segments);
}

}  // namespace millrace::log
