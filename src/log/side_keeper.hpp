// Keeps the side files of a log: takes in those that are there, makes those that are missing on a
// thread of its own, looks ids up in them and lets them go when their time is over. They outlive
// their segments for the window of dedupe.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <thread>
#include <vector>

#include "log/segment_catalog.hpp"
#include "log/side_file.hpp"
#include "log/troubles.hpp"
#include "millrace/clock.hpp"
#include "storage/disk.hpp"

namespace millrace::log {

struct KeeperOptions {
  Disk* disk = nullptr;
  const Clock* clock = nullptr;
  std::filesystem::path directory;  ///< of the log
  std::string log_uuid;
  std::uint64_t index_bytes = 0;
  std::chrono::seconds window{7 * 24 * 3600};
  std::uint64_t ids_max = 50'000'000;                   ///< beyond, the oldest are let go
  std::size_t bloom_bytes_max = std::size_t{64} << 20;  ///< filters in memory, newest first
  milliseconds retry{5000};    ///< after a segment was not read or a side file not written
  int read_attempts_max = 12;  ///< then the ids of a segment are given up
  TroublesPtr troubles;
  std::array<IdMemory*, kJournalCount> memories{};  ///< nullptr: records have no ids
};

class SideKeeper {
 public:
  /// Before the file's name in Troubles.
  static constexpr const char* kIdsPrefix = "ids:";
  using Catalogs = std::array<std::shared_ptr<SegmentCatalog>, kJournalCount>;

  /// Takes in the side files of the journals as they were opened. Blocking.
  static Result<std::unique_ptr<SideKeeper>> open(KeeperOptions options, Catalogs catalogs);
  ~SideKeeper() { close(); }
  SideKeeper(const SideKeeper&) = delete;
  SideKeeper& operator=(const SideKeeper&) = delete;

  /// From the writer's thread: the segment takes nothing more. Does not block.
  void seal(Journal journal, SegmentPtr segment);
  Result<std::vector<bool>> known_ids(Journal journal, std::span<const RecordId> ids,
                                      WallTime since);
  bool archives_ids(Journal journal) const {
    return archives_[static_cast<std::size_t>(journal)].load(std::memory_order_relaxed);
  }
  /// Whether the segment at `base` may be dropped: its ids do not depend on it any more.
  bool may_drop(Journal journal, std::uint64_t base) const;
  /// Drops side files that have no segment and are beyond the window or the count.
  Result<void> expire(Journal journal);
  void close();

 private:
  struct Work {
    Journal journal = Journal::inbox;
    SegmentPtr segment;
    bool in_memory = false;  ///< its ids are in the IdMemory until the side file is there
    int unread = 0;          ///< how often reading the segment failed
  };
  using Files = std::vector<SideFilePtr>;  // the oldest first
  using FilesPtr = std::shared_ptr<const Files>;

  SideKeeper(KeeperOptions options, Catalogs catalogs)
      : options_(std::move(options)), catalogs_(std::move(catalogs)) {}
  Result<void> take_in(Journal journal);
  Result<std::shared_ptr<SideFile>> open_side(Journal journal, std::uint64_t base,
                                              const SegmentPtr& segment);
  void run();
  Result<SideContents> gather(const Work& work) const;
  Result<void> write(const Work& work, SideContents contents);
  void cannot_read(Work work, const Error& error);
  void put_off(Work work);
  void publish(Journal journal, SideFilePtr side);
  bool deserves_filter(const SideHeader& header, std::size_t bytes) const;
  void keep_newest_filters();
  void make_again(Journal journal, const SideFilePtr& side, const Error& error);
  void finished(const Work& work);
  std::filesystem::path folder(Journal journal) const {
    return options_.directory / std::string(to_string(journal));
  }
  static std::size_t index(Journal journal) { return static_cast<std::size_t>(journal); }

  KeeperOptions options_;
  Catalogs catalogs_;
  std::array<std::atomic<bool>, kJournalCount> archives_{};

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Work> queue_;  ///< the first is being made
  std::array<FilesPtr, kJournalCount> files_{};
  std::array<std::uint64_t, kJournalCount> sealed_end_{};
  std::array<std::set<std::uint64_t>, kJournalCount> unreadable_;  ///< segments that are damaged
  std::array<std::size_t, kJournalCount> missing_{};  ///< neither in memory nor in a side file
  std::size_t failures_ = 0;  ///< in a row: when all in the queue failed, it waits
  bool closing_ = false;

  std::once_flag joined_;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace millrace::log
