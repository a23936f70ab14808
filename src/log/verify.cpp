#include "log/verify.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>
#include <limits>
#include <optional>

#include "log/inspect.hpp"
#include "log/manifest.hpp"
#include "log/side_file.hpp"

namespace millrace::log {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kNoIndex = std::numeric_limits<std::uint64_t>::max() / 2;
constexpr std::size_t kCopyBytes = 1u << 20;

Result<Manifest> manifest_of(Disk& disk, const fs::path& directory) {
  MILLRACE_TRY(manifest, read_manifest(disk, directory));
  if (manifest) return *manifest;
  return fail(Errc::not_found, fmt::format("{} holds no log", directory.string()));
}

struct Walk {
  JournalReport report;
  std::vector<std::string> problems;
  std::vector<SegmentPtr> segments;
  std::vector<fs::path> unusable;            ///< behind them; their headers are damaged
  std::optional<std::size_t> first_damaged;  ///< index into segments
  std::uint64_t damaged_at = 0;              ///< position in the journal
};

std::string mismatch(const Segment& segment) {
  return fmt::format("{}: its offsets do not go on where the segment before it ends",
                     segment.path.string());
}

Result<void> check_side_file(Disk& disk, const fs::path& path, const Walk& walk,
                             JournalReport& report) {
  MILLRACE_TRY(side, SideFile::open(disk, path));
  MILLRACE_CHECK_OK(side->load_bloom());
  MILLRACE_CHECK_OK(side->verify());
  const SideHeader& header = side->header();
  for (const SegmentPtr& segment : walk.segments) {
    if (segment->header.base_position != header.base_position) continue;
    if (segment->header.salt == header.salt && segment->end == header.end_position) continue;
    return fail(Errc::corrupt, fmt::format("{} belongs to another segment", path.string()));
  }
  ++report.side_files;
  report.ids += header.ids;
  return {};
}

Result<void> check_side_files(Disk& disk, const fs::path& folder, Walk& walk) {
  MILLRACE_TRY(names, disk.list(folder));
  for (const std::string& name : names) {
    if (!parse_side_name(name)) continue;
    auto checked = check_side_file(disk, folder / name, walk, walk.report);
    if (!checked && checked.error().code == Errc::disk_failed) return checked;
    if (!checked) walk.problems.push_back(checked.error().message);
  }
  return {};
}

Result<Walk> walk(Disk& disk, const fs::path& directory, Journal journal, const std::string& uuid) {
  Walk walk{.report = {.journal = journal}};
  auto found = inspect_directory(disk, directory / std::string(to_string(journal)), journal, uuid);
  if (!found && found.error().code == Errc::not_found) return walk;
  if (!found) return std::unexpected(std::move(found).error());
  walk.segments = std::move(found->segments);
  walk.unusable = std::move(found->unusable);
  if (found->problem) walk.problems.push_back(found->problem->message);
  std::optional<PartitionOffsets> before;
  for (std::size_t i = 0; i < walk.segments.size(); ++i) {
    Segment& segment = *walk.segments[i];
    MILLRACE_TRY(scan, scan_segment(disk, segment, kNoIndex));
    if (i == 0) walk.report.first_position = segment.header.base_position;
    ++walk.report.segments;
    walk.report.frames += scan.frames;
    walk.report.records += scan.records;
    walk.report.end_position = scan.end;
    walk.report.torn_tail = scan.torn && !scan.damaged;
    const bool gap = before && *before != segment.header.base_offsets;
    if (gap) walk.problems.push_back(mismatch(segment));
    if (scan.damaged) walk.problems.push_back(damage(segment, scan.end).message);
    if ((gap || scan.damaged) && !walk.first_damaged) {
      walk.first_damaged = i;
      walk.damaged_at = gap ? segment.header.base_position : scan.end;
    }
    before = scan.damaged ? std::nullopt : std::optional(scan.ends);
  }
  MILLRACE_CHECK_OK(check_side_files(disk, directory / std::string(to_string(journal)), walk));
  return walk;
}

Result<void> copy_file(Disk& disk, const fs::path& from, const fs::path& to) {
  MILLRACE_TRY(source, disk.open(from, OpenMode::read));
  MILLRACE_TRY(target, disk.open(to, OpenMode::create));
  std::string chunk(kCopyBytes, '\0');
  for (std::uint64_t offset = 0;;) {
    MILLRACE_TRY(got, source->read_at(offset, chunk));
    if (got == 0) return target->sync_data();
    MILLRACE_CHECK_OK(target->write_at(offset, std::string_view(chunk).substr(0, got)));
    offset += got;
  }
}

fs::path aside(const fs::path& path) {
  fs::path moved = path;
  moved += ".quarantine";
  return moved;
}

}  // namespace

Result<VerifyReport> verify(Disk& disk, const fs::path& directory) {
  MILLRACE_TRY(manifest, manifest_of(disk, directory));
  VerifyReport report{.uuid = manifest.uuid};
  for (const Journal journal : {Journal::inbox, Journal::events, Journal::trail}) {
    MILLRACE_TRY(walked, walk(disk, directory, journal, manifest.uuid));
    report.journals.push_back(walked.report);
    report.problems.insert(report.problems.end(), walked.problems.begin(), walked.problems.end());
  }
  return report;
}

Result<QuarantineReport> quarantine(Disk& disk, const fs::path& directory, Journal journal) {
  MILLRACE_TRY(manifest, manifest_of(disk, directory));
  MILLRACE_TRY(lock, disk.lock(directory / "lock"));
  MILLRACE_TRY(walked, walk(disk, directory, journal, manifest.uuid));
  if (!walked.first_damaged && walked.unusable.empty()) {
    return fail(Errc::not_found,
                fmt::format("journal {} has no damaged frame", to_string(journal)));
  }
  const std::size_t first = walked.first_damaged.value_or(walked.segments.size());
  QuarantineReport report{.end_position = walked.first_damaged ? walked.damaged_at
                                                               : walked.report.end_position};
  const fs::path folder = directory / std::string(to_string(journal));
  // What they know of is moved aside; the start makes anew what it needs.
  MILLRACE_TRY(names, disk.list(folder));
  const std::uint64_t from = first == 0 ? 0 : walked.segments[first - 1]->header.base_position;
  for (const std::string& name : names) {
    const auto base = parse_side_name(name);
    if (base && *base >= from) MILLRACE_CHECK_OK(disk.remove(folder / name));
  }
  for (std::size_t i = walked.unusable.size(); i-- > 0;) {
    MILLRACE_CHECK_OK(disk.rename(walked.unusable[i], aside(walked.unusable[i])));
    MILLRACE_CHECK_OK(disk.sync_directory(folder));
    report.moved.push_back(aside(walked.unusable[i]).filename().string());
  }
  // From the newest back, so that a crash in between leaves no gap.
  for (std::size_t i = walked.segments.size(); i-- > first;) {
    const Segment& segment = *walked.segments[i];
    const std::uint64_t base = segment.header.base_position;
    const bool cut = i == first && (walked.damaged_at > base || i == 0);
    if (cut) {
      MILLRACE_CHECK_OK(copy_file(disk, segment.path, aside(segment.path)));
      MILLRACE_CHECK_OK(disk.sync_directory(folder));
      MILLRACE_TRY(file, disk.open(segment.path, OpenMode::write));
      MILLRACE_CHECK_OK(file->truncate(kSegmentHeaderBytes + walked.damaged_at - base));
      MILLRACE_CHECK_OK(file->sync_data());
    } else {
      MILLRACE_CHECK_OK(disk.rename(segment.path, aside(segment.path)));
      MILLRACE_CHECK_OK(disk.sync_directory(folder));
    }
    report.moved.push_back(aside(segment.path).filename().string());
  }
  spdlog::warn("Damaged records were moved aside: journal={} files={} end={}", to_string(journal),
               report.moved.size(), report.end_position);
  return report;
}

}  // namespace millrace::log
