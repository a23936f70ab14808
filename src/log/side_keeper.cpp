#include "log/side_keeper.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "log/inspect.hpp"

namespace millrace::log {
namespace {

std::uint32_t second_of(WallTime time) {
  const auto whole = std::chrono::ceil<std::chrono::seconds>(time.time_since_epoch());
  return static_cast<std::uint32_t>(std::max<std::int64_t>(whole.count(), 0));
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
      spdlog::warn("A side file is not usable: error={}", side.error().message);
      if (!segment) MILLRACE_CHECK_OK(options_.disk->remove(folder(journal) / side_name(base)));
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
  if (bloom_bytes_ + side->bloom_bytes() <= options_.bloom_bytes_max) {
    MILLRACE_CHECK_OK(side->load_bloom());
    bloom_bytes_ += side->bloom_bytes();
  }
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
  for (;;) {
    Work work;
    {
      std::unique_lock guard(mutex_);
      changed_.wait(guard, [this] { return closing_ || !queue_.empty(); });
      if (closing_) return;
      work = queue_.front();
    }
    const auto made = make(work);
    if (made) {
      finished(work);
      continue;
    }
    if (made.error().code == Errc::corrupt || made.error().code == Errc::not_found) {
      // Nothing that can be read is lost: what is behind the damage is lost to everyone.
      spdlog::error("The ids of a segment cannot be read: error={}", made.error().message);
      {
        const std::lock_guard guard(mutex_);
        unreadable_[index(work.journal)].insert(work.segment->header.base_position);
      }
      finished(work);
      continue;
    }
    spdlog::warn("A side file could not be written and is tried again: error={}",
                 made.error().message);
    std::unique_lock guard(mutex_);
    changed_.wait_for(guard, options_.retry, [this] { return closing_; });
    if (closing_) return;
  }
}

/// Reads the segment and writes its side file.
Result<void> SideKeeper::make(const Work& work) {
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
  const std::uint64_t base = segment.header.base_position;
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
        if (held.error().code == Errc::corrupt) make_again(journal, *file);
        return fail(Errc::overloaded, held.error().message);
      }
      known[i] = *held;
    }
  }
  return known;
}

void SideKeeper::make_again(Journal journal, const SideFilePtr& side) {
  const std::uint64_t base = side->header().base_position;
  const SegmentPtr segment = catalogs_[index(journal)]->beginning_at(base);
  {
    const std::lock_guard guard(mutex_);
    auto files = std::make_shared<Files>(*files_[index(journal)]);
    if (std::erase(*files, side) == 0) return;  // somebody else met it first
    files_[index(journal)] = std::move(files);
    if (segment) {
      queue_.push_back({journal, segment, false});
      ++missing_[index(journal)];
    }
  }
  spdlog::error("A side file is damaged{}: file={}",
                segment ? " and is made again" : "; its ids are forgotten before their time",
                side->path().string());
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
    if (file->bloom_is_loaded()) bloom_bytes_ -= file->bloom_bytes();
    MILLRACE_CHECK_OK(options_.disk->remove(file->path()));
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
