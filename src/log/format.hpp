// The bytes of a journal: segment header, frame header, record (docs/reference/log-format.md). All
// integers are little endian.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "millrace/event_log.hpp"

namespace millrace::log {

inline constexpr std::uint32_t kFormatVersion = 1;
inline constexpr std::size_t kSegmentHeaderBytes = 4096;
inline constexpr std::size_t kFrameHeaderBytes = 40;
inline constexpr std::size_t kRecordHeaderBytes = 16;
/// A frame's whole length; a group that does not fit is Errc::too_large.
inline constexpr std::size_t kFrameBytesMax = 16u << 20;
inline constexpr std::size_t kTopicBytesMax = 0xffff;

/// Frames begin at multiples of 8.
constexpr std::uint64_t padded(std::uint64_t bytes) {
  return (bytes + 7) & ~std::uint64_t{7};
}

struct SegmentHeader {
  Journal journal = Journal::inbox;
  std::string log_uuid;             ///< 36 characters
  std::uint64_t salt = 0;           ///< random; keys the CRC of this segment's frames
  std::uint64_t base_position = 0;  ///< of the first frame, in bytes of frames since the beginning
  WallTime base_time;               ///< of the last record before this segment
  PartitionOffsets base_offsets{};  ///< of the first record of each partition in here
};

/// kSegmentHeaderBytes bytes.
std::string encode(const SegmentHeader& header);
/// Errc::newer_format, or Errc::corrupt; both name `path`.
Result<SegmentHeader> decode_segment_header(std::string_view bytes,
                                            const std::filesystem::path& path);

struct FrameHeader {
  std::uint32_t bytes = 0;           ///< header and records, without the padding after them
  std::uint32_t records = 0;         ///< 0: a mark, written on going idle
  std::uint64_t position = 0;        ///< of this frame in the journal
  std::uint64_t synced_through = 0;  ///< known durable when the frame was written
  WallTime appended_at;              ///< of all its records
};

/// Fills in the first kFrameHeaderBytes of `frame`, whose records follow them already, and the CRC.
void seal_frame(char* frame, const FrameHeader& header, std::uint64_t salt);
/// The header, if it is plausible and says `position`. The records are not looked at.
std::optional<FrameHeader> peek_frame(std::string_view bytes, std::uint64_t position);
/// Whether the CRC of the whole frame (`frame.size()` is its `bytes`) holds.
bool frame_is_sound(std::string_view frame, std::uint64_t salt);

/// Bytes one entry takes inside a frame.
inline std::size_t record_bytes(const LogEntry& entry) {
  return kRecordHeaderBytes + entry.topic.size() + entry.payload.size();
}
/// Writes one record at `at` and returns where the next begins.
char* put_record(char* at, const LogEntry& entry, Offset offset);

/// Walks the records of a sound frame.
class RecordCursor {
 public:
  RecordCursor(std::string_view frame, const FrameHeader& header)
      : left_(frame.substr(kFrameHeaderBytes)), header_(header) {}
  /// False at the end, or when the records do not fill the frame exactly: see `malformed`.
  bool next(LogRecord& record);
  bool malformed() const { return malformed_; }

 private:
  std::string_view left_;
  FrameHeader header_;
  std::uint32_t seen_ = 0;
  bool malformed_ = false;
};

/// A file named by a position, in 20 digits before its suffix: "00000000000000004096.log".
std::string position_name(std::uint64_t position, std::string_view suffix);
/// The position, if `name` is such a name.
std::optional<std::uint64_t> parse_position_name(std::string_view name, std::string_view suffix);

inline constexpr std::string_view kSegmentSuffix = ".log";
/// Of the segment whose base position it is.
inline std::string segment_name(std::uint64_t base_position) {
  return position_name(base_position, kSegmentSuffix);
}
inline std::optional<std::uint64_t> parse_segment_name(std::string_view name) {
  return parse_position_name(name, kSegmentSuffix);
}

}  // namespace millrace::log
