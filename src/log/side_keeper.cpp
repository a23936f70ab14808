#include "log/side_keeper.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/thread_name.hpp"
#include "log/inspect.hpp"

namespace millrace::log {
namespace {

std::uint32_t second_of(WallTime time) {
  const auto whole = std::chrono::ceil<std::chrono::seconds>(time.time_since_epoch());
  return static_cast<std::uint32_t>(std::max<std::int64_t>(whole.count(), 0));
}

constexpr std::string_view kLookAtDisk = "look at the disk and the kernel's log, then restart";

/// The key of what is told about the ids of a segment or side file.
std::string ids_of(const std::filesystem::path& path) {
  return SideKeeper::kIdsPrefix + path.string();
}

std::string forgotten(const Error& error) {
  return fmt::format("messages of that time are not recognised when they are sent again: {}",
                     error.message);
}

}  // namespace

Result<std::unique_ptr<SideKeeper>> SideKeeper::open(KeeperOptions options, Catalogs catalogs) {
  std::unique_ptr<SideKeeper> keeper(new SideKeeper(std::move(options), std::move(catalogs)));
  for (const Journal journal : {Journal::inbox, Journal::events, Journal::trail}) {
    MILLRACE_CHECK_OK(keeper->take_in(journal));
  }
  keeper->thread_ = std::thread([raw = keeper.get()] { raw->run(); });
  return keeper;
}

/// Newest first, so that the filters kept in memory are those of the newest.
Result<void> SideKeeper::take_in(Journal journal) {
  std::vector<SegmentPtr> segments = catalogs_[index(journal)]->segments();
  const std::uint64_t active = segments.back()->header.base_position;
  segments.pop_back();
  sealed_end_[index(journal)] = active;
  files_[index(journal)] = std::make_shared<const Files>();
  MILLRACE_TRY(names, options_.disk->list(folder(journal)));
  std::set<std::uint64_t, std::greater<>> there;
  for (const std::string& name : names) {
    const auto base = parse_side_name(name);
    if (!base) continue;
    if (*base < active) {
      there.insert(*base);
      continue;
    }
    // What lay there was moved aside: its ids are not on record any more.
    MILLRACE_CHECK_OK(options_.disk->remove(folder(journal) / name));
  }
  std::set<std::uint64_t, std::greater<>> bases = there;
  for (const SegmentPtr& segment : segments) bases.insert(segment->header.base_position);
  for (const std::uint64_t base : bases) {
    const SegmentPtr segment = catalogs_[index(journal)]->beginning_at(base);
    if (there.contains(base)) {
      auto side = open_side(journal, base, segment);
      if (side) {
        publish(journal, std::move(*side));
        continue;
      }
      if (side.error().code == Errc::newer_format) return std::unexpected(side.error());
      spdlog::warn("A side file is not usable: error={}", side.error().message);
      // What the disk does not give today it may give after the next start.
      if (!segment && side.error().code == Errc::corrupt) {
        MILLRACE_CHECK_OK(options_.disk->remove(folder(journal) / side_name(base)));
      } else if (!segment) {
        options_.troubles->note(ids_of(folder(journal) / side_name(base)), forgotten(side.error()),
                                std::string(kLookAtDisk));
      }
    }
    if (!segment) continue;
    queue_.push_back({journal, segment, false});
    if (options_.memories[index(journal)] != nullptr) ++missing_[index(journal)];
  }
  archives_[index(journal)] = missing_[index(journal)] > 0 || !files_[index(journal)]->empty();
  return {};
}

Result<std::shared_ptr<SideFile>> SideKeeper::open_side(Journal journal, std::uint64_t base,
                                                        const SegmentPtr& segment) {
  const std::filesystem::path path = folder(journal) / side_name(base);
  MILLRACE_TRY(side, SideFile::open(*options_.disk, path));
  const SideHeader& header = side->header();
  const bool fits =
      header.journal == journal && header.log_uuid == options_.log_uuid &&
      header.base_position == base &&
      (!segment || (header.salt == segment->header.salt && header.end_position == segment->end));
  if (!fits) {
    return fail(Errc::corrupt, fmt::format("{} belongs to another segment", path.string()));
  }
  if (deserves_filter(header, side->bloom_bytes())) MILLRACE_CHECK_OK(side->load_bloom());
  if (segment) {
    MILLRACE_TRY(index, side->read_index());
    catalogs_[SideKeeper::index(journal)]->set_index(*segment, std::move(index));
  }
  return side;
}

void SideKeeper::publish(Journal journal, SideFilePtr side) {
  const std::uint64_t base = side->header().base_position;
  const std::lock_guard guard(mutex_);
  auto files = std::make_shared<Files>(*files_[index(journal)]);
  const auto base_of = [](const SideFilePtr& file) { return file->header().base_position; };
  const auto at = std::ranges::lower_bound(*files, base, {}, base_of);
  if (at != files->end() && base_of(*at) == base) {
    *at = std::move(side);
  } else {
    files->insert(at, std::move(side));
  }
  files_[index(journal)] = std::move(files);
  archives_[index(journal)] = true;
  keep_newest_filters();
}

/// Whether its filter fits beside those of all that are newer.
bool SideKeeper::deserves_filter(const SideHeader& header, std::size_t bytes) const {
  const std::lock_guard guard(mutex_);
  for (const FilesPtr& files : files_) {
    if (!files) continue;
    for (const SideFilePtr& file : *files) {
      const bool newer = file->header().last_time >= header.last_time;
      if (newer && file->bloom_is_loaded()) bytes += file->bloom_bytes();
    }
  }
  return bytes <= options_.bloom_bytes_max;
}

/// Under the lock. Repeats come soon: what does not fit is given up from the oldest on.
void SideKeeper::keep_newest_filters() {
  struct Place {
    std::size_t journal = 0;
    std::size_t file = 0;
  };
  std::vector<std::pair<WallTime, Place>> loaded;
  for (std::size_t journal = 0; journal < kJournalCount; ++journal) {
    if (!files_[journal]) continue;
    for (std::size_t i = 0; i < files_[journal]->size(); ++i) {
      const SideFilePtr& file = (*files_[journal])[i];
      if (file->bloom_is_loaded()) loaded.push_back({file->header().last_time, {journal, i}});
    }
  }
  std::ranges::sort(loaded, std::greater<>(), &std::pair<WallTime, Place>::first);
  std::size_t bytes = 0;
  for (const auto& [time, place] : loaded) {
    const SideFilePtr file = (*files_[place.journal])[place.file];
    bytes += file->bloom_bytes();
    if (bytes <= options_.bloom_bytes_max) continue;
    auto files = std::make_shared<Files>(*files_[place.journal]);
    (*files)[place.file] = file->without_bloom();
    files_[place.journal] = std::move(files);
  }
}

void SideKeeper::seal(Journal journal, SegmentPtr segment) {
  {
    const std::lock_guard guard(mutex_);
    sealed_end_[index(journal)] = segment->end;
    queue_.push_back({journal, std::move(segment), true});
  }
  changed_.notify_one();
}

void SideKeeper::run() {
  name_this_thread("side-files");
  for (;;) {
    Work work;
    {
      std::unique_lock guard(mutex_);
      changed_.wait(guard, [this] { return closing_ || !queue_.empty(); });
      if (closing_) return;
      work = queue_.front();
    }
    auto contents = gather(work);
    if (!contents) {
      cannot_read(std::move(work), contents.error());
      continue;
    }
    const auto written = write(work, *std::move(contents));
    if (written) {
      options_.troubles->clear(ids_of(work.segment->path));
      finished(work);
      continue;
    }
    spdlog::warn("A side file could not be written and is tried again: error={}",
                 written.error().message);
    options_.troubles->note(
        ids_of(work.segment->path),
        fmt::format("the side file of a segment cannot be written: {}", written.error().message),
        std::string(kLookAtDisk));
    put_off(std::move(work));
  }
}

/// Nothing that can be read is lost: what is behind damage is lost to everyone, and what the disk
/// does not give is asked for some times more.
void SideKeeper::cannot_read(Work work, const Error& error) {
  const bool for_good = error.code == Errc::corrupt || error.code == Errc::not_found;
  if (error.code == Errc::disk_failed) ++work.unread;
  if (work.unread <= 1) {
    spdlog::error("The ids of a segment cannot be read: error={}", error.message);
    options_.troubles->note(ids_of(work.segment->path), forgotten(error),
                            "millrace log verify, with the daemon stopped");
  }
  if (!for_good && work.unread < options_.read_attempts_max) return put_off(std::move(work));
  {
    const std::lock_guard guard(mutex_);
    unreadable_[index(work.journal)].insert(work.segment->header.base_position);
  }
  finished(work);
}

/// To the end of the queue, which goes on with the others. Waits when there is no other.
void SideKeeper::put_off(Work work) {
  std::unique_lock guard(mutex_);
  queue_.pop_front();
  queue_.push_back(std::move(work));
  if (++failures_ < queue_.size()) return;
  failures_ = 0;
  changed_.wait_for(guard, options_.retry, [this] { return closing_; });
}

/// What the side file of a segment says, read from the segment.
Result<SideContents> SideKeeper::gather(const Work& work) const {
  Segment segment{
      .path = work.segment->path, .header = work.segment->header, .end = 0, .index = {}};
  segment.end = catalogs_[index(work.journal)]->extent(*work.segment).limit;
  SideContents contents;
  std::vector<RecordId> found;
  const IdMemory* memory = options_.memories[index(work.journal)];
  RecordVisitor visit;
  if (memory != nullptr) {
    visit = [&](const LogRecord& record) {
      found.clear();
      memory->ids_of(record, found);
      for (const RecordId& id : found) contents.ids.push_back({id, second_of(record.appended_at)});
    };
  }
  MILLRACE_TRY(scan, scan_segment(*options_.disk, segment, options_.index_bytes, visit));
  if (scan.damaged) return std::unexpected(damage(segment, scan.end));
  contents.header = {.journal = work.journal,
                     .log_uuid = options_.log_uuid,
                     .salt = segment.header.salt,
                     .base_position = segment.header.base_position,
                     .end_position = segment.end,
                     .last_time = scan.last_time};
  contents.index = std::move(segment.index);
  return contents;
}

Result<void> SideKeeper::write(const Work& work, SideContents contents) {
  const std::uint64_t base = contents.header.base_position;
  MILLRACE_CHECK_OK(
      write_side_file(*options_.disk, folder(work.journal) / side_name(base), std::move(contents)));
  MILLRACE_TRY(side, open_side(work.journal, base, work.segment));
  publish(work.journal, std::move(side));
  return {};
}

void SideKeeper::finished(const Work& work) {
  std::uint64_t archived = 0;
  {
    const std::lock_guard guard(mutex_);
    queue_.pop_front();
    failures_ = 0;
    IdMemory* memory = options_.memories[index(work.journal)];
    if (memory == nullptr) return;
    if (!work.in_memory) --missing_[index(work.journal)];
    archived = sealed_end_[index(work.journal)];
    for (const Work& waiting : queue_) {
      if (waiting.journal != work.journal || !waiting.in_memory) continue;
      archived = std::min(archived, waiting.segment->header.base_position);
    }
  }
  options_.memories[index(work.journal)]->archived_below(archived);
}

Result<std::vector<bool>> SideKeeper::known_ids(Journal journal, std::span<const RecordId> ids,
                                                WallTime since) {
  FilesPtr files;
  {
    const std::lock_guard guard(mutex_);
    if (missing_[index(journal)] > 0) {
      return fail(Errc::overloaded, "the ids of older messages are being read; send again");
    }
    files = files_[index(journal)];
  }
  std::vector<bool> known(ids.size());
  std::uint64_t looked_through = 0;
  for (auto file = files->rbegin(); file != files->rend(); ++file) {
    const SideHeader& header = (*file)->header();
    if (header.last_time < since || looked_through >= options_.ids_max) break;
    looked_through += header.ids;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (known[i]) continue;
      auto held = (*file)->holds(ids[i], since);
      if (!held) {
        make_again(journal, *file, held.error());
        return fail(Errc::overloaded, held.error().message);
      }
      known[i] = *held;
    }
  }
  return known;
}

void SideKeeper::make_again(Journal journal, const SideFilePtr& side, const Error& error) {
  const std::uint64_t base = side->header().base_position;
  const SegmentPtr segment = catalogs_[index(journal)]->beginning_at(base);
  {
    const std::lock_guard guard(mutex_);
    auto files = std::make_shared<Files>(*files_[index(journal)]);
    const auto same = [base](const SideFilePtr& file) {
      return file->header().base_position == base;
    };
    // Somebody else met it first, or it was let go.
    if (std::erase_if(*files, same) == 0) return;
    files_[index(journal)] = std::move(files);
    if (segment) {
      queue_.push_back({journal, segment, false});
      ++missing_[index(journal)];
    }
  }
  spdlog::error("A side file cannot be used{}: error={}",
                segment ? " and is made again" : "; its ids are forgotten before their time",
                error.message);
  if (!segment) {
    options_.troubles->note(ids_of(side->path()), forgotten(error), std::string(kLookAtDisk));
  }
  changed_.notify_one();
}

bool SideKeeper::may_drop(Journal journal, std::uint64_t base) const {
  const std::lock_guard guard(mutex_);
  if (unreadable_[index(journal)].contains(base)) return true;
  return std::ranges::any_of(*files_[index(journal)], [base](const SideFilePtr& file) {
    return file->header().base_position == base;
  });
}

Result<void> SideKeeper::expire(Journal journal) {
  const WallTime since = options_.clock->wall_now() - options_.window;
  const std::uint64_t first = catalogs_[index(journal)]->segments().front()->header.base_position;
  Files gone;
  {
    const std::lock_guard guard(mutex_);
    auto kept = std::make_shared<Files>();
    std::uint64_t ids = 0;
    for (auto file = files_[index(journal)]->rbegin(); file != files_[index(journal)]->rend();
         ++file) {
      const SideHeader& header = (*file)->header();
      const bool needed = header.ids > 0 && header.last_time >= since && ids < options_.ids_max;
      ids += header.ids;
      (header.base_position >= first || needed ? *kept : gone).push_back(*file);
    }
    std::ranges::reverse(*kept);
    files_[index(journal)] = std::move(kept);
  }
  for (const SideFilePtr& file : gone) {
    auto removed = options_.disk->remove(file->path());
    if (!removed && removed.error().code != Errc::not_found) return removed;
  }
  return {};
}

void SideKeeper::close() {
  {
    const std::lock_guard guard(mutex_);
    closing_ = true;
  }
  changed_.notify_one();
  std::call_once(joined_, [this] {
    if (thread_.joinable()) thread_.join();
  });
}

}  // namespace millrace::log
