#include "log/frame_reader.hpp"

#include <algorithm>

namespace millrace::log {
namespace {

constexpr std::size_t kReadBytes = 1u << 20;

}  // namespace

Result<std::uint64_t> FrameReader::end_of_file() const {
  MILLRACE_TRY(size, file_->size());
  return base_ + std::max<std::uint64_t>(size, kSegmentHeaderBytes) - kSegmentHeaderBytes;
}

Result<std::string_view> FrameReader::fill(std::uint64_t position, std::size_t bytes,
                                           std::uint64_t limit) {
  bytes = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, limit - position));
  const std::uint64_t have = buffer_position_ + buffer_.size();
  if (position < buffer_position_ || position > have) {
    buffer_.clear();
    buffer_position_ = position;
  } else if (position + bytes > have) {
    buffer_.erase(0, static_cast<std::size_t>(position - buffer_position_));
    buffer_position_ = position;
  }
  const std::size_t start = static_cast<std::size_t>(position - buffer_position_);
  if (buffer_.size() < start + bytes) {
    const std::size_t kept = buffer_.size();
    const std::uint64_t room = limit - buffer_position_;
    const std::size_t wanted = static_cast<std::size_t>(
        std::min<std::uint64_t>(room, std::max(start + bytes, kept + kReadBytes)));
    buffer_.resize(wanted);
    auto got = file_->read_at(file_offset(buffer_position_ + kept),
                              std::span(buffer_.data() + kept, wanted - kept));
    if (!got) {
      buffer_.clear();
      return std::unexpected(std::move(got).error());
    }
    buffer_.resize(kept + *got);
  }
  return std::string_view(buffer_).substr(start, bytes);
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
    std::size_t at = 0;
    for (; at + kFrameHeaderBytes <= view.size(); at += 8) {
      if (view[at] != 'M') continue;
      const auto header = peek_frame(view.substr(at), begin + at);
      if (!header || header->synced_through <= position) continue;
      MILLRACE_TRY(frame, this->at(begin + at, limit));
      if (frame) return std::optional(begin + at);
    }
    if (at == 0) break;
    begin += at;
  }
  return std::optional<std::uint64_t>();
}

}  // namespace millrace::log
