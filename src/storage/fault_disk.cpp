#include "storage/fault_disk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace millrace {
namespace fs = std::filesystem;

class FaultDisk::OpenFile final : public File {
 public:
  OpenFile(FaultDisk& disk, InodePtr inode, fs::path path)
      : disk_(disk), inode_(std::move(inode)), path_(std::move(path)), life_(disk.life_) {
    ++disk_.open_files_;
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() override {
    std::lock_guard guard(disk_.mutex_);
    --disk_.open_files_;
  }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) const override {
    std::lock_guard guard(disk_.mutex_);
    MILLRACE_CHECK_OK(alive());
    if (const auto bad = disk_.bad_reads_.find(path_.string());
        bad != disk_.bad_reads_.end() && offset + buffer.size() > bad->second.first) {
      return fail(bad->second.second, fmt::format("cannot read {}: it fails", path_.string()));
    }
    const std::string& contents = inode_->current;
    if (offset >= contents.size()) return std::size_t{0};
    const std::size_t size =
        std::min(buffer.size(), contents.size() - static_cast<std::size_t>(offset));
    std::memcpy(buffer.data(), contents.data() + offset, size);
    disk_.bytes_read_[path_.string()] += size;
    return size;
  }

  Result<void> write_at(std::uint64_t offset, std::string_view bytes) override {
    std::lock_guard guard(disk_.mutex_);
    MILLRACE_CHECK_OK(alive());
    bool torn = false;
    auto begun = disk_.begin(Operation::write, path_, torn);
    if (!begun && !torn) return begun;
    std::string_view kept = torn ? bytes.substr(0, bytes.size() / 2) : bytes;
    const std::uint64_t end = offset + kept.size();
    const std::uint64_t growth = end > inode_->current.size() ? end - inode_->current.size() : 0;
    const std::uint64_t room = disk_.capacity_ - std::min(disk_.capacity_, disk_.used_bytes());
    if (growth > room) {
      kept = kept.substr(0, kept.size() - static_cast<std::size_t>(growth - room));
      begun = fail(Errc::disk_full, fmt::format("cannot write {}: no space", path_.string()));
    }
    change({Change::Kind::write, offset, std::string(kept)});
    return begun;
  }

  Result<void> sync_data() override {
    std::lock_guard guard(disk_.mutex_);
    MILLRACE_CHECK_OK(alive());
    bool torn = false;
    MILLRACE_CHECK_OK(disk_.begin(Operation::sync, path_, torn));
    for (const Change& change : inode_->unsynced) apply(inode_->durable, change);
    inode_->unsynced.clear();
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    std::lock_guard guard(disk_.mutex_);
    MILLRACE_CHECK_OK(alive());
    bool torn = false;
    MILLRACE_CHECK_OK(disk_.begin(Operation::truncate, path_, torn));
    change({Change::Kind::resize, size, {}});
    return {};
  }

  Result<void> allocate(std::uint64_t size) override {
    std::lock_guard guard(disk_.mutex_);
    MILLRACE_CHECK_OK(alive());
    bool torn = false;
    MILLRACE_CHECK_OK(disk_.begin(Operation::allocate, path_, torn));
    if (size <= inode_->current.size()) return {};
    if (disk_.used_bytes() + size - inode_->current.size() > disk_.capacity_) {
      return fail(Errc::disk_full, fmt::format("cannot allocate {}: no space", path_.string()));
    }
    change({Change::Kind::resize, size, {}});
    return {};
  }

  Result<std::uint64_t> size() const override {
    std::lock_guard guard(disk_.mutex_);
    MILLRACE_CHECK_OK(alive());
    return std::uint64_t{inode_->current.size()};
  }

 private:
  Result<void> alive() const {
    if (life_ == disk_.life_) return {};
    return fail(Errc::disk_failed, fmt::format("{}: the machine was off", path_.string()));
  }

  void change(Change change) {
    apply(inode_->current, change);
    inode_->unsynced.push_back(std::move(change));
  }

  FaultDisk& disk_;
  InodePtr inode_;
  fs::path path_;
  std::uint64_t life_;
};

class FaultDisk::HeldLock final : public FileLock {
 public:
  HeldLock(FaultDisk& disk, std::string path)
      : disk_(disk), path_(std::move(path)), life_(disk.life_) {}
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;
  ~HeldLock() override {
    std::lock_guard guard(disk_.mutex_);
    if (life_ == disk_.life_) disk_.locks_.erase(path_);
  }

 private:
  FaultDisk& disk_;
  std::string path_;
  std::uint64_t life_;
};

FaultDisk::FaultDisk() = default;
FaultDisk::~FaultDisk() = default;

Result<std::unique_ptr<File>> FaultDisk::open(const fs::path& path, OpenMode mode) {
  std::lock_guard guard(mutex_);
  Directory* directory = find_directory(path.parent_path());
  const std::string name = path.filename().string();
  InodePtr inode = find_inode(path);
  if (directory == nullptr || (inode == nullptr && mode != OpenMode::create)) {
    return fail(Errc::not_found, fmt::format("cannot open {}: no such file", path.string()));
  }
  if (mode == OpenMode::create) {
    if (inode != nullptr) {
      return fail(Errc::conflict, fmt::format("cannot open {}: it exists", path.string()));
    }
    inode = std::make_shared<Inode>();
    directory->unsynced.push_back({"", name, inode});
    apply(directory->current, directory->unsynced.back());
  }
  return std::make_unique<OpenFile>(*this, std::move(inode), path);
}

Result<void> FaultDisk::create_directories(const fs::path& path) {
  std::lock_guard guard(mutex_);
  for (fs::path at = path; at != at.parent_path(); at = at.parent_path()) {
    directories_[at.string()];
  }
  directories_["/"];
  return {};
}

Result<void> FaultDisk::sync_directory(const fs::path& path) {
  std::lock_guard guard(mutex_);
  bool torn = false;
  MILLRACE_CHECK_OK(begin(Operation::sync_directory, path, torn));
  Directory* directory = find_directory(path);
  if (directory == nullptr) return fail(Errc::not_found, "no directory " + path.string());
  directory->durable = directory->current;
  directory->unsynced.clear();
  return {};
}

Result<void> FaultDisk::rename(const fs::path& from, const fs::path& to) {
  std::lock_guard guard(mutex_);
  bool torn = false;
  MILLRACE_CHECK_OK(begin(Operation::rename, from, torn));
  InodePtr inode = find_inode(from);
  Directory* directory = find_directory(from.parent_path());
  if (inode == nullptr) return fail(Errc::not_found, "no file " + from.string());
  MILLRACE_INVARIANT(from.parent_path() == to.parent_path());
  directory->unsynced.push_back({from.filename().string(), to.filename().string(), inode});
  apply(directory->current, directory->unsynced.back());
  return {};
}

Result<void> FaultDisk::remove(const fs::path& path) {
  std::lock_guard guard(mutex_);
  if (find_inode(path) == nullptr) return fail(Errc::not_found, "no file " + path.string());
  if (operations_left_ == 0) return fail(Errc::disk_failed, "the machine is off");
  Directory* directory = find_directory(path.parent_path());
  directory->unsynced.push_back({path.filename().string(), "", nullptr});
  apply(directory->current, directory->unsynced.back());
  return {};
}

Result<std::vector<std::string>> FaultDisk::list(const fs::path& path) {
  std::lock_guard guard(mutex_);
  Directory* directory = find_directory(path);
  if (directory == nullptr) return fail(Errc::not_found, "no directory " + path.string());
  std::vector<std::string> names;
  for (const auto& [name, inode] : directory->current) names.push_back(name);
  return names;
}

Result<DiskSpace> FaultDisk::space(const fs::path&) {
  std::lock_guard guard(mutex_);
  const std::uint64_t total = std::min<std::uint64_t>(capacity_, std::uint64_t{1} << 40);
  return DiskSpace{.free_bytes = total - std::min(total, used_bytes()), .total_bytes = total};
}

Result<std::unique_ptr<FileLock>> FaultDisk::lock(const fs::path& path) {
  std::lock_guard guard(mutex_);
  if (!locks_.insert(path.string()).second) {
    return fail(Errc::locked, fmt::format("{} is in use by another process; stop it first",
                                          path.parent_path().string()));
  }
  return std::make_unique<HeldLock>(*this, path.string());
}

void FaultDisk::fail_once(Operation operation, std::uint64_t nth, Errc code) {
  std::lock_guard guard(mutex_);
  failures_.insert_or_assign(operation, std::pair(nth, code));
}

void FaultDisk::set_capacity(std::uint64_t bytes) {
  std::lock_guard guard(mutex_);
  capacity_ = bytes;
}

void FaultDisk::power_off_after(std::uint64_t operations) {
  std::lock_guard guard(mutex_);
  operations_left_ = operations;
}

void FaultDisk::power_cut(std::uint64_t seed) {
  std::lock_guard guard(mutex_);
  std::mt19937_64 random(seed);
  end_life();
  std::set<Inode*> settled;
  for (auto& [path, directory] : directories_) {
    const bool prefix = random() % 2 == 0;
    const std::size_t keep = random() % (directory.unsynced.size() + 1);
    for (std::size_t i = 0; i < directory.unsynced.size(); ++i) {
      if (prefix ? i < keep : random() % 2 == 0) apply(directory.durable, directory.unsynced[i]);
    }
    directory.current = directory.durable;
    directory.unsynced.clear();
    for (auto& [name, inode] : directory.current) {
      if (settled.insert(inode.get()).second) settle(*inode, random);
    }
  }
}

void FaultDisk::kill_process() {
  std::lock_guard guard(mutex_);
  end_life();
}

void FaultDisk::end_life() {
  ++life_;
  locks_.clear();
  failures_.clear();
  operations_left_.reset();
}

std::uint64_t FaultDisk::count(Operation operation) const {
  std::lock_guard guard(mutex_);
  const auto found = counts_.find(operation);
  return found == counts_.end() ? 0 : found->second;
}

void FaultDisk::fail_reads(const fs::path& path, std::uint64_t offset, Errc code) {
  std::lock_guard guard(mutex_);
  bad_reads_[path.string()] = {offset, code};
}

void FaultDisk::allow_reads(const fs::path& path) {
  std::lock_guard guard(mutex_);
  bad_reads_.erase(path.string());
}

std::uint64_t FaultDisk::open_files() const {
  std::lock_guard guard(mutex_);
  return open_files_;
}

std::uint64_t FaultDisk::bytes_read(const fs::path& path) const {
  std::lock_guard guard(mutex_);
  const auto found = bytes_read_.find(path.string());
  return found == bytes_read_.end() ? 0 : found->second;
}

void FaultDisk::overwrite(const fs::path& path, std::uint64_t offset, std::string_view bytes) {
  std::lock_guard guard(mutex_);
  InodePtr inode = find_inode(path);
  MILLRACE_INVARIANT(inode != nullptr);
  const Change change{Change::Kind::write, offset, std::string(bytes)};
  apply(inode->current, change);
  apply(inode->durable, change);
}

std::string FaultDisk::contents(const fs::path& path) const {
  std::lock_guard guard(mutex_);
  InodePtr inode = find_inode(path);
  return inode == nullptr ? std::string() : inode->current;
}

Result<void> FaultDisk::begin(Operation operation, const fs::path& path, bool& torn) {
  if (operations_left_) {
    if (*operations_left_ == 0) {
      return fail(Errc::disk_failed, fmt::format("{}: the machine is off", path.string()));
    }
    --*operations_left_;
  }
  if (const auto planned = failures_.find(operation); planned != failures_.end()) {
    if (--planned->second.first == 0) {
      const Errc code = planned->second.second;
      failures_.erase(planned);
      torn = true;
      return fail(code, fmt::format("{}: injected failure", path.string()));
    }
  }
  ++counts_[operation];
  return {};
}

FaultDisk::Directory* FaultDisk::find_directory(const fs::path& path) {
  const auto found = directories_.find(path.string());
  return found == directories_.end() ? nullptr : &found->second;
}

FaultDisk::InodePtr FaultDisk::find_inode(const fs::path& path) const {
  const auto directory = directories_.find(path.parent_path().string());
  if (directory == directories_.end()) return nullptr;
  const auto found = directory->second.current.find(path.filename().string());
  return found == directory->second.current.end() ? nullptr : found->second;
}

std::uint64_t FaultDisk::used_bytes() const {
  std::uint64_t used = 0;
  for (const auto& [path, directory] : directories_) {
    for (const auto& [name, inode] : directory.current) used += inode->current.size();
  }
  return used;
}

void FaultDisk::apply(std::string& contents, const Change& change) {
  if (change.kind == Change::Kind::resize) {
    contents.resize(static_cast<std::size_t>(change.offset), '\0');
    return;
  }
  const std::size_t end = static_cast<std::size_t>(change.offset) + change.bytes.size();
  if (end > contents.size()) contents.resize(end, '\0');
  std::copy(change.bytes.begin(), change.bytes.end(),
            contents.begin() + static_cast<std::ptrdiff_t>(change.offset));
}

void FaultDisk::apply(Names& names, const NameChange& change) {
  if (!change.removed.empty()) names.erase(change.removed);
  if (!change.added.empty()) names.insert_or_assign(change.added, change.inode);
}

void FaultDisk::settle(Inode& inode, std::mt19937_64& random) {
  constexpr std::size_t kSector = 512;
  const bool prefix = random() % 2 == 0;
  const std::size_t keep = random() % (inode.unsynced.size() + 1);
  for (std::size_t i = 0; i < inode.unsynced.size(); ++i) {
    if (prefix ? i >= keep : random() % 2 == 0) continue;
    Change change = inode.unsynced[i];
    const bool torn = change.kind == Change::Kind::write && !change.bytes.empty() &&
                      (prefix ? i + 1 == keep : random() % 4 == 0);
    if (!torn) {
      apply(inode.durable, change);
    } else if (random() % 2 == 0) {
      change.bytes.resize(random() % change.bytes.size());
      apply(inode.durable, change);
    } else {
      for (std::size_t at = 0; at < change.bytes.size(); at += kSector) {
        if (random() % 2 == 0) continue;
        apply(inode.durable,
              {Change::Kind::write, change.offset + at, change.bytes.substr(at, kSector)});
      }
    }
  }
  inode.unsynced.clear();
  inode.current = inode.durable;
}

}  // namespace millrace
