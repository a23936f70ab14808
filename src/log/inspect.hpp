// Looks at a journal's directory without touching it: which segments there are, whether they follow
// each other, where the last one ends, and whether what lies there is a torn tail or damage.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "log/segment_catalog.hpp"
#include "storage/disk.hpp"

namespace millrace::log {

/// What a scan of one segment from its base met.
struct SegmentScan {
  std::uint64_t end = 0;       ///< position after the last sound frame
  std::uint64_t data_end = 0;  ///< position after the last frame with records; the base if none
  PartitionOffsets ends{};
  WallTime last_time;
  std::uint64_t frames = 0;
  std::uint64_t records = 0;
  bool ends_with_records = false;  ///< no mark follows the last records
  bool torn = false;               ///< bytes other than zeros follow `end`
  bool damaged = false;            ///< acknowledged frames follow `end`
};

using RecordVisitor = std::function<void(const LogRecord&)>;

/// Scans and fills the segment's index; `visit`, if any, sees every record. Expected failures are
/// I/O only: damage is in the scan.
Result<SegmentScan> scan_segment(Disk& disk, Segment& segment, std::uint64_t index_bytes,
                                 const RecordVisitor& visit = {});

/// What a journal's directory holds, up to the first segment that cannot be used.
struct Inspection {
  std::vector<SegmentPtr> segments;             ///< in order, each following the one before
  std::optional<Error> problem;                 ///< with the first of `unusable`, if any
  std::vector<std::filesystem::path> unusable;  ///< it and all later ones, in order
};
/// Errors are those of the disk; newer_format, wrong_environment.
Result<Inspection> inspect_directory(Disk& disk, const std::filesystem::path& directory,
                                     Journal journal, const std::string& log_uuid);

/// The journal's segments in order, their headers checked against each other and the log's UUID.
/// Empty when there are none. Errc::newer_format, corrupt or wrong_environment name the file.
Result<std::vector<SegmentPtr>> inspect_segments(Disk& disk, const std::filesystem::path& directory,
                                                 Journal journal, const std::string& log_uuid);

/// The error for a damaged frame: file, byte, and what to do.
Error damage(const Segment& segment, std::uint64_t position);

}  // namespace millrace::log
