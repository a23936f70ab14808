// Reads the frames of one segment file forward through a buffer, checking every CRC. Not
// thread-safe; safe beside the writer as long as `limit` is what the writer has published.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "log/format.hpp"
#include "storage/disk.hpp"

namespace millrace::log {

class FrameReader {
 public:
  struct Frame {
    FrameHeader header;
    std::string_view bytes;  ///< until the next call
    std::uint64_t next = 0;  ///< position after it
  };

  FrameReader(std::unique_ptr<File> file, const SegmentHeader& segment)
      : file_(std::move(file)), base_(segment.base_position), salt_(segment.salt) {}

  /// The frame at journal position `position`; nothing when no sound one lies there within `limit`.
  Result<std::optional<Frame>> at(std::uint64_t position, std::uint64_t limit);

  /// The position of the first sound frame behind `position` that says `position` was durable when
  /// it was written: then a bad frame at `position` is damage and not a torn tail.
  Result<std::optional<std::uint64_t>> acknowledged_after(std::uint64_t position,
                                                          std::uint64_t limit);

  /// Journal position of the end of the file.
  Result<std::uint64_t> end_of_file() const;
  std::uint64_t file_offset(std::uint64_t position) const {
    return kSegmentHeaderBytes + position - base_;
  }

 private:
  void keep_from(std::uint64_t position, std::size_t capacity);
  Result<std::string_view> fill(std::uint64_t position, std::size_t bytes, std::uint64_t limit);

  std::unique_ptr<File> file_;
  std::uint64_t base_;
  std::uint64_t salt_;
  std::unique_ptr<char[]> buffer_;  // not a string: growing one would write zeros first
  std::size_t buffer_capacity_ = 0;
  std::size_t buffer_size_ = 0;
  std::uint64_t buffer_position_ = 0;
};

}  // namespace millrace::log
