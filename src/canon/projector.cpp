#include "canon/projector.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "canon/judgement.hpp"
#include "canon/projector_pass.hpp"

namespace millrace::canon {
namespace {

/// Appended together, or the events of one change beyond it.
constexpr std::size_t kAppendBytes = std::size_t{4} << 20;
constexpr std::size_t kCachedProjectionsMax = 8192;  // per shard; about 1 KB each
constexpr milliseconds kDiskFullPause{500};

std::string projection_key(std::string_view entity, std::string_view record) {
  return row_key(std::string(entity), std::string(record));
}

}  // namespace

Projector::Projector(ProjectorContext context)
    : context_(std::move(context)), free_(context_.shard.context()) {}

Write Projector::fold(const Event& event) {
  Projection projection;
  projection.data = write_json(event.data);
  projection.name = event.subject;
  projection.version = event.version.empty() ? "null" : event.version;
  projection.program = event.program;
  projection.rev = event.rev;
  projection.deleted = event.name() == "deleted";
  const std::string_view cause(event.cause);
  if (const std::size_t colon = cause.find(':'); colon != cause.npos) {
    projection.has_cause = true;
    std::from_chars(cause.data(), cause.data() + colon, projection.cause_partition);
    std::from_chars(cause.data() + colon + 1, cause.data() + cause.size(), projection.cause_offset);
  }
  return {Table::projections, projection_key(event.entity, event.record), encode(projection)};
}

Awaitable<Result<std::vector<ProjectResult>>> Projector::project(config::ConfigPtr config,
                                                                 ChangesPtr changes,
                                                                 ExtraWrites extra) {
  // Two callers share a shard (payloads and collected records); their appends must not interleave.
  // What cannot be saved must not grow: nobody projects while the state takes no commit.
  while (busy_ || refused_) co_await free_.wait();
  busy_ = true;
  struct Release {
    Projector& self;
    ~Release() {
      self.busy_ = false;
      self.free_.notify();
    }
  } release{*this};

  std::vector<std::string> missing;
  for (const SourceChange& change : *changes) {
    std::string key = projection_key(change.entity->name, change.record);
    if (!cache_.contains(key)) missing.push_back(std::move(key));
  }
  if (!missing.empty()) {
    auto loaded = co_await load(std::move(missing));
    MILLRACE_CO_CHECK_OK(std::move(loaded));
  }

  Pass pass;
  pass.config = config;
  for (const SourceChange& change : *changes) {
    pass.results.push_back(project_in_order(pass, change));
    pass.change_ends.push_back(pass.entries.size());
  }
  auto appended = co_await append(pass);
  MILLRACE_CO_CHECK_OK(std::move(appended));
  Batch more = extra ? extra(pass.results) : Batch{};
  pinned_.insert(pinned_.end(), pass.pinned.begin(), pass.pinned.end());
  std::ranges::move(pass.writes.writes, std::back_inserter(pending_.writes));
  save(std::move(more));
  shrink();
  co_return std::move(pass.results);
}

// The events of one change together, and no more at once than a log takes.
Awaitable<Result<void>> Projector::append(Pass& pass) {
  std::size_t first = 0;
  std::size_t bytes = 0;
  std::size_t end = 0;
  for (std::size_t change = 0; change < pass.change_ends.size(); ++change) {
    for (; end < pass.change_ends[change]; ++end) bytes += pass.entries[end].payload.size();
    const bool last = change + 1 == pass.change_ends.size();
    if (end == first || (!last && bytes < kAppendBytes)) continue;
    const auto begin = pass.entries.begin();
    auto appended = co_await append_together(
        {begin + static_cast<std::ptrdiff_t>(first), begin + static_cast<std::ptrdiff_t>(end)});
    if (!appended) co_return std::unexpected(std::move(appended).error());
    note_position(pass, first, *appended);
    first = end;
    bytes = 0;
  }
  co_return Result<void>{};
}

Awaitable<Result<std::vector<Offset>>> Projector::append_together(std::vector<LogEntry> entries) {
  for (;;) {
    auto start = [this, group = entries](EventLog::AppendDone done) mutable {
      context_.log.append(Journal::events, std::move(group), context_.shard, std::move(done));
    };
    auto appended =
        co_await await_callback<Result<std::vector<Offset>>>(context_.shard, std::move(start));
    const bool waits = !appended && (appended.error().code == Errc::disk_full ||
                                     appended.error().code == Errc::overloaded);
    if (!waits) co_return appended;
    // Nothing may overtake these events, so everybody waits for space; ingress already says 503.
    spdlog::warn("no space for events; projecting waits error={}", appended.error().message);
    co_await sleep_for(kDiskFullPause);
  }
}

// Up to where the events of a partition are reflected in saved rows: a start folds from there.
void Projector::note_position(Pass& pass, std::size_t first, const std::vector<Offset>& offsets) {
  std::map<std::pair<LogStream, Partition>, Offset> next;
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    const LogEntry& entry = pass.entries[first + i];
    next[{context_.log.stream_of(Journal::events, entry.topic), entry.partition}] = offsets[i] + 1;
  }
  for (const auto& [at, offset] : next) {
    const auto& [stream, partition] = at;
    noted_[stream][partition] = offset;
    pass.writes.put(Table::cursors,
                    row_key(cursor_owner("projected", stream), fmt::format("{:02x}", partition)),
                    fmt::format(R"({{"log":"{}","next":{}}})", context_.log.id_of(stream), offset));
  }
}

void Projector::save(Batch writes) {
  std::ranges::move(writes.writes, std::back_inserter(pending_.writes));
  if (!commit_under_way_) commit();
}

Awaitable<void> Projector::durable() {
  if (saved()) co_return;
  auto start = [this](std::move_only_function<void(bool)> done) {
    (pending_.writes.empty() ? waiting_committing_ : waiting_).push_back(std::move(done));
  };
  co_await await_callback<bool>(context_.shard, std::move(start));
}

void Projector::commit() {
  if (pending_.writes.empty()) return;
  commit_under_way_ = true;
  committing_ = std::exchange(pending_, Batch{});
  pinned_committing_ = std::exchange(pinned_, {});
  waiting_committing_ = std::exchange(waiting_, {});
  context_.state.commit(committing_, Urgency::soon, context_.shard,
                        [this](const Result<void>& result) { committed(result); });
}

void Projector::committed(const Result<void>& result) {
  if (!result) {
    if (!std::exchange(refused_, true)) {
      spdlog::warn("projections cannot be saved; projecting waits error={}",
                   result.error().message);
    }
    context_.shard.spawn("save projections", commit_again());
    return;
  }
  for (const auto& entry : std::exchange(pinned_committing_, {})) --entry->unsaved;
  committing_ = {};
  commit_under_way_ = false;
  if (std::exchange(refused_, false)) {
    spdlog::info("projections are saved again; projecting goes on");
    free_.notify();
  }
  Waiting waited = std::exchange(waiting_committing_, {});
  commit();
  for (auto& done : waited) done(true);
}

Awaitable<void> Projector::commit_again() {
  co_await sleep_for(kDiskFullPause);
  context_.state.commit(committing_, Urgency::now, context_.shard,
                        [this](const Result<void>& result) { committed(result); });
}

Awaitable<Result<void>> Projector::load(std::vector<std::string> keys) {
  std::ranges::sort(keys);
  keys.erase(std::ranges::unique(keys).begin(), keys.end());
  // What this shard has written and not yet saved is in the cache: only committed rows are asked
  // for.
  const auto there = std::ranges::partition(keys, [&](const std::string& key) {
    return context_.state.is_surely_absent(Table::projections, key);
  });
  for (auto key = keys.begin(); key != there.begin(); ++key) remember(*key, std::nullopt);
  keys.erase(keys.begin(), there.begin());
  if (keys.empty()) co_return Result<void>{};
  auto read = [&state = context_.state, keys] { return state.get_many(Table::projections, keys); };
  auto rows = co_await offload_until_back(context_.readers, context_.shard, std::move(read));
  if (!rows) co_return std::unexpected(rows.error());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    std::optional<Projection> value;
    if ((*rows)[i]) {
      auto decoded = decode_projection(*(*rows)[i]);
      if (!decoded) co_return std::unexpected(decoded.error());
      value = *std::move(decoded);
    }
    remember(keys[i], std::move(value));
  }
  co_return Result<void>{};
}

void Projector::remember(const std::string& key, std::optional<Projection> value) {
  auto entry = std::make_shared<CachedProjection>();
  entry->key = key;
  entry->known = value.has_value();
  if (value) entry->value = *std::move(value);
  recent_.push_front(std::move(entry));
  cache_[key] = recent_.begin();
}

void Projector::forget() {
  MILLRACE_INVARIANT(saved());
  cache_.clear();
  recent_.clear();
}

std::shared_ptr<CachedProjection> Projector::cached(const std::string& key) {
  const auto found = cache_.find(key);
  MILLRACE_INVARIANT(found != cache_.end());
  recent_.splice(recent_.begin(), recent_, found->second);
  return recent_.front();
}

void Projector::shrink() {
  // Pinned entries hold what no row holds yet; they stay until their commit returned.
  std::size_t looked_at = 0;
  for (auto at = recent_.end();
       cache_.size() > kCachedProjectionsMax && at != recent_.begin() && looked_at < recent_.size();
       ++looked_at) {
    --at;
    if ((*at)->unsaved > 0) continue;
    cache_.erase((*at)->key);
    at = recent_.erase(at);
  }
}

const config::SchemaValidator* Projector::validator(const config::Entity& entity) {
  if (entity.schema.is_null()) return nullptr;
  auto& slot = validators_[entity.fingerprint];
  if (!slot) {
    auto compiled = config::SchemaValidator::compile(entity.schema);
    // The loader compiled it before; a schema that fails only here is a broken expectation.
    MILLRACE_INVARIANT(compiled.has_value());
    slot = std::make_shared<config::SchemaValidator>(*std::move(compiled));
  }
  return slot.get();
}

// A payload that fails holds up what follows of its record, within one call too.
ProjectResult Projector::project_in_order(Pass& pass, const SourceChange& change) {
  if (!change.payload) return project_one(pass, change);
  const std::string key = projection_key(change.entity->name, change.record);
  if (pass.failed.contains(key)) {
    return {ProjectResult::Kind::failed,
            Error(Errc::conflict, "an earlier message of this record is parked"),
            {}};
  }
  auto result = project_one(pass, change);
  if (result.kind == ProjectResult::Kind::failed) pass.failed.insert(key);
  return result;
}

ProjectResult Projector::project_one(Pass& pass, const SourceChange& change) {
  const std::string key = projection_key(change.entity->name, change.record);
  const auto entry = cached(key);
  Projection& last = entry->value;
  if (change.payload && entry->known && last.has_cause &&
      last.cause_partition == change.cause_partition && change.cause_offset <= last.cause_offset) {
    return {ProjectResult::Kind::repeated, {}, {}};
  }
  if (change.gone) {
    auto result = emit_deleted(pass, change, *entry);
    if (result.kind == ProjectResult::Kind::emitted) keep(pass, entry);
    return result;
  }
  if (change.payload && entry->known && !change.version.is_null()) {
    const auto applied = parse_json(last.version);
    if (applied && !applied->is_null() && compare_json(change.version, *applied) < 0) {
      return {ProjectResult::Kind::stale, {}, {}};
    }
  }
  const WallTime now = context_.clock.wall_now();
  const auto wanted = is_wanted(*pass.config, *change.source, change.value, now);
  if (!wanted) return {ProjectResult::Kind::failed, wanted.error(), {}};
  if (!*wanted) {
    auto result = emit_deleted(pass, change, *entry);
    if (result.kind == ProjectResult::Kind::unchanged) {
      result.kind = ProjectResult::Kind::filtered;
    } else {
      keep(pass, entry);
    }
    return result;
  }
  auto data = map_record(*pass.config, *change.source, change.value, now);
  if (!data) return {ProjectResult::Kind::failed, data.error(), {}};
  if (const auto* schema = validator(*change.entity)) {
    if (auto valid = schema->validate(*data); !valid) {
      return {ProjectResult::Kind::failed, valid.error(), {}};
    }
  }
  auto result = emit(pass, change, *entry, *std::move(data));
  const bool moved =
      result.kind == ProjectResult::Kind::emitted ||
      result.kind == ProjectResult::Kind::baselined ||
      result.kind == ProjectResult::Kind::renewed ||
      (result.kind == ProjectResult::Kind::unchanged && (change.payload || change.checked));
  if (moved) keep(pass, entry);
  return result;
}

void Projector::keep(Pass& pass, const std::shared_ptr<CachedProjection>& entry) {
  ++entry->unsaved;
  pass.pinned.push_back(entry);
  pass.writes.put(Table::projections, entry->key, encode(entry->value));
}

}  // namespace millrace::canon
