#include "log/frame_reader.hpp"

#include <algorithm>
#include <cstring>

namespace millrace::log {
namespace {

constexpr std::size_t kReadBytes = 1u << 20;
constexpr char kFrameFirstByte = 'M';

}  // namespace

Result<std::uint64_t> FrameReader::end_of_file() const {
  MILLRACE_TRY(size, file_->size());
  return base_ + std::max<std::uint64_t>(size, kSegmentHeaderBytes) - kSegmentHeaderBytes;
}

/// Drops what lies before `position` and makes room for `capacity` bytes from there.
void FrameReader::keep_from(std::uint64_t position, std::size_t capacity) {
  const std::uint64_t end = buffer_position_ + buffer_size_;
  const bool inside = position >= buffer_position_ && position <= end;
  const std::size_t kept = inside ? static_cast<std::size_t>(end - position) : 0;
  std::unique_ptr<char[]> larger;
  if (capacity > buffer_capacity_) {
    larger = std::make_unique_for_overwrite<char[]>(capacity);
    buffer_capacity_ = capacity;
  }
  char* target = larger ? larger.get() : buffer_.get();
  if (kept > 0) std::memmove(target, buffer_.get() + (buffer_size_ - kept), kept);
  if (larger) buffer_ = std::move(larger);
  buffer_position_ = position;
  buffer_size_ = kept;
}

/// The bytes at `position`, fewer only at the end of the file or at `limit`.
Result<std::string_view> FrameReader::fill(std::uint64_t position, std::size_t bytes,
                                           std::uint64_t limit) {
  bytes = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, limit - position));
  const bool have =
      position >= buffer_position_ && position + bytes <= buffer_position_ + buffer_size_;
  if (!have) {
    const std::size_t wanted = static_cast<std::size_t>(
        std::min<std::uint64_t>(limit - position, std::max(bytes, kReadBytes)));
    keep_from(position, wanted);
    const std::size_t missing = wanted - std::min(wanted, buffer_size_);
    MILLRACE_TRY(got, file_->read_at(file_offset(position + buffer_size_),
                                     std::span(buffer_.get() + buffer_size_, missing)));
    buffer_size_ += got;
  }
  const std::size_t start = static_cast<std::size_t>(position - buffer_position_);
  return std::string_view(buffer_.get(), buffer_size_).substr(start, bytes);
}

Result<std::optional<FrameReader::Frame>> FrameReader::at(std::uint64_t position,
                                                          std::uint64_t limit) {
  std::optional<Frame> none;
  if (position >= limit) return none;
  MILLRACE_TRY(head, fill(position, kFrameHeaderBytes, limit));
  const auto header = peek_frame(head, position);
  if (!header || header->bytes > limit - position) return none;
  MILLRACE_TRY(bytes, fill(position, header->bytes, limit));
  if (bytes.size() < header->bytes || !frame_is_sound(bytes, salt_)) return none;
  return Frame{*header, bytes, position + padded(header->bytes)};
}

Result<std::optional<std::uint64_t>> FrameReader::acknowledged_after(std::uint64_t position,
                                                                     std::uint64_t limit) {
  std::string chunk;
  for (std::uint64_t begin = position + 8; begin + kFrameHeaderBytes <= limit;) {
    chunk.resize(static_cast<std::size_t>(
        std::min<std::uint64_t>(limit - begin, kReadBytes + kFrameHeaderBytes)));
    MILLRACE_TRY(got, file_->read_at(file_offset(begin), chunk));
    const std::string_view view = std::string_view(chunk).substr(0, got);
    if (view.size() < kFrameHeaderBytes) break;
    const std::size_t end = (view.size() - kFrameHeaderBytes) / 8 * 8 + 8;
    std::size_t at = 0;
    for (; at < end; at += 8) {
      // Nearly all of it is zeros.
      at = std::min(view.find(kFrameFirstByte, at) / 8 * 8, end);
      if (at == end) break;
      if (view[at] != kFrameFirstByte) continue;
      const auto header = peek_frame(view.substr(at), begin + at);
      if (!header || header->synced_through <= position) continue;
      MILLRACE_TRY(frame, this->at(begin + at, limit));
      if (frame) return std::optional(begin + at);
    }
    begin += end;
  }
  return std::optional<std::uint64_t>();
}

}  // namespace millrace::log
