#include "log/segment_catalog.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace millrace::log {
namespace {

/// Whether reading from `offsets` on meets every record at or after `from`.
bool covers(const PartitionOffsets& offsets, const PartitionOffsets& from) {
  return std::equal(offsets.begin(), offsets.end(), from.begin(), std::less_equal<>());
}

}  // namespace

void SegmentCatalog::add(SegmentPtr segment) {
  std::lock_guard guard(mutex_);
  if (!segments_.empty()) segments_.back()->end = segment->header.base_position;
  segments_.push_back(std::move(segment));
}

void SegmentCatalog::publish(std::uint64_t readable_end, std::uint64_t data_end,
                             const PartitionOffsets& ends) {
  std::lock_guard guard(mutex_);
  readable_end_ = readable_end;
  data_end_ = data_end;
  ends_ = ends;
}

void SegmentCatalog::note(Segment& segment, std::uint64_t position,
                          const PartitionOffsets& offsets) {
  std::lock_guard guard(mutex_);
  const std::uint64_t last =
      segment.index.empty() ? segment.header.base_position : segment.index.back().position;
  if (position >= last + index_bytes_) segment.index.push_back({position, offsets});
}

void SegmentCatalog::set_index(Segment& segment, std::vector<IndexEntry> index) {
  std::lock_guard guard(mutex_);
  segment.index = std::move(index);
}

std::vector<SegmentPtr> SegmentCatalog::segments() const {
  std::lock_guard guard(mutex_);
  return segments_;
}

PartitionOffsets SegmentCatalog::ends() const {
  std::lock_guard guard(mutex_);
  return ends_;
}

PartitionOffsets SegmentCatalog::begins() const {
  std::lock_guard guard(mutex_);
  return segments_.front()->header.base_offsets;
}

std::uint64_t SegmentCatalog::data_end() const {
  std::lock_guard guard(mutex_);
  return data_end_;
}

std::uint64_t SegmentCatalog::bytes(std::uint64_t segment_bytes) const {
  std::lock_guard guard(mutex_);
  const SegmentHeader& last = segments_.back()->header;
  const std::uint64_t written = kSegmentHeaderBytes + readable_end_ - last.base_position;
  const std::uint64_t sealed = last.base_position - segments_.front()->header.base_position;
  return sealed + (segments_.size() - 1) * kSegmentHeaderBytes + std::max(segment_bytes, written);
}

std::vector<EventLog::SealedPart> SegmentCatalog::sealed_parts() const {
  std::lock_guard guard(mutex_);
  std::vector<EventLog::SealedPart> parts;
  for (std::size_t i = 0; i + 1 < segments_.size(); ++i) {
    const SegmentHeader& header = segments_[i]->header;
    const SegmentHeader& following = segments_[i + 1]->header;
    parts.push_back({following.base_position - header.base_position + kSegmentHeaderBytes,
                     following.base_time, following.base_offsets});
  }
  return parts;
}

Result<SegmentCatalog::Place> SegmentCatalog::find(const PartitionOffsets& from) const {
  std::lock_guard guard(mutex_);
  const PartitionOffsets& begins = segments_.front()->header.base_offsets;
  for (Partition partition = 0; partition < kPartitionCount; ++partition) {
    if (from[partition] == kSkipPartition) continue;
    if (from[partition] < begins[partition]) {
      return fail(Errc::not_found,
                  fmt::format("offset {} of partition {} is not retained any more; the oldest "
                              "is {}",
                              from[partition], partition, begins[partition]));
    }
    if (from[partition] > ends_[partition]) {
      return fail(Errc::invalid_argument,
                  fmt::format("offset {} of partition {} lies beyond the end of the log, {}",
                              from[partition], partition, ends_[partition]));
    }
  }
  // Base offsets never go down, so what covers is a prefix of the segments, and then of the index.
  const auto segment = std::prev(std::partition_point(
      segments_.begin(), segments_.end(),
      [&](const SegmentPtr& candidate) { return covers(candidate->header.base_offsets, from); }));
  const auto& index = (*segment)->index;
  const auto entry = std::partition_point(
      index.begin(), index.end(),
      [&](const IndexEntry& candidate) { return covers(candidate.offsets, from); });
  const SegmentHeader& header = (*segment)->header;
  if (entry == index.begin()) return Place{*segment, {header.base_position, header.base_offsets}};
  return Place{*segment, *std::prev(entry)};
}

SegmentCatalog::Extent SegmentCatalog::extent(const Segment& segment) const {
  std::lock_guard guard(mutex_);
  if (segment.end != 0) return {.limit = segment.end, .sealed = true};
  return {.limit = readable_end_, .sealed = false};
}

SegmentPtr SegmentCatalog::beginning_at(std::uint64_t position) const {
  std::lock_guard guard(mutex_);
  const auto found = std::lower_bound(segments_.begin(), segments_.end(), position,
                                      [](const SegmentPtr& segment, std::uint64_t wanted) {
                                        return segment->header.base_position < wanted;
                                      });
  if (found == segments_.end() || (*found)->header.base_position != position) return nullptr;
  return *found;
}

std::optional<std::filesystem::path> SegmentCatalog::take_oldest(
    WallTime older_than, const PartitionOffsets& keep_from,
    const std::function<bool(std::uint64_t)>& may_drop) {
  std::lock_guard guard(mutex_);
  if (segments_.size() < 2) return std::nullopt;
  const SegmentHeader& following = segments_[1]->header;
  if (following.base_time >= older_than || !covers(following.base_offsets, keep_from) ||
      !may_drop(segments_.front()->header.base_position)) {
    return std::nullopt;
  }
  std::filesystem::path path = segments_.front()->path;
  segments_.erase(segments_.begin());
  return path;
}

}  // namespace millrace::log
