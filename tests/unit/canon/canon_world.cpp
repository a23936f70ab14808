#include "canon_world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <thread>

#include "daemon/recovery.hpp"
#include "log/file_log.hpp"
#include "net/callback.hpp"
#include "state/blocking_commit.hpp"
#include "state/sqlite_state.hpp"

namespace millrace::canon::test {
namespace {

constexpr int kSettledLooks = 3;  // a wake-up under way shows at the next look
constexpr auto kSettleWithin = std::chrono::seconds(60);

[[noreturn]] void refuse(const Error& error) {
  abort_with(error.message);
}

Awaitable<void> run_and_tell(std::function<Awaitable<Result<void>>()> work,
                             std::promise<Result<void>>* outcome) {
  auto result = co_await work();
  outcome->set_value(std::move(result));
}

void run_on(Shard& shard, std::function<Awaitable<Result<void>>()> work) {
  std::promise<Result<void>> outcome;
  auto future = outcome.get_future();
  shard.spawn("test", run_and_tell(std::move(work), &outcome));
  const auto result = future.get();
  if (!result) refuse(result.error());
}

}  // namespace

struct CanonWorld::Unit {
  Unit(Shard& owner, PartitionSet partitions) : shard(owner), owned(partitions) {}
  Shard& shard;
  PartitionSet owned;
  std::unique_ptr<TailDispatcher> tail;
  std::shared_ptr<TailFeed> feed;
  std::unique_ptr<Projector> projector;
  std::unique_ptr<Collector> collector;
  std::unique_ptr<InboxPump> pump;
  std::vector<Wait> waits;
  std::uint64_t wait_number = 0;
};

config::Program program(const std::string& text, std::vector<std::string> variables) {
  auto compiled = Expression::compile(text, {.variables = std::move(variables), .functions = {}});
  if (!compiled) abort_with(compiled.error().message);
  config::Program made;
  made.text = text;
  made.compiled = *compiled;
  return made;
}

std::shared_ptr<config::Config> orders_config() {
  auto config = std::make_shared<config::Config>();
  config->installation.name = "test";
  config::Connection erp;
  erp.name = erp.system = "erp";
  erp.type = "odoo";
  config->connections["erp"] = erp;
  config::Connection shop;
  shop.name = shop.system = "shop";
  shop.type = "hook";
  shop.version = program(".version", {"headers"});
  config->connections["shop"] = shop;

  config::Entity order;
  order.name = "order";
  order.key = program(".name");
  config::EntitySource from;
  from.connection = "erp";
  from.model = "sale.order";
  from.read.fields = {{"name", {}}, {"state", {}}};
  from.map = program("{name, state}", {"now"});
  from.program = "p1";
  order.from.push_back(std::move(from));
  order.events.push_back({"created", program("$before == null", {"before"})});
  order.events.push_back({"changed", program("$before != null", {"before"})});
  order.fingerprint = "order";
  config->entities["order"] = std::move(order);

  config::Entity parcel;
  parcel.name = "parcel";
  config::EntitySource posted;
  posted.connection = "shop";
  posted.map = program("{code, weight}", {"now"});
  posted.program = "p2";
  parcel.from.push_back(std::move(posted));
  parcel.events.push_back({"changed", program("true", {"before"})});
  parcel.fingerprint = "parcel";
  config->entities["parcel"] = std::move(parcel);
  return config;
}

config::EntitySource& order_source(config::Config& config) {
  return config.entities.find("order")->second.from.front();
}

CanonWorld::CanonWorld() : config_(orders_config()) {
  directory_ = std::filesystem::temp_directory_path() / ("millrace-canon-" + random_hex(8));
  std::filesystem::create_directories(directory_);
}

CanonWorld::~CanonWorld() {
  crash();
  std::filesystem::remove_all(directory_);
}

template <typename F>
auto CanonWorld::on_shard(Unit& unit, F work) {
  std::promise<std::invoke_result_t<F&>> answer;
  auto future = answer.get_future();
  unit.shard.post([&] { answer.set_value(work()); });
  return future.get();
}

Awaitable<void> CanonWorld::wait(Unit& unit, Notifier& wake, milliseconds limit) {
  const std::uint64_t number = ++unit.wait_number;
  unit.waits.push_back({clock_.boot_now() + limit, &wake, number});
  co_await wake.wait();
  std::erase_if(unit.waits, [number](const Wait& wait) { return wait.number == number; });
}

void CanonWorld::start(std::size_t shards) {
  auto log = open_file_log(
      {.directory = directory_ / "log", .disk = disk_, .clock = clock_, .fatal = refuse});
  if (!log) refuse(log.error());
  log_ = std::make_unique<WatchedLog>(*std::move(log));
  SqliteStateOptions options;
  options.path = (directory_ / "state.db").string();
  options.on_fatal = refuse;
  options.commit_delay = milliseconds(1);
  auto state = open_sqlite_state(options);
  if (!state) refuse(state.error());
  state_ = std::make_unique<WatchedState>(*std::move(state));
  readers_ = std::make_unique<ReaderPool>(1);
  shards_ = std::make_unique<ShardSet>(shards);
  for (std::size_t i = 0; i < shards; ++i) {
    units_.push_back(
        std::make_unique<Unit>(shards_->at(i), PartitionSet::of_shard(i, shards_->size())));
    PartitionOffsets ends = log_->ends(Journal::inbox);
    for (Partition p = 0; p < kPartitionCount; ++p) {
      if (p % shards != i) ends[p] = kSkipPartition;
    }
    units_.back()->tail = std::make_unique<TailDispatcher>(ends);
    units_.back()->feed = TailFeed::make(units_.back()->shard, *units_.back()->tail);
  }
  log_->set_tail_listener(Journal::inbox, [this](const LogStream&, const RecordBatchPtr& batch) {
    for (const auto& unit : units_) unit->feed->deliver(batch);
  });
  shards_->start();
  const auto folded = daemon::fold_projections(*state_, *log_, PartitionSet::all());
  if (!folded) refuse(folded.error());
  const PastPrograms past = keep_programs();
  for (const auto& unit : units_) {
    const auto from = daemon::inbox_start(*state_, *log_, unit->owned);
    if (!from) refuse(from.error());
    run_on(unit->shard, [this, past, from = *from, &unit = *unit]() -> Awaitable<Result<void>> {
      ProjectorContext context{.shard = unit.shard,
                               .log = *log_,
                               .state = *state_,
                               .readers = *readers_,
                               .clock = clock_,
                               .trail = trail_,
                               .log_uuid = log_->uuid(),
                               .installation = "test",
                               .incarnation = 1,
                               .owned = unit.owned};
      unit.projector = std::make_unique<Projector>(context);
      unit.collector = std::make_unique<Collector>(CollectorContext{
          .shard = unit.shard,
          .log = *log_,
          .state = *state_,
          .readers = *readers_,
          .sources = source_,
          .clock = clock_,
          .trail = trail_,
          .projector = *unit.projector,
          .shard_count = units_.size(),
          .owned = unit.owned,
          .on_peer =
              [this](std::size_t shard, std::move_only_function<void(Collector&)> work) {
                Unit& there = *units_.at(shard);
                there.shard.post(
                    [&there, work = std::move(work)]() mutable { work(*there.collector); });
              },
          .wait = [this, &unit](Notifier& wake,
                                milliseconds limit) { return wait(unit, wake, limit); }});
      unit.pump = std::make_unique<InboxPump>(context, *unit.projector, *unit.collector, *unit.tail,
                                              dropped_, [] {});
      unit.projector->set_past(past);
      auto collecting = co_await unit.collector->start(config_, past);
      MILLRACE_CO_CHECK_OK(std::move(collecting));
      auto pumping = co_await unit.pump->start(config_, from);
      co_return pumping;
    });
  }
  for (const auto& unit : units_) {
    on_shard(*unit, [&] {
      unit->collector->begin_watching();
      return true;
    });
  }
  settle();
}

PastPrograms CanonWorld::keep_programs() {
  if (auto kept = commit_blocking(*state_, program_writes(*config_)); !kept) refuse(kept.error());
  auto past = load_programs(*state_);
  if (!past) refuse(past.error());
  return *std::move(past);
}

void CanonWorld::crash() {
  if (units_.empty()) return;
  source_.release();
  log_->release();
  for (const auto& unit : units_) {
    on_shard(*unit, [&] {
      unit->pump->stop();
      unit->collector->stop();
      unit->feed->stop();
      // Whoever waits for time to pass sees that it is over.
      const auto waits = unit->waits;
      for (const Wait& wait : waits) wait.wake->notify();
      return true;
    });
  }
  state_->close();
  log_->close();
  shards_->stop(seconds(5));
  units_.clear();
  shards_.reset();
  readers_.reset();
  state_.reset();
  log_.reset();
}

void CanonWorld::reload() {
  const PastPrograms past = keep_programs();
  for (const auto& unit : units_) {
    on_shard(*unit, [&] {
      unit->projector->set_past(past);
      unit->pump->replace(config_);
      unit->collector->replace(config_, past);
      return true;
    });
  }
  settle();
}

void CanonWorld::put_mark(const std::string& key, const std::string& value) {
  Batch batch;
  batch.put(Table::marks, key, value);
  if (auto put = commit_blocking(*state_, std::move(batch)); !put) refuse(put.error());
  for (const auto& unit : units_) {
    on_shard(*unit, [&] {
      unit->collector->look_again();
      return true;
    });
  }
  settle();
}

std::string CanonWorld::mark(const std::string& key) {
  const auto row = state_->get(Table::marks, key);
  if (!row) refuse(row.error());
  return row->value_or("");
}

void CanonWorld::append(const std::vector<RawMessage>& messages) {
  Unit& unit = *units_.front();
  std::vector<LogEntry> entries;
  for (const RawMessage& message : messages) {
    entries.push_back({partition_of(message.record), message.connection, encode(message)});
  }
  std::promise<bool> durable;
  auto future = durable.get_future();
  unit.shard.post([&] {
    log_->append(
        Journal::inbox, std::move(entries), unit.shard,
        [&](const Result<std::vector<Offset>>& result) { durable.set_value(result.has_value()); });
  });
  ASSERT_TRUE(future.get());
}

RawMessage CanonWorld::doorbell(std::int64_t id, const std::string& origin,
                                const std::string& model) {
  RawMessage message;
  message.kind = RawMessage::Kind::doorbell;
  message.connection = "erp";
  message.record = record_name("erp", model, id);
  message.origin = origin;
  message.received_at = clock_.wall_now();
  message.body = write_json(Json(JsonObject{{"_model", model}, {"_id", id}}));
  return message;
}

void CanonWorld::ring(std::int64_t id, const std::string& write_date, const std::string& origin,
                      const std::string& model) {
  RawMessage message = doorbell(id, origin, model);
  if (!write_date.empty()) {
    message.body =
        write_json(Json(JsonObject{{"_model", model}, {"_id", id}, {"write_date", write_date}}));
  }
  append({message});
  settle();
}

void CanonWorld::send_doorbell(std::int64_t id, const std::string& origin, WallTime received_at) {
  RawMessage message = doorbell(id, origin, "sale.order");
  message.received_at = received_at;
  append({message});
}

void CanonWorld::post_payload(const std::string& record, const Json& body) {
  send_payloads(record, {body});
  settle();
}

void CanonWorld::send_payloads(const std::string& record, const std::vector<Json>& bodies) {
  std::vector<RawMessage> messages;
  for (const Json& body : bodies) {
    RawMessage message;
    message.kind = RawMessage::Kind::payload;
    message.connection = "shop";
    message.record = "shop/" + record;
    message.origin = "hook";
    message.received_at = clock_.wall_now();
    message.body = write_json(body);
    messages.push_back(std::move(message));
  }
  append(messages);
}

void CanonWorld::await(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + kSettleWithin;
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), until) << "it does not come";
    std::this_thread::yield();
  }
}

// The state stores in the order in which it was asked.
void CanonWorld::await_stored() {
  Unit& unit = *units_.front();
  run_on(unit.shard, [&unit]() -> Awaitable<Result<void>> {
    co_await unit.projector->durable();
    co_return Result<void>{};
  });
  Batch last;
  last.put(Table::marks, "last", "{}");
  if (auto stored = commit_blocking(*state_, std::move(last)); !stored) refuse(stored.error());
}

// The inbox cursors stand at its end, nothing is read or projected, and all of it is durable, as
// far as the state stores anything.
bool CanonWorld::is_settled() {
  const bool full = state_->refuses();
  bool idle = true;
  for (const auto& unit : units_) {
    const bool resting = on_shard(*unit, [&] {
      const bool held = source_.held() > 0 || log_->held() > 0;
      return (held || unit->collector->status().idle) && (full || unit->projector->saved());
    });
    idle = idle && resting;
  }
  if (!idle || full) return idle;
  const PartitionOffsets ends = log_->ends(Journal::inbox);
  std::vector<std::string> cursors;
  std::vector<Offset> wanted;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (ends[p] == 0 || ends[p] == reached_[p]) continue;
    cursors.push_back(row_key(std::string("inbox"), fmt::format("{:02x}", p)));
    wanted.push_back(ends[p]);
  }
  if (cursors.empty()) return true;
  const auto rows = state_->get_many(Table::cursors, cursors);
  for (std::size_t i = 0; i < cursors.size(); ++i) {
    if (!rows || !(*rows)[i]) return false;
    const auto cursor = parse_json(*(*rows)[i]);
    if (int_or(*cursor, "next", 0) != static_cast<std::int64_t>(wanted[i])) return false;
  }
  reached_ = ends;
  return true;
}

void CanonWorld::settle() {
  const auto until = std::chrono::steady_clock::now() + kSettleWithin;
  int looks = 0;
  while (looks < kSettledLooks) {
    looks = is_settled() ? looks + 1 : 0;
    ASSERT_LT(std::chrono::steady_clock::now(), until) << "nobody comes to rest";
    std::this_thread::yield();
  }
}

void CanonWorld::advance(milliseconds by) {
  const BootTime until = clock_.boot_now() + by;
  for (;;) {
    BootTime next = until;
    for (const auto& unit : units_) {
      next = std::min(next, on_shard(*unit, [&] {
                        BootTime earliest = until;
                        for (const Wait& wait : unit->waits)
                          earliest = std::min(earliest, wait.until);
                        return earliest;
                      }));
    }
    if (next > clock_.boot_now()) clock_.advance(next - clock_.boot_now());
    for (const auto& unit : units_) {
      on_shard(*unit, [&] {
        const auto waits = unit->waits;
        for (const Wait& wait : waits) {
          if (wait.until <= clock_.boot_now()) wait.wake->notify();
        }
        return true;
      });
    }
    settle();
    if (clock_.boot_now() >= until) return;
  }
}

CollectorStatus CanonWorld::status() {
  CollectorStatus sum;
  for (const auto& unit : units_) {
    const CollectorStatus part = on_shard(*unit, [&] { return unit->collector->status(); });
    sum.waiting += part.waiting;
    sum.readings += part.readings;
    sum.unchanged += part.unchanged;
    sum.phantoms += part.phantoms;
    sum.deleted += part.deleted;
    sum.hidden += part.hidden;
    sum.failed += part.failed;
    sum.baselined += part.baselined;
    sum.swept += part.swept;
    sum.parked += part.parked;
    for (const auto& [what, count] : part.silenced) sum.silenced[what] += count;
  }
  return sum;
}

std::vector<LogRecord> CanonWorld::records(Journal journal, std::vector<RecordBatchPtr>& kept) {
  std::vector<LogRecord> found;
  auto reader = log_->open_reader(journal, log_->begins(journal));
  if (!reader) refuse(reader.error());
  for (;;) {
    auto batch = (*reader)->next(1000, std::size_t{1} << 20);
    if (!batch) refuse(batch.error());
    if ((*batch)->records.empty()) return found;
    kept.push_back(*batch);
    found.insert(found.end(), (*batch)->records.begin(), (*batch)->records.end());
  }
}

std::vector<Event> CanonWorld::whole_events() {
  std::vector<RecordBatchPtr> kept;
  std::vector<Event> events;
  for (const LogRecord& record : records(Journal::events, kept)) {
    auto event = decode_event(record.payload);
    if (!event) refuse(event.error());
    events.push_back(*std::move(event));
  }
  return events;
}

std::vector<std::string> CanonWorld::events() {
  std::vector<std::string> lines;
  for (const Event& event : whole_events()) {
    lines.push_back(fmt::format("{} {} {}", event.type,
                                event.record.substr(event.record.rfind('/') + 1),
                                canonical_json(event.data)));
  }
  return lines;
}

std::vector<std::string> CanonWorld::event_types() {
  std::vector<std::string> types;
  for (const Event& event : whole_events()) types.push_back(event.type);
  return types;
}

std::vector<std::string> CanonWorld::keys(Table table) {
  std::vector<std::string> keys;
  auto rows = state_->scan(table, "", "", 100'000);
  if (!rows) refuse(rows.error());
  for (const Row& row : *rows) keys.push_back(row.key);
  return keys;
}

std::vector<ParkedRow> CanonWorld::parked() {
  std::vector<ParkedRow> found;
  auto rows = state_->scan(Table::parked, "", "", 100'000);
  if (!rows) refuse(rows.error());
  for (const Row& row : *rows) found.push_back(*decode_parked_row(row.value));
  return found;
}

Projection CanonWorld::projection(const std::string& entity, const std::string& record) {
  auto row = state_->get(Table::projections, row_key(entity, record));
  if (!row || !*row) return {};
  return *decode_projection(**row);
}

std::vector<ProjectResult> CanonWorld::project(std::vector<SourceChange> changes) {
  Unit& unit = *units_.at(partition_of(changes.front().record) % units_.size());
  std::vector<ProjectResult> results;
  const auto shared = std::make_shared<const std::vector<SourceChange>>(std::move(changes));
  run_on(unit.shard, [&]() -> Awaitable<Result<void>> {
    auto projected = co_await unit.projector->project(config_, shared, ExtraWrites{});
    MILLRACE_CO_CHECK_OK(projected ? Result<void>{} : std::unexpected(projected.error()));
    results = *std::move(projected);
    co_return Result<void>{};
  });
  settle();
  return results;
}

}  // namespace millrace::canon::test
