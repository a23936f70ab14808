#include "canon/collector.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "canon/collect_pass.hpp"
#include "canon/source_time.hpp"
#include "canon/source_watch.hpp"

namespace millrace::canon {
namespace {

constexpr std::size_t kRowsInMemoryMax = 200'000;  // per shard; about 400 bytes each
constexpr std::size_t kRowsPerScan = 1000;
constexpr std::size_t kBatchMax = 200;
constexpr std::size_t kSuspectsMax = 20;
constexpr milliseconds kIdle{60'000};
constexpr milliseconds kHoldPoll{10};

std::string doorbell_key(const Doorbell& doorbell) {
  return row_key(doorbell.connection, doorbell.model, fmt::format("{}", doorbell.id));
}

}  // namespace

Collector::Collector(CollectorContext context)
    : context_(std::move(context)),
      wake_(context_.shard.context()),
      jitter_(static_cast<std::minstd_rand::result_type>(hash64(random_hex(8)))) {
  if (!context_.wait) {
    context_.wait = [](Notifier& wake, milliseconds limit) -> Awaitable<void> {
      co_await wake.wait_for(limit);
    };
  }
  watch_ = std::make_unique<SourceWatch>(*this);
}

Collector::~Collector() = default;

bool Collector::is_mine(const std::string& connection, const std::string& model,
                        std::int64_t id) const {
  return is_mine(partition_of(record_name(connection, model, id)));
}

Collector::Lane& Collector::lane(std::string_view connection, std::string_view model) {
  return lanes_[model_key(connection, model)];
}

Awaitable<Result<void>> Collector::start(config::ConfigPtr config, PastPrograms past) {
  plan_ = make_collect_plan(std::move(config), past);
  auto marks = co_await load_marks();
  MILLRACE_CO_CHECK_OK(std::move(marks));
  auto parked = co_await load_parked();
  MILLRACE_CO_CHECK_OK(std::move(parked));
  auto rows = co_await load_rows();
  MILLRACE_CO_CHECK_OK(std::move(rows));
  context_.shard.spawn("collect", run());
  co_return Result<void>{};
}

void Collector::begin_watching() {
  watch_->replace(plan_);
}

void Collector::stop() {
  stopping_ = true;
  wake_.notify();
  watch_->stop();
}

Awaitable<void> Collector::hold() {
  held_ = true;
  watch_->hold();
  while (!stopping_ && (working_ > 0 || !watch_->idle())) co_await sleep_for(kHoldPoll);
}

// What others read meanwhile is not known here any more.
Awaitable<Result<void>> Collector::resume() {
  for (auto& [key, lane] : lanes_) lane.rows = {};
  rows_ = 0;
  parked_ = {};
  seen_ = {};
  auto marks = co_await load_marks();
  MILLRACE_CO_CHECK_OK(std::move(marks));
  auto parked = co_await load_parked();
  MILLRACE_CO_CHECK_OK(std::move(parked));
  auto rows = co_await load_rows();
  MILLRACE_CO_CHECK_OK(std::move(rows));
  held_ = false;
  watch_->resume(plan_);
  wake_.notify();
  co_return Result<void>{};
}

void Collector::look_around() {
  if (context_.shared && !held_ && !stopping_) watch_->look_again();
  const auto closed = [this](const auto& model) { return !lanes_[model.first].open; };
  if (held_ || stopping_ || std::ranges::none_of(plan_->models, closed)) return;
  context_.shard.spawn("full reads", load_marks_again());
}

Awaitable<void> Collector::load_marks_again() {
  const auto loaded = co_await load_marks();
  if (!loaded) spdlog::warn("full reads are not known error={}", loaded.error().message);
  wake_.notify();
}

void Collector::look_again() {
  watch_->look_again();
}

void Collector::replace(config::ConfigPtr config, const PastPrograms& past) {
  plan_ = make_collect_plan(std::move(config), past);
  open_lanes();
  for (auto& [key, lane] : lanes_) lane.pause = {};
  pauses_.clear();
  release_parked();
  watch_->replace(plan_);
  wake_.notify();
}

void Collector::open_lanes() {
  for (const auto& [key, model] : plan_->models) {
    Lane& lane = lanes_[key];
    lane.open = std::ranges::includes(lane.covered, model.entities());
  }
}

void Collector::open(std::string connection, std::string model, WallTime mark,
                     std::set<std::string> entities) {
  Lane& opened = lane(connection, model);
  opened.mark = mark;
  opened.covered.merge(std::move(entities));
  open_lanes();
  wake_.notify();
}

Awaitable<Result<void>> Collector::load_marks() {
  std::vector<std::string> keys;
  for (const auto& [key, model] : plan_->models) keys.push_back(baseline_key(key));
  auto read = [&state = context_.state, keys] { return state.get_many(Table::marks, keys); };
  auto rows = co_await offload_until_back(context_.readers, context_.shard, std::move(read));
  if (!rows) co_return std::unexpected(rows.error());
  std::size_t index = 0;
  for (const auto& [key, model] : plan_->models) {
    const auto& row = (*rows)[index++];
    if (!row) continue;
    const auto mark = decode_baseline(*row);
    if (!mark) co_return std::unexpected(mark.error());
    lanes_[key].covered = mark->covered;
    if (!mark->covered.empty()) lanes_[key].mark = mark->mark;
  }
  open_lanes();
  co_return Result<void>{};
}

Awaitable<Result<void>> Collector::load_parked() {
  std::set<Partition> mine;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (is_mine(p)) mine.insert(p);
  }
  auto read = [&state = context_.state, config = plan_->config, mine] {
    return ParkedRecords::load(state, *config, [&mine](Partition p) { return mine.contains(p); });
  };
  auto rows = co_await offload_until_back(context_.readers, context_.shard, std::move(read));
  if (!rows) co_return std::unexpected(rows.error());
  parked_.fill(*rows);
  co_return Result<void>{};
}

// All rows of the store that are this shard's, as far as they fit. Rows of models that nobody reads
// any more stay there: a configuration that reads them again finds them.
Awaitable<Result<void>> Collector::load_rows() {
  overflow_ = false;
  std::string after;
  for (;;) {
    auto read = [&state = context_.state, after] {
      return state.scan(Table::doorbells, "", after, kRowsPerScan);
    };
    auto rows = co_await offload_until_back(context_.readers, context_.shard, std::move(read));
    if (!rows) co_return std::unexpected(rows.error());
    for (const Row& stored : *rows) {
      auto row = decode_doorbell_row(stored.key, stored.value, context_.clock);
      if (!row) co_return std::unexpected(row.error());
      if (!is_mine(partition_of(row->record))) continue;
      const std::string key = stored.key.substr(0, stored.key.rfind('\0'));
      if (!plan_->models.contains(key) || lanes_[key].rows.find(row->id) != nullptr) continue;
      if (rows_ >= kRowsInMemoryMax) {
        overflow_ = true;
        co_return Result<void>{};
      }
      lanes_[key].rows.add(*std::move(row));
      ++rows_;
    }
    if (rows->size() < kRowsPerScan) co_return Result<void>{};
    after = rows->back().key;
  }
}

// nullptr: there is no room in memory, the store alone keeps it.
DoorbellRow* Collector::take_up(const Doorbell& doorbell) {
  Lane& lane = this->lane(doorbell.connection, doorbell.model);
  DoorbellRow* row = lane.rows.find(doorbell.id);
  if (row != nullptr) {
    lane.rows.update(*row,
                     [&](DoorbellRow& known) { ring_again(known, doorbell, context_.clock); });
    return row;
  }
  if (rows_ >= kRowsInMemoryMax) return nullptr;
  DoorbellRow fresh = make_row(doorbell, context_.clock);
  fresh.suspect = parked_.any(fresh.record);
  fresh.baseline = fresh.baseline || parked_.baseline(fresh.record);
  const SeenRecord* seen = seen_.find(fresh.record);
  const bool told = seen != nullptr && seen->changed_at && seen->changed_issued > fresh.rung &&
                    seen->changed_write_date >= fresh.write_date;
  if (told && !fresh.committed) {
    // The doorbell waited in the inbox while its change was read for an earlier one.
    const ModelPlan* model = plan_->find(doorbell.connection, doorbell.model);
    fresh.changed_at = seen->changed_at;
    fresh.changed_issued = seen->changed_issued;
    fresh.due = std::max(context_.clock.boot_now(), *seen->changed_at + model->settle);
  }
  ++rows_;
  return &lane.rows.add(std::move(fresh));
}

bool Collector::ring(const Doorbell& doorbell, Batch& writes) {
  if (plan_->find(doorbell.connection, doorbell.model) == nullptr) return false;
  const DoorbellRow* row = take_up(doorbell);
  if (row == nullptr) overflow_ = true;
  writes.put(Table::doorbells, doorbell_key(doorbell),
             encode(row != nullptr ? *row : make_row(doorbell, context_.clock)));
  wake_.notify();
  return true;
}

// Their parked rows keep them across a crash, so these doorbells need no rows of their own.
void Collector::release_parked() {
  for (const Doorbell& doorbell : parked_.doorbells()) {
    if (plan_->find(doorbell.connection, doorbell.model) != nullptr) take_up(doorbell);
  }
}

Awaitable<void> Collector::run() {
  while (!stopping_) {
    if (overflow_ && rows_ < kRowsInMemoryMax / 2) {
      auto loaded = co_await load_rows();
      if (!loaded) spdlog::error("doorbells cannot be read error={}", loaded.error().message);
    }
    if (stopping_) co_return;
    const auto next = start_batches();
    milliseconds limit = kIdle;
    if (next) {
      const auto left = std::chrono::ceil<milliseconds>(*next - context_.clock.boot_now());
      limit = std::clamp(left, milliseconds(1), kIdle);
    }
    waiting_ = true;
    co_await context_.wait(wake_, limit);
    waiting_ = false;
  }
}

// Starts what is due; returns when something will be.
std::optional<BootTime> Collector::start_batches() {
  std::optional<BootTime> next;
  if (held_) return next;
  for (const auto& [key, model] : plan_->models) {
    Lane& lane = lanes_[key];
    if (!lane.open) continue;
    for (const bool suspects : {false, true}) {
      const auto at = start_batch(model, lane, suspects);
      if (at && (!next || *at < *next)) next = at;
    }
  }
  return next;
}

std::optional<BootTime> Collector::start_batch(const ModelPlan& model, Lane& lane, bool suspects) {
  if (lane.reading[suspects]) return std::nullopt;
  auto next = lane.rows.next(suspects);
  if (!next) return std::nullopt;
  const BootTime now = context_.clock.boot_now();
  const BootTime free = std::max(lane.pause.until, pauses_[model.connection].until);
  next = std::max(*next, free);
  if (*next > now) return next;
  auto pass = std::make_shared<Pass>();
  pass->plan = plan_;
  pass->model = &model;
  pass->lane = &lane;
  pass->suspects = suspects;
  pass->ids = lane.rows.take(now, suspects, suspects ? kSuspectsMax : kBatchMax);
  lane.reading[suspects] = true;
  context_.shard.spawn("read back", read_batch(std::move(pass)));
  return std::nullopt;
}

CollectorStatus Collector::status() const {
  CollectorStatus status = counters_;
  status.waiting = rows_;
  for (const auto& [key, lane] : lanes_) {
    const auto oldest = lane.rows.oldest();
    if (oldest && (!status.oldest_at || *oldest < *status.oldest_at)) status.oldest_at = oldest;
  }
  status.parked = parked_.size();
  status.silenced = context_.projector.silenced();
  status.unreadable = watch_->unreadable();
  for (const auto& [key, lane] : lanes_) {
    const auto model = plan_->models.find(key);
    if (lane.pause.unreadable.empty() || model == plan_->models.end()) continue;
    const ModelPlan& read = model->second;
    status.unreadable[read.connection + "/" + read.model] = lane.pause.unreadable;
  }
  status.idle = working_ == 0 && waiting_ && watch_->idle();
  return status;
}

}  // namespace millrace::canon
