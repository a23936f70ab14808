#include "stores/files_copy_target.hpp"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <utility>

#include "log/inspect.hpp"
#include "log/journal_appender.hpp"
#include "log/journal_reader.hpp"
#include "log/manifest.hpp"

namespace millrace::stores {
namespace {

namespace fs = std::filesystem;

constexpr std::array kJournals{Journal::inbox, Journal::events, Journal::trail};
constexpr std::uint64_t kSegmentBytes = std::uint64_t{128} << 20;
constexpr std::uint64_t kIndexBytes = std::uint64_t{4} << 20;
constexpr std::size_t kFrameRecords = 1000;
constexpr std::size_t kFrameBytes = std::size_t{1} << 20;
constexpr std::size_t kMarkBytesMax = std::size_t{16} << 20;

/// Frames carry the time of the clock: here that of the records.
class RecordClock final : public Clock {
 public:
  WallTime wall_now() const override { return now; }
  BootTime boot_now() const override { return system_clock().boot_now(); }
  WallTime now;
};

/// One journal: records of one time make a frame.
struct JournalCopy {
  RecordClock clock;
  std::unique_ptr<log::JournalAppender> appender;
  log::Group group;

  Result<void> write_frame() {
    if (group.entries.empty()) return {};
    MILLRACE_TRY(bytes, log::measure(group.entries));
    group.bytes = bytes;
    std::array<log::Group*, 1> batch{&group};
    auto appended = appender->append(batch, false);
    group = {};
    return appended ? Result<void>() : std::unexpected(std::move(appended).error());
  }
};

class FilesCopyTarget final : public LogCopyTarget {
 public:
  FilesCopyTarget(Disk& disk, fs::path directory, std::unique_ptr<FileLock> lock)
      : disk_(disk), directory_(std::move(directory)), lock_(std::move(lock)) {}

  Result<void> begin(const CopyPlan& plan) override;
  PartitionOffsets base(const LogStream& stream) const override {
    return of(stream.journal).appender->catalog()->begins();
  }
  Result<void> write(Journal journal, const LogRecord& record) override;
  Result<void> flush() override;
  std::vector<LogStream> streams() const override {
    return {Journal::inbox, Journal::events, Journal::trail};
  }
  Result<std::unique_ptr<LogReader>> open_reader(const LogStream& stream) override {
    const auto& catalog = of(stream.journal).appender->catalog();
    return log::JournalReader::open(disk_, catalog, catalog->begins(), troubles_);
  }
  Result<void> complete(const CopyMark& mark) override;
  // The mark of a copy that is not complete stays: the next one begins anew.
  Result<void> give_up(const CopyMark&) override { return {}; }

 private:
  JournalCopy& of(Journal journal) const { return *copies_.at(std::to_underlying(journal)); }
  fs::path folder(Journal journal) const { return directory_ / std::string(to_string(journal)); }
  Result<void> claim(const CopyPlan& plan);
  Result<void> remove(const fs::path& path);
  Result<void> remove_journals();

  Disk& disk_;
  fs::path directory_;
  std::unique_ptr<FileLock> lock_;
  std::string uuid_;
  log::TroublesPtr troubles_ = std::make_shared<log::Troubles>(system_clock());
  std::array<std::unique_ptr<JournalCopy>, kJournalCount> copies_;
};

Result<void> FilesCopyTarget::begin(const CopyPlan& plan) {
  MILLRACE_CHECK_OK(claim(plan));
  uuid_ = random_uuid();
  for (const Journal journal : kJournals) {
    MILLRACE_CHECK_OK(disk_.create_directories(folder(journal)));
    auto copy = std::make_unique<JournalCopy>();
    MILLRACE_TRY(appender, log::JournalAppender::open({.disk = &disk_,
                                                       .clock = &copy->clock,
                                                       .journal = journal,
                                                       .directory = folder(journal),
                                                       .log_uuid = uuid_,
                                                       .segment_bytes = kSegmentBytes,
                                                       .index_bytes = kIndexBytes,
                                                       .sync_each_batch = false,
                                                       .first = room_of(plan.rooms, journal)},
                                                      {}));
    copy->appender = std::move(appender);
    copies_.at(std::to_underlying(journal)) = std::move(copy);
  }
  return {};
}

Result<void> FilesCopyTarget::claim(const CopyPlan& plan) {
  std::string text;
  for (const char* name : {log::kCopiedFile, log::kCopyingFile}) {
    auto found = read_file(disk_, directory_ / name, kMarkBytesMax);
    if (found) text = *std::move(found);
  }
  if (text.empty()) {
    for (const Journal journal : kJournals) {
      const auto names = disk_.list(folder(journal));
      if (!names || names->empty()) continue;
      return fail(Errc::conflict,
                  fmt::format("{} holds a log already: name a new directory", directory_.string()));
    }
  } else {
    MILLRACE_TRY(json, parse_json(text));
    MILLRACE_TRY(mark, decode_copy_mark(json));
    if (mark.from != plan.from) {
      return fail(Errc::conflict,
                  fmt::format("{} holds a copy of another log, {}: name a new directory",
                              directory_.string(), mark.from));
    }
  }
  const CopyMark mark{"writing", plan.from, plan.begins, {}, {}};
  MILLRACE_CHECK_OK(write_file_durably(disk_, directory_ / log::kCopyingFile, encode(mark)));
  return remove_journals();
}

Result<void> FilesCopyTarget::remove(const fs::path& path) {
  auto removed = disk_.remove(path);
  return removed || removed.error().code == Errc::not_found ? Result<void>() : removed;
}

Result<void> FilesCopyTarget::remove_journals() {
  for (const char* name : {log::kCopiedFile, "log.json"}) {
    MILLRACE_CHECK_OK(remove(directory_ / name));
  }
  for (const Journal journal : kJournals) {
    const auto names = disk_.list(folder(journal));
    if (!names) continue;
    for (const std::string& name : *names) MILLRACE_CHECK_OK(remove(folder(journal) / name));
    MILLRACE_CHECK_OK(disk_.sync_directory(folder(journal)));
  }
  return disk_.sync_directory(directory_);
}

Result<void> FilesCopyTarget::write(Journal journal, const LogRecord& record) {
  JournalCopy& copy = of(journal);
  const bool full = copy.group.entries.size() >= kFrameRecords ||
                    copy.group.bytes + record.payload.size() > kFrameBytes;
  if (full || record.appended_at != copy.clock.now) MILLRACE_CHECK_OK(copy.write_frame());
  copy.clock.now = record.appended_at;
  copy.group.entries.push_back(
      {record.partition, std::string(record.topic), std::string(record.payload), {}});
  copy.group.bytes += record.payload.size();
  return {};
}

Result<void> FilesCopyTarget::flush() {
  for (const auto& copy : copies_) {
    MILLRACE_CHECK_OK(copy->write_frame());
    MILLRACE_CHECK_OK(copy->appender->sync());
    if (copy->appender->wants_mark()) MILLRACE_CHECK_OK(copy->appender->mark());
    MILLRACE_CHECK_OK(copy->appender->sync());
  }
  return {};
}

Result<void> FilesCopyTarget::complete(const CopyMark& mark) {
  MILLRACE_CHECK_OK(write_file_durably(disk_, directory_ / log::kCopiedFile, encode(mark)));
  MILLRACE_CHECK_OK(log::write_manifest(disk_, directory_, {uuid_}));
  MILLRACE_CHECK_OK(disk_.remove(directory_ / log::kCopyingFile));
  return disk_.sync_directory(directory_);
}

}  // namespace

Result<std::unique_ptr<LogCopyTarget>> open_files_copy_target(Disk& disk,
                                                              const config::Installation& to) {
  const fs::path directory(to.log_directory);
  MILLRACE_CHECK_OK(disk.create_directories(directory));
  MILLRACE_TRY(lock, disk.lock(directory / "lock"));
  return std::make_unique<FilesCopyTarget>(disk, directory, std::move(lock));
}

}  // namespace millrace::stores
