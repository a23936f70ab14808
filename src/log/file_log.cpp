#include "log/file_log.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>
#include <cstdlib>

#include "log/inspect.hpp"
#include "log/journal_reader.hpp"
#include "log/journal_writer.hpp"
#include "log/manifest.hpp"
#include "log/side_keeper.hpp"
#include "millrace/json.hpp"

namespace millrace {
namespace {

namespace fs = std::filesystem;
using log::JournalAppender;
using log::JournalWriter;
using log::SegmentPtr;

constexpr std::array kJournals{Journal::inbox, Journal::events, Journal::trail};
/// Those whose appends wait for the disk, so that their ends bind.
constexpr std::array kSyncedJournals{Journal::inbox, Journal::events};
constexpr int kExitDiskFailed = 70;
constexpr std::uint64_t kSegmentBytesMin = 8192;

void stop_process(const Error& error) {
  spdlog::critical("The disk failed under the log, so nothing can be acknowledged: error={}",
                   error.message);
  spdlog::default_logger_raw()->flush();
  std::_Exit(kExitDiskFailed);
}

class FileLog final : public EventLog {
 public:
  FileLog(FileLogOptions options, std::string uuid, std::unique_ptr<FileLock> lock)
      : options_(std::move(options)), uuid_(std::move(uuid)), lock_(std::move(lock)) {
    if (!options_.fatal) options_.fatal = stop_process;
    troubles_ = std::make_shared<log::Troubles>(options_.clock);
  }
  ~FileLog() override { FileLog::close(); }
  FileLog(const FileLog&) = delete;
  FileLog& operator=(const FileLog&) = delete;

  Result<void> start(std::array<std::vector<SegmentPtr>, kJournalCount> segments);
  using Appenders = std::array<std::unique_ptr<JournalAppender>, kJournalCount>;
  using Positions = std::array<std::uint64_t, kJournalCount>;
  Result<void> check_stored(const Appenders& appenders) const;
  Result<void> check_ends(std::string_view stored, const Positions& ends) const;
  Result<void> start_keeper(const Appenders& appenders);

  void append(Journal journal, std::vector<LogEntry> group, Executor& home,
              AppendDone done) override {
    writer(journal).append(std::move(group), home, std::move(done));
  }
  void set_tail_listener(Journal journal, TailListener listener) override {
    writer(journal).set_tail_listener(
        [listener = std::move(listener), stream = LogStream(journal)](const RecordBatchPtr& batch) {
          listener(stream, batch);
        });
  }
  Result<std::unique_ptr<LogReader>> open_reader(const LogStream& stream,
                                                 const PartitionOffsets& from) override {
    auto reader =
        log::JournalReader::open(options_.disk, writer(stream.journal).catalog(), from, troubles_);
    if (!reader) {
      reader.error().message = fmt::format("{}: {}", to_string(stream), reader.error().message);
    }
    return reader;
  }
  PartitionOffsets ends(const LogStream& stream) const override {
    return catalog(stream.journal).ends();
  }
  PartitionOffsets begins(const LogStream& stream) const override {
    return catalog(stream.journal).begins();
  }
  Result<std::vector<bool>> known_ids(Journal journal, std::span<const RecordId> ids,
                                      WallTime since) override {
    if (!keeper_) return std::vector<bool>(ids.size());
    return keeper_->known_ids(journal, ids, since);
  }
  bool archives_ids(Journal journal) const override {
    return keeper_ && keeper_->archives_ids(journal);
  }
  std::string durable_ends() const override;
  Result<void> verify_ends(std::string_view stored) const override;
  std::vector<Trouble> troubles() const override { return troubles_->list(); }
  std::string uuid() const override { return uuid_; }
  bool empty() const override;
  Usage usage() const override;
  Result<std::vector<StoredFile>> stored_files() const override;
  std::vector<SealedPart> sealed_parts(const LogStream& stream) const override {
    return catalog(stream.journal).sealed_parts();
  }
  Result<void> trim(const LogStream& stream, WallTime older_than,
                    const PartitionOffsets& keep_from) override;
  void close() override {
    for (auto& writer : writers_) {
      if (writer) writer->close();
    }
    if (keeper_) keeper_->close();
    lock_.reset();
  }

 private:
  JournalWriter& writer(Journal journal) const {
    return *writers_[static_cast<std::size_t>(journal)];
  }
  log::SegmentCatalog& catalog(Journal journal) const { return *writer(journal).catalog(); }

  FileLogOptions options_;
  std::string uuid_;
  std::unique_ptr<FileLock> lock_;
  log::TroublesPtr troubles_;
  std::unique_ptr<log::SideKeeper> keeper_;  ///< before the writers, which tell it
  std::array<std::unique_ptr<JournalWriter>, kJournalCount> writers_;
};

fs::path directory_of(const fs::path& log, Journal journal) {
  return log / std::string(to_string(journal));
}

Result<void> FileLog::start(std::array<std::vector<SegmentPtr>, kJournalCount> segments) {
  Appenders appenders;
  for (const Journal journal : kJournals) {
    const auto index = static_cast<std::size_t>(journal);
    const fs::path directory = directory_of(options_.directory, journal);
    MILLRACE_CHECK_OK(options_.disk.create_directories(directory));
    MILLRACE_TRY(appender, JournalAppender::look({.disk = &options_.disk,
                                                  .clock = &options_.clock,
                                                  .journal = journal,
                                                  .directory = directory,
                                                  .log_uuid = uuid_,
                                                  .segment_bytes = options_.segment_bytes,
                                                  .index_bytes = options_.index_bytes,
                                                  .sync_each_batch = journal != Journal::trail,
                                                  .memory = options_.id_memories[index]},
                                                 std::move(segments[index])));
    appenders[index] = std::move(appender);
  }
  MILLRACE_CHECK_OK(check_stored(appenders));
  for (const auto& appender : appenders) MILLRACE_CHECK_OK(appender->open());
  if (options_.side_files) MILLRACE_CHECK_OK(start_keeper(appenders));
  for (std::size_t i = 0; i < kJournalCount; ++i) {
    writers_[i] = std::make_unique<JournalWriter>(
        std::move(appenders[i]), log::WriterOptions{.idle_mark = options_.idle_mark,
                                                    .sync_every = options_.trail_sync,
                                                    .fatal = options_.fatal});
  }
  return {};
}

Result<void> FileLog::start_keeper(const Appenders& appenders) {
  log::SideKeeper::Catalogs catalogs;
  for (std::size_t i = 0; i < kJournalCount; ++i) catalogs[i] = appenders[i]->catalog();
  const Clock* expiry = options_.expiry_clock != nullptr ? options_.expiry_clock : &options_.clock;
  MILLRACE_TRY(keeper, log::SideKeeper::open({.disk = &options_.disk,
                                              .clock = expiry,
                                              .directory = options_.directory,
                                              .log_uuid = uuid_,
                                              .index_bytes = options_.index_bytes,
                                              .window = options_.ids_window,
                                              .ids_max = options_.ids_max,
                                              .bloom_bytes_max = options_.bloom_bytes_max,
                                              .retry = options_.side_retry,
                                              .troubles = troubles_,
                                              .memories = options_.id_memories},
                                             std::move(catalogs)));
  keeper_ = std::move(keeper);
  for (const Journal journal : kJournals) {
    appenders[static_cast<std::size_t>(journal)]->set_sealed(
        [keeper = keeper_.get(), journal](SegmentPtr segment) {
          keeper->seal(journal, std::move(segment));
        });
  }
  return {};
}

std::string FileLog::durable_ends() const {
  std::string text = fmt::format(R"({{"log":"{}")", uuid_);
  for (const Journal journal : kSyncedJournals) {
    text += fmt::format(R"(,"{}":{})", to_string(journal), catalog(journal).data_end());
  }
  return text + "}";
}

Result<void> FileLog::verify_ends(std::string_view stored) const {
  Positions ends{};
  for (const Journal journal : kSyncedJournals) {
    ends[static_cast<std::size_t>(journal)] = catalog(journal).data_end();
  }
  return check_ends(stored, ends);
}

/// Before anything is changed: what is cut off is not even looked at again.
Result<void> FileLog::check_stored(const Appenders& appenders) const {
  if (!options_.stored_ends) return {};
  MILLRACE_TRY(stored, options_.stored_ends());
  if (!stored) return {};
  Positions ends{};
  for (std::size_t i = 0; i < kJournalCount; ++i) ends[i] = appenders[i]->data_end();
  return check_ends(*stored, ends);
}

Result<void> FileLog::check_ends(std::string_view stored, const Positions& ends) const {
  MILLRACE_TRY(json, parse_json(stored));
  const std::string_view uuid = string_or(json, "log", "");
  if (uuid != uuid_) {
    return fail(Errc::wrong_environment,
                fmt::format("the state belongs to log {}, but {} is log {}: start with the log "
                            "and the state that belong together, or move the state away and give "
                            "this log a new one with `millrace state adopt --routes-from POSITION "
                            "--reason TEXT`",
                            uuid, options_.directory.string(), uuid_));
  }
  for (const Journal journal : kSyncedJournals) {
    const auto expected = static_cast<std::uint64_t>(int_or(json, to_string(journal), 0));
    const std::uint64_t end = ends[static_cast<std::size_t>(journal)];
    if (end >= expected) continue;
    return fail(Errc::corrupt,
                fmt::format("journal {} in {} ends at byte {}, but the state knows it durable up "
                            "to byte {}: acknowledged records are gone. Put the log's files back "
                            "from where they went, or adopt what is left with `millrace state "
                            "adopt --routes-from POSITION --reason TEXT`",
                            to_string(journal), options_.directory.string(), end, expected));
  }
  return {};
}

bool FileLog::empty() const {
  for (const Journal journal : kJournals) {
    for (const Offset end : ends(journal)) {
      if (end > 0) return false;
    }
  }
  return true;
}

Result<std::vector<EventLog::StoredFile>> FileLog::stored_files() const {
  std::vector<StoredFile> files;
  for (const Journal journal : {Journal::events, Journal::trail, Journal::inbox}) {
    const fs::path directory(to_string(journal));
    for (const SegmentPtr& segment : catalog(journal).segments()) {
      const std::uint64_t limit = catalog(journal).extent(*segment).limit;
      files.push_back({(directory / segment->path.filename()).string(),
                       log::kSegmentHeaderBytes + limit - segment->header.base_position, false});
    }
    MILLRACE_TRY(names, options_.disk.list(options_.directory / directory));
    for (const std::string& name : names) {
      if (!log::parse_side_name(name)) continue;
      const auto file = options_.disk.open(options_.directory / directory / name, OpenMode::read);
      if (!file) continue;
      MILLRACE_TRY(size, (*file)->size());
      files.push_back({(directory / name).string(), size, true});
    }
  }
  MILLRACE_TRY(manifest, options_.disk.open(options_.directory / "log.json", OpenMode::read));
  MILLRACE_TRY(size, manifest->size());
  files.push_back({"log.json", size, false});
  return files;
}

EventLog::Usage FileLog::usage() const {
  Usage usage;
  for (const Journal journal : kJournals) {
    usage.bytes += catalog(journal).bytes(options_.segment_bytes);
  }
  const auto space = options_.disk.space(options_.directory);
  if (!space) return usage;
  usage.disk_free = space->free_bytes;
  usage.disk_size = space->total_bytes;
  if (space->total_bytes > 0) {
    usage.disk_free_fraction =
        static_cast<double>(space->free_bytes) / static_cast<double>(space->total_bytes);
  }
  return usage;
}

Result<void> FileLog::trim(const LogStream& stream, WallTime older_than,
                           const PartitionOffsets& keep_from) {
  const Journal journal = stream.journal;
  std::size_t removed = 0;
  const auto may_drop = [&](std::uint64_t base) {
    return !keeper_ || keeper_->may_drop(journal, base);
  };
  while (const auto path = catalog(journal).take_oldest(older_than, keep_from, may_drop)) {
    MILLRACE_CHECK_OK(options_.disk.remove(*path));
    troubles_->clear(path->string());
    troubles_->clear(log::SideKeeper::kIdsPrefix + path->string());
    // One by one: a power cut must not bring an older segment back behind a gap.
    MILLRACE_CHECK_OK(options_.disk.sync_directory(path->parent_path()));
    ++removed;
  }
  if (keeper_) MILLRACE_CHECK_OK(keeper_->expire(journal));
  if (removed > 0) {
    spdlog::info("Old segments were dropped: journal={} segments={}", to_string(journal), removed);
  }
  return {};
}

/// Reads who the log is; makes it a log when the directory is empty.
Result<std::string> identify(FileLogOptions& options) {
  MILLRACE_TRY(manifest, log::read_manifest(options.disk, options.directory));
  if (manifest) return manifest->uuid;
  if (options.stored_ends) {
    MILLRACE_TRY(stored, options.stored_ends());
    if (stored) {
      return fail(Errc::wrong_environment,
                  fmt::format("the state knows a log with records, but {} holds none: put the "
                              "log's directory back where it was, or move the state away too and "
                              "begin anew",
                              options.directory.string()));
    }
  }
  for (const Journal journal : kJournals) {
    const auto names = options.disk.list(directory_of(options.directory, journal));
    if (!names || names->empty()) continue;
    return fail(Errc::corrupt,
                fmt::format("{} holds segments but no log.json; put it back from a backup",
                            options.directory.string()));
  }
  MILLRACE_TRY(created, log::create_manifest(options.disk, options.directory));
  return created.uuid;
}

}  // namespace

Result<std::unique_ptr<EventLog>> open_file_log(FileLogOptions options) {
  if (options.segment_bytes < kSegmentBytesMin) {
    return fail(Errc::invalid_argument,
                fmt::format("segments need at least {} bytes", kSegmentBytesMin));
  }
  // Before the first change to the directory: a newer version's log is left as it is.
  auto known = log::read_manifest(options.disk, options.directory);
  if (!known) return std::unexpected(std::move(known).error());
  MILLRACE_CHECK_OK(options.disk.create_directories(options.directory));
  MILLRACE_TRY(lock, options.disk.lock(options.directory / "lock"));
  MILLRACE_TRY(uuid, identify(options));
  std::array<std::vector<SegmentPtr>, kJournalCount> segments;
  for (const Journal journal : kJournals) {
    auto found = log::inspect_segments(options.disk, directory_of(options.directory, journal),
                                       journal, uuid);
    if (!found && found.error().code == Errc::not_found) continue;
    if (!found) return std::unexpected(std::move(found).error());
    segments[static_cast<std::size_t>(journal)] = std::move(*found);
  }
  auto file_log = std::make_unique<FileLog>(std::move(options), std::move(uuid), std::move(lock));
  MILLRACE_CHECK_OK(file_log->start(std::move(segments)));
  return file_log;
}

}  // namespace millrace
