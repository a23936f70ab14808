#include "log/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "storage/crc32c.hpp"

namespace millrace::log {
namespace {

static_assert(std::endian::native == std::endian::little, "journals are little endian");

constexpr std::string_view kSegmentMagic = "MILLRSEG";
constexpr std::uint32_t kFrameMagic = 0x3146524d;  // "MRF1"
constexpr std::size_t kUuidBytes = 36;
constexpr std::size_t kPositionDigits = 20;

// Where the fields of a segment header lie.
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kCrcAt = 12;
constexpr std::size_t kJournalAt = 16;
constexpr std::size_t kPartitionsAt = 18;
constexpr std::size_t kSaltAt = 24;
constexpr std::size_t kPositionAt = 32;
constexpr std::size_t kTimeAt = 40;
constexpr std::size_t kUuidAt = 48;
constexpr std::size_t kOffsetsAt = 96;
static_assert(kOffsetsAt + sizeof(PartitionOffsets) <= kSegmentHeaderBytes);

template <typename T>
void put(char* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

template <typename T>
T get(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

std::int64_t to_number(WallTime time) {
  return time.time_since_epoch().count();
}
WallTime to_time(std::int64_t number) {
  return WallTime(microseconds(number));
}

/// Over everything but the CRC field and the magic and version before it.
std::uint32_t header_crc(std::string_view bytes) {
  return crc32c(bytes.substr(kJournalAt));
}

std::uint32_t frame_crc(std::string_view frame, std::uint64_t salt) {
  const std::string_view key(reinterpret_cast<const char*>(&salt), sizeof salt);
  return crc32c(frame.substr(8), crc32c(key));
}

}  // namespace

std::string encode(const SegmentHeader& header) {
  MILLRACE_INVARIANT(header.log_uuid.size() == kUuidBytes);
  std::string bytes(kSegmentHeaderBytes, '\0');
  char* at = bytes.data();
  std::copy(kSegmentMagic.begin(), kSegmentMagic.end(), at);
  put(at + kVersionAt, kFormatVersion);
  put(at + kJournalAt, static_cast<std::uint16_t>(header.journal));
  put(at + kPartitionsAt, kPartitionCount);
  put(at + kSaltAt, header.salt);
  put(at + kPositionAt, header.base_position);
  put(at + kTimeAt, to_number(header.base_time));
  std::copy(header.log_uuid.begin(), header.log_uuid.end(), at + kUuidAt);
  std::memcpy(at + kOffsetsAt, header.base_offsets.data(), sizeof header.base_offsets);
  put(at + kCrcAt, header_crc(bytes));
  return bytes;
}

Result<SegmentHeader> decode_segment_header(std::string_view bytes,
                                            const std::filesystem::path& path) {
  if (bytes.size() < kSegmentHeaderBytes || !bytes.starts_with(kSegmentMagic)) {
    return fail(Errc::corrupt,
                fmt::format("{}: not a segment of a Millrace journal (its header is damaged); "
                            "see `millrace log quarantine`",
                            path.string()));
  }
  bytes = bytes.substr(0, kSegmentHeaderBytes);
  const char* at = bytes.data();
  const auto version = get<std::uint32_t>(at + kVersionAt);
  if (version > kFormatVersion) {
    return fail(Errc::newer_format,
                fmt::format("{} has format version {}; this version of Millrace reads up to {}. "
                            "Start the newer version again",
                            path.string(), version, kFormatVersion));
  }
  if (version == 0 || get<std::uint32_t>(at + kCrcAt) != header_crc(bytes)) {
    return fail(Errc::corrupt,
                fmt::format("{}: damaged segment header at byte 0; see `millrace log quarantine`",
                            path.string()));
  }
  const auto journal = get<std::uint16_t>(at + kJournalAt);
  const auto partitions = get<Partition>(at + kPartitionsAt);
  if (journal >= kJournalCount || partitions != kPartitionCount) {
    return fail(Errc::corrupt, fmt::format("{}: journal {} with {} partitions is not known",
                                           path.string(), journal, partitions));
  }
  SegmentHeader header;
  header.journal = static_cast<Journal>(journal);
  header.log_uuid.assign(at + kUuidAt, kUuidBytes);
  header.salt = get<std::uint64_t>(at + kSaltAt);
  header.base_position = get<std::uint64_t>(at + kPositionAt);
  header.base_time = to_time(get<std::int64_t>(at + kTimeAt));
  std::memcpy(header.base_offsets.data(), at + kOffsetsAt, sizeof header.base_offsets);
  return header;
}

void seal_frame(char* frame, const FrameHeader& header, std::uint64_t salt) {
  put(frame, kFrameMagic);
  put(frame + 8, header.bytes);
  put(frame + 12, header.records);
  put(frame + 16, header.position);
  put(frame + 24, header.synced_through);
  put(frame + 32, to_number(header.appended_at));
  put(frame + 4, frame_crc(std::string_view(frame, header.bytes), salt));
}

std::optional<FrameHeader> peek_frame(std::string_view bytes, std::uint64_t position) {
  if (bytes.size() < kFrameHeaderBytes) return std::nullopt;
  const char* at = bytes.data();
  FrameHeader header{.bytes = get<std::uint32_t>(at + 8),
                     .records = get<std::uint32_t>(at + 12),
                     .position = get<std::uint64_t>(at + 16),
                     .synced_through = get<std::uint64_t>(at + 24),
                     .appended_at = to_time(get<std::int64_t>(at + 32))};
  if (get<std::uint32_t>(at) != kFrameMagic || header.position != position ||
      header.bytes < kFrameHeaderBytes || header.bytes > kFrameBytesMax) {
    return std::nullopt;
  }
  return header;
}

bool frame_is_sound(std::string_view frame, std::uint64_t salt) {
  return get<std::uint32_t>(frame.data() + 4) == frame_crc(frame, salt);
}

char* put_record(char* at, const LogEntry& entry, Offset offset) {
  put(at, entry.partition);
  put(at + 2, static_cast<std::uint16_t>(entry.topic.size()));
  put(at + 4, static_cast<std::uint32_t>(entry.payload.size()));
  put(at + 8, offset);
  at = std::copy(entry.topic.begin(), entry.topic.end(), at + kRecordHeaderBytes);
  return std::copy(entry.payload.begin(), entry.payload.end(), at);
}

bool RecordCursor::next(LogRecord& record) {
  if (seen_ == header_.records || malformed_) {
    malformed_ = malformed_ || !left_.empty();
    return false;
  }
  malformed_ = true;
  if (left_.size() < kRecordHeaderBytes) return false;
  const char* at = left_.data();
  const std::size_t topic_bytes = get<std::uint16_t>(at + 2);
  const std::size_t payload_bytes = get<std::uint32_t>(at + 4);
  if (left_.size() - kRecordHeaderBytes < topic_bytes + payload_bytes) return false;
  record.partition = get<Partition>(at);
  if (record.partition >= kPartitionCount) return false;
  record.offset = get<Offset>(at + 8);
  record.appended_at = header_.appended_at;
  record.topic = left_.substr(kRecordHeaderBytes, topic_bytes);
  record.payload = left_.substr(kRecordHeaderBytes + topic_bytes, payload_bytes);
  left_.remove_prefix(kRecordHeaderBytes + topic_bytes + payload_bytes);
  ++seen_;
  malformed_ = false;
  return true;
}

std::string position_name(std::uint64_t position, std::string_view suffix) {
  return fmt::format("{:0{}}{}", position, kPositionDigits, suffix);
}

std::optional<std::uint64_t> parse_position_name(std::string_view name, std::string_view suffix) {
  if (name.size() != kPositionDigits + suffix.size() || !name.ends_with(suffix)) {
    return std::nullopt;
  }
  std::uint64_t position = 0;
  const char* end = name.data() + kPositionDigits;
  const auto [at, error] = std::from_chars(name.data(), end, position);
  if (error != std::errc() || at != end) return std::nullopt;
  return position;
}

}  // namespace millrace::log
