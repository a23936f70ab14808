// What is known about a sealed segment without reading it: sparse index, ids, Bloom filter
// (docs/reference/log-format.md, "Side file"). Derived from the segment, so it is never trusted
// beyond its checksums and made again when they do not hold.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "log/segment_catalog.hpp"
#include "millrace/record_id.hpp"
#include "storage/disk.hpp"

namespace millrace::log {

inline constexpr std::string_view kSideSuffix = ".side";

struct SideHeader {
  Journal journal = Journal::inbox;
  std::string log_uuid;
  std::uint64_t salt = 0;  ///< of its segment: another segment of the same name has another
  std::uint64_t base_position = 0;
  std::uint64_t end_position = 0;
  WallTime last_time;  ///< of the segment's last record
  std::uint64_t index_entries = 0;
  std::uint64_t ids = 0;
  std::uint64_t bloom_blocks = 0;
};

struct KnownId {
  RecordId id;
  std::uint32_t second = 0;  ///< when it was appended, since 1970 UTC, rounded up
  friend auto operator<=>(const KnownId&, const KnownId&) = default;
};

struct SideContents {
  SideHeader header;  ///< the counts are set when it is written
  std::vector<IndexEntry> index;
  std::vector<KnownId> ids;  ///< in any order; sorted and made unique when written
};

/// "00000000000000000000.side".
inline std::string side_name(std::uint64_t base_position) {
  return position_name(base_position, kSideSuffix);
}
inline std::optional<std::uint64_t> parse_side_name(std::string_view name) {
  return parse_position_name(name, kSideSuffix);
}

/// Writes it durably; replaces what is there.
Result<void> write_side_file(Disk& disk, const std::filesystem::path& path, SideContents contents);

/// What one side file answers. It is opened anew for each question: a large log has thousands of
/// them, and with the filter in memory hardly a question reads. Thread-safe. Errc::corrupt when a
/// page does not hold, not_found when the file was removed.
class SideFile {
 public:
  /// Reads the header. Errc::not_found, newer_format, corrupt. `disk` outlives it.
  static Result<std::shared_ptr<SideFile>> open(Disk& disk, const std::filesystem::path& path);

  const SideHeader& header() const { return header_; }
  const std::filesystem::path& path() const { return path_; }
  Result<std::vector<IndexEntry>> read_index() const;
  /// Keeps the Bloom filter in memory from now on: before others see it.
  Result<void> load_bloom();
  /// The same file without its filter in memory.
  std::shared_ptr<const SideFile> without_bloom() const;
  std::size_t bloom_bytes() const;
  bool bloom_is_loaded() const { return !bloom_.empty(); }
  /// Whether the id was appended at or after `since`.
  Result<bool> holds(RecordId id, WallTime since) const;
  /// Reads every page; that ids are in order and each is in the Bloom filter.
  Result<void> verify() const;

 private:
  using Block = std::array<std::uint64_t, 8>;
  using Page = std::array<char, 4096>;
  SideFile(Disk& disk, std::filesystem::path path) : disk_(&disk), path_(std::move(path)) {}
  Result<std::unique_ptr<File>> open_file() const { return disk_->open(path_, OpenMode::read); }
  Result<Page> page(const File& file, std::uint64_t number) const;
  Result<Block> bloom_block(const File& file, std::uint64_t number) const;
  Result<std::vector<KnownId>> ids_on(const File& file, std::uint64_t page_of_ids) const;
  Result<std::optional<KnownId>> find(const File& file, RecordId id) const;
  Error damaged(std::uint64_t page) const;
  std::uint64_t first_bloom_page() const;
  std::uint64_t first_id_page() const;
  std::uint64_t id_pages() const;

  Disk* disk_;
  std::filesystem::path path_;
  SideHeader header_;
  std::vector<Block> bloom_;  ///< empty: read a page each time
};
using SideFilePtr = std::shared_ptr<const SideFile>;

}  // namespace millrace::log
