// A disk in memory that keeps apart what is durable and what is only written, per file and per
// directory entry, and fails on purpose. For tests of everything that promises durability.
//
// A power cut keeps, per file, some of the writes since its last sync (a prefix or any subset, the
// last kept write torn at a byte or holding only some of its 512-byte sectors) and, per directory,
// some of its unsynced changes; each change of a name is atomic. The seed decides. Directories
// themselves are durable once made.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "storage/disk.hpp"

namespace millrace {

class FaultDisk final : public Disk {
 public:
  enum class Operation : std::uint8_t { write, sync, allocate, truncate, sync_directory, rename };

  FaultDisk();
  ~FaultDisk() override;

  Result<std::unique_ptr<File>> open(const std::filesystem::path& path, OpenMode mode) override;
  Result<void> create_directories(const std::filesystem::path& path) override;
  Result<void> sync_directory(const std::filesystem::path& path) override;
  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  Result<void> remove(const std::filesystem::path& path) override;
  Result<std::vector<std::string>> list(const std::filesystem::path& path) override;
  Result<DiskSpace> space(const std::filesystem::path& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::filesystem::path& path) override;

  /// The `nth` such operation from now (1 is the next) fails with `code`; a write leaves half of
  /// its bytes behind.
  void fail_once(Operation operation, std::uint64_t nth, Errc code);
  /// From now on reads of the file at or beyond `offset` fail with `code`, until `allow_reads`.
  void fail_reads(const std::filesystem::path& path, std::uint64_t offset, Errc code);
  void allow_reads(const std::filesystem::path& path);
  /// Bytes all files together may hold; a write or allocation beyond is Errc::disk_full, after as
  /// much as fits.
  void set_capacity(std::uint64_t bytes);
  /// After `operations` more changing operations the machine is off: everything fails.
  void power_off_after(std::uint64_t operations);
  /// Cuts the power and turns it on again. Open files and locks of before are dead.
  void power_cut(std::uint64_t seed);
  /// Kills the process and turns a machine that is off on again: everything written is still there,
  /// synced or not. Open files and locks of before are dead.
  void kill_process();

  /// How many operations of a kind succeeded since the start.
  std::uint64_t count(Operation operation) const;
  /// Files that are open now.
  std::uint64_t open_files() const;
  /// Bytes read from the file since the start.
  std::uint64_t bytes_read(const std::filesystem::path& path) const;
  /// Changes a file's durable and current bytes behind everyone's back.
  void overwrite(const std::filesystem::path& path, std::uint64_t offset, std::string_view bytes);
  std::string contents(const std::filesystem::path& path) const;

 private:
  struct Change {
    enum class Kind : std::uint8_t { write, resize } kind = Kind::write;
    std::uint64_t offset = 0;  ///< of a write; the new size of a resize
    std::string bytes;
  };
  struct Inode {
    std::string durable;
    std::string current;
    std::vector<Change> unsynced;
  };
  using InodePtr = std::shared_ptr<Inode>;
  using Names = std::map<std::string, InodePtr>;
  struct NameChange {
    std::string removed;  ///< empty: nothing
    std::string added;    ///< empty: nothing
    InodePtr inode;
  };
  struct Directory {
    Names durable;
    Names current;
    std::vector<NameChange> unsynced;
  };
  class OpenFile;
  class HeldLock;

  void end_life();
  Result<void> begin(Operation operation, const std::filesystem::path& path, bool& torn);
  Directory* find_directory(const std::filesystem::path& path);
  InodePtr find_inode(const std::filesystem::path& path) const;
  std::uint64_t used_bytes() const;
  static void apply(std::string& contents, const Change& change);
  static void apply(Names& names, const NameChange& change);
  static void settle(Inode& inode, std::mt19937_64& random);

  mutable std::mutex mutex_;
  std::map<std::string, Directory> directories_;
  std::set<std::string> locks_;
  std::map<Operation, std::pair<std::uint64_t, Errc>> failures_;
  std::map<Operation, std::uint64_t> counts_;
  std::map<std::string, std::uint64_t> bytes_read_;
  std::map<std::string, std::pair<std::uint64_t, Errc>> bad_reads_;
  std::uint64_t open_files_ = 0;
  std::uint64_t capacity_ = ~std::uint64_t{0};
  std::optional<std::uint64_t> operations_left_;
  std::uint64_t life_ = 0;  ///< rises with each power cut; older files and locks are dead
};

}  // namespace millrace
