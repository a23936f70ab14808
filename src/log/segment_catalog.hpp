// Which segments a journal has, where its records lie and how far they may be read. Written by the
// writer thread (and `trim`), read by every thread; one short lock. Readers share it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "log/format.hpp"

namespace millrace::log {

/// A frame boundary, and the offset each partition's next record behind it has.
struct IndexEntry {
  std::uint64_t position = 0;
  PartitionOffsets offsets{};
};

struct Segment {
  std::filesystem::path path;
  SegmentHeader header;
  std::uint64_t end = 0;          ///< position after it once sealed; 0 while it is written
  std::vector<IndexEntry> index;  ///< sparse, in order; grows by writing and reading
};
using SegmentPtr = std::shared_ptr<Segment>;

class SegmentCatalog {
 public:
  SegmentCatalog(std::vector<SegmentPtr> segments, std::uint64_t index_bytes)
      : segments_(std::move(segments)), index_bytes_(index_bytes) {}

  /// Seals the last segment and goes on with `segment`.
  void add(SegmentPtr segment);
  /// What the writer has made durable (or, of the trail, written). `data_end` is the position after
  /// the last frame that holds records.
  void publish(std::uint64_t readable_end, std::uint64_t data_end, const PartitionOffsets& ends);
  /// Remembers a frame boundary of `segment` if the last one known lies far enough before it.
  void note(Segment& segment, std::uint64_t position, const PartitionOffsets& offsets);

  /// The index of a segment as its side file has it.
  void set_index(Segment& segment, std::vector<IndexEntry> index);
  std::vector<SegmentPtr> segments() const;

  PartitionOffsets ends() const;
  PartitionOffsets begins() const;
  std::uint64_t data_end() const;
  /// Bytes on disk, the open segment counted with what is reserved for it.
  std::uint64_t bytes(std::uint64_t segment_bytes) const;

  std::vector<EventLog::SealedPart> sealed_parts() const;

  struct Place {
    SegmentPtr segment;
    IndexEntry at;
  };
  /// Where to begin reading for these offsets. Errc::not_found before the retained records,
  /// Errc::invalid_argument beyond the end.
  Result<Place> find(const PartitionOffsets& from) const;

  struct Extent {
    std::uint64_t limit = 0;  ///< the segment may be read up to here
    bool sealed = false;
  };
  Extent extent(const Segment& segment) const;
  /// The segment that begins at `position`; nullptr when it was trimmed.
  SegmentPtr beginning_at(std::uint64_t position) const;

  /// Takes the oldest sealed segment out if all its records are older and below `keep_from`, and
  /// `may_drop` agrees to its base position.
  std::optional<std::filesystem::path> take_oldest(
      WallTime older_than, const PartitionOffsets& keep_from,
      const std::function<bool(std::uint64_t)>& may_drop);

 private:
  mutable std::mutex mutex_;
  std::vector<SegmentPtr> segments_;  ///< never empty once the journal is open
  std::uint64_t index_bytes_;
  std::uint64_t readable_end_ = 0;
  std::uint64_t data_end_ = 0;
  PartitionOffsets ends_{};
};

}  // namespace millrace::log
