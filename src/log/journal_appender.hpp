// The writing end of one journal: encodes groups into frames, writes and syncs them, rolls
// segments. Used by one thread at a time. Promises: what `append` returned is durable (the trail:
// written); Errc::disk_full means nothing of the batch remains; any other error is final.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "log/segment_catalog.hpp"
#include "millrace/clock.hpp"
#include "storage/disk.hpp"

namespace millrace::log {

/// Entries that are appended together, and the offsets they got.
struct Group {
  std::vector<LogEntry> entries;
  std::size_t bytes = 0;  ///< of its records in a frame
  std::vector<Offset> offsets;
};

/// Sums the group's bytes. Errc::too_large, or invalid_argument for a partition that does not
/// exist.
Result<std::size_t> measure(std::span<const LogEntry> entries);

struct AppenderOptions {
  Disk* disk = nullptr;
  const Clock* clock = nullptr;
  Journal journal = Journal::inbox;
  std::filesystem::path directory;
  std::string log_uuid;
  std::uint64_t segment_bytes = 0;
  std::uint64_t index_bytes = 0;
  bool sync_each_batch = true;
  PartitionOffsets first{};    ///< of a journal that is made: the offsets it begins at
  IdMemory* memory = nullptr;  ///< told the ids of the segment that is written
};

class JournalAppender {
 public:
  /// Looks at the journal whose segments were inspected, and changes nothing. Damage is
  /// Errc::corrupt.
  static Result<std::unique_ptr<JournalAppender>> look(AppenderOptions options,
                                                       std::vector<SegmentPtr> segments);
  /// Position after the last record found.
  std::uint64_t data_end() const { return data_end_; }
  /// Opens what was looked at, or begins the journal when there is nothing. A torn tail is cut.
  Result<void> open();
  static Result<std::unique_ptr<JournalAppender>> open(AppenderOptions options,
                                                       std::vector<SegmentPtr> segments);

  const std::shared_ptr<SegmentCatalog>& catalog() const { return catalog_; }
  Journal journal() const { return options_.journal; }

  /// How many groups from the front make the next batch (at least 1).
  std::size_t fitting(std::span<const Group* const> groups) const;
  /// Appends the whole batch of groups, setting their offsets. The result's `records` are filled
  /// in only when wanted.
  Result<RecordBatchPtr> append(std::span<Group* const> groups, bool want_records);

  /// Told of each segment that is sealed from now on, on the appending thread; must not block.
  void set_sealed(std::function<void(SegmentPtr)> sealed) { sealed_ = std::move(sealed); }

  /// Whether the last frame holds records, so that nothing on disk says yet that it is durable.
  bool wants_mark() const { return wants_mark_; }
  /// Appends an empty frame, which says so. Not synced: losing it loses nothing.
  Result<void> mark();
  bool unsynced() const { return synced_through_ < write_position_; }
  Result<void> sync();
  /// What may be done before the next batch comes: writes zeros ahead of it, and makes the next
  /// segment's file when the current one is three quarters full, so that rolling does not wait for
  /// the allocation.
  Result<void> prepare();

 private:
  struct Layout {
    std::size_t groups = 0;
    std::vector<std::pair<std::size_t, std::size_t>> frames;  ///< groups and bytes of each frame
    std::size_t bytes = 0;                                    ///< of all frames, padded
  };

  explicit JournalAppender(AppenderOptions options) : options_(std::move(options)) {}

  std::function<void(const LogRecord&)> remember_ids();
  Layout lay_out(std::span<const Group* const> groups) const;
  std::uint64_t room() const;
  std::uint64_t file_offset(std::uint64_t position) const;
  RecordBatch encode_batch(std::span<Group* const> groups, const Layout& layout, WallTime now,
                           PartitionOffsets& ends, bool want_records);
  Result<void> write(std::string_view bytes);
  Result<void> write_ahead();
  Result<void> roll();
  Result<void> make_spare();
  void drop_spare();
  std::filesystem::path spare_path() const { return options_.directory / "spare"; }

  AppenderOptions options_;
  std::function<void(SegmentPtr)> sealed_;
  std::shared_ptr<SegmentCatalog> catalog_;
  std::vector<SegmentPtr> found_;  ///< until it is opened
  bool torn_ = false;
  SegmentPtr segment_;
  std::unique_ptr<File> file_;
  std::unique_ptr<File> spare_;
  std::uint64_t write_position_ = 0;
  std::uint64_t synced_through_ = 0;
  std::uint64_t data_end_ = 0;
  std::uint64_t ahead_ = 0;  ///< file offset up to which zeros were written
  PartitionOffsets ends_{};
  WallTime last_time_;
  bool wants_mark_ = false;
};

}  // namespace millrace::log
