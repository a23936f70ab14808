#include "daemon/broker.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <future>
#include <thread>

#include "daemon/gated_client.hpp"
#include "daemon/listener_tls.hpp"
#include "daemon/living_on.hpp"
#include "daemon/operations.hpp"
#include "daemon/recovery.hpp"
#include "state/blocking_commit.hpp"
#include "state/partition_reigns.hpp"

namespace millrace::daemon {
namespace {

constexpr std::size_t kReaderThreads = 2;

}  // namespace

Broker::Broker(BrokerOptions options, config::ConfigPtr config, const ConnectorRegistry& registry)
    : options_(std::move(options)),
      config_(std::move(config)),
      registry_(registry),
      started_at_(clock_.wall_now()) {
  share_->may_begin = [this] { return !membership_ || membership_->may_begin(); };
}

Result<std::unique_ptr<Broker>> Broker::start(BrokerOptions options, config::ConfigPtr config,
                                              const ConnectorRegistry& registry) {
  std::unique_ptr<Broker> broker(new Broker(std::move(options), std::move(config), registry));
  MILLRACE_TRY(tls, load_listener_tls(broker->config_->installation));
  broker->note_certificate(tls);
  broker->tls_ = std::move(tls);
  MILLRACE_CHECK_OK(broker->open_stores());
  MILLRACE_CHECK_OK(broker->recover());
  MILLRACE_CHECK_OK(broker->make_shards());
  MILLRACE_CHECK_OK(broker->make_connections());
  MILLRACE_CHECK_OK(broker->make_ingress());
  MILLRACE_CHECK_OK(broker->start_shards());
  MILLRACE_CHECK_OK(broker->start_admin());
  broker->start_ingress();
  broker->join_group();
  return broker;
}

Result<void> Broker::recover() {
  MILLRACE_CHECK_OK(load_audit());
  MILLRACE_CHECK_OK(begin_restored());
  owned_ = shares() ? PartitionSet() : PartitionSet::all();
  MILLRACE_CHECK_OK(begin_reigns(*state_, *log_, owned(), owner_word(state_->group())));
  MILLRACE_TRY(folded, fold_projections(*state_, *log_, owned()));
  if (folded > 0) spdlog::info("projections caught up with the log events={}", folded);
  // The texts are kept before any projection names them.
  MILLRACE_CHECK_OK(commit_blocking(*state_, canon::program_writes(*config_)));
  MILLRACE_TRY(past, canon::load_programs(*state_));
  past_ = std::move(past);
  MILLRACE_TRY(from, inbox_start(*state_, *log_, owned()));
  inbox_from_ = from;
  return {};
}

canon::ProjectorContext Broker::projector_context(ShardUnit& unit) {
  return {.shard = unit.shard,
          .log = *log_,
          .state = *state_,
          .readers = *readers_,
          .clock = clock_,
          .trail = *unit.trail,
          .log_uuid = log_->uuid(),
          .installation = config_->installation.name,
          .incarnation = installation_.incarnation,
          .owned = unit.owned};
}

deliver::LaneContext Broker::lane_context(ShardUnit& unit, const LogStream& stream) {
  return {.shard = unit.shard,
          .log = *log_,
          .state = *state_,
          .readers = *readers_,
          .clock = clock_,
          .trail = *unit.trail,
          .dispatcher = *unit.tails.at(stream).dispatcher,
          .stream = stream,
          .stream_id = log_->id_of(stream),
          .installation_uuid = installation_.uuid,
          .shard_count = shards_->size(),
          .together = unit.together,
          .reference_bound = [this](const std::string& key) { broadcast_reference(key); },
          .announced = [this] { wake_announcer(); }};
}

Result<void> Broker::make_shards() {
  const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
  shards_ = std::make_unique<ShardSet>(options_.shards != 0 ? options_.shards : cores);
  readers_ = std::make_unique<ReaderPool>(kReaderThreads);
  for (std::size_t i = 0; i < shards_->size(); ++i) {
    auto unit = std::make_unique<ShardUnit>(shards_->at(i));
    Shard& shard = unit->shard;
    unit->owned = owned() & PartitionSet::of_shard(i, shards_->size());
    unit->trail = std::make_unique<watch::TrailWriter>(
        *log_, shard, static_cast<Partition>(i), clock_, [&shard](milliseconds delay, Task task) {
          shard.spawn("later", run_later(delay, std::move(task)));
        });
    for (const Journal journal : {Journal::inbox, Journal::events}) {
      for (const LogStream& stream : log_->streams(journal)) {
        StreamTail& tail = unit->tails[stream];
        tail.dispatcher = std::make_unique<TailDispatcher>(only(unit->owned, log_->ends(stream)),
                                                           followed_bytes_);
        tail.feed = TailFeed::make(shard, *tail.dispatcher);
      }
    }
    units_.push_back(std::move(unit));
  }
  for (const Journal journal : {Journal::inbox, Journal::events}) {
    log_->set_tail_listener(journal, [this](const LogStream& stream, const RecordBatchPtr& batch) {
      for (const auto& unit : units_) unit->tails.at(stream).feed->deliver(batch);
    });
  }
  shards_->start();
  return {};
}

PartitionOffsets Broker::only(PartitionSet partitions, PartitionOffsets offsets) {
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (!partitions.contains(p)) offsets[p] = kSkipPartition;
  }
  return offsets;
}

Awaitable<void> Broker::run_later(milliseconds delay, Task task) {
  co_await sleep_for(delay);
  task();
}

Result<void> Broker::run_on(Shard& shard, std::function<Awaitable<Result<void>>()> work) {
  return await_begun(begin_on(shard, std::move(work)));
}

std::future<Result<void>> Broker::begin_on(Shard& shard,
                                           std::function<Awaitable<Result<void>>()> work) {
  // The promise is shared: a task that a stop destroys breaks it, and the waiter learns of it.
  auto outcome = std::make_shared<std::promise<Result<void>>>();
  auto future = outcome->get_future();
  shard.spawn("start", run_and_tell(std::move(work), std::move(outcome)));
  return future;
}

Result<void> Broker::await_begun(std::future<Result<void>> begun) {
  try {
    return begun.get();
  } catch (const std::future_error&) {
    return fail(Errc::stopping, "the shard stopped before its work was done");
  }
}

Awaitable<void> Broker::run_and_tell(std::function<Awaitable<Result<void>>()> work,
                                     std::shared_ptr<std::promise<Result<void>>> outcome) {
  auto result = co_await work();
  outcome->set_value(std::move(result));
}

Result<ConnectionUnit> Broker::make_connection(const config::Connection& connection) {
  ConnectionUnit made;
  made.fingerprint = connection.fingerprint;
  made.home = &shards_->at(hash64(connection.name) % shards_->size());
  const ConnectorType* type = registry_.find(connection.type);
  if (type == nullptr || connection.url.empty()) return made;
  MILLRACE_TRY(url, parse_url(connection.url));
  made.gate = std::make_shared<EgressGate>(std::vector<Url>{url});
  ConnectionContext context;
  context.name = connection.name;
  context.url = connection.url;
  context.companies = connection.companies;
  context.in_flight = connection.limits.in_flight;
  context.share = share_;
  context.http = [shard = made.home, gate = made.gate](const HttpClientSettings& settings) {
    return make_gated_client(*shard, settings, gate);
  };
  MILLRACE_TRY(held, state_->get(Table::routes, row_key("held", connection.name)));
  Result<void> result;
  Shard& home = *made.home;
  // Clients are made where they live.
  auto make = [&]() -> Awaitable<Result<void>> {
    auto sink = type->make_sink(connection.options, context);
    if (sink) {
      made.target = living_on(home, std::make_unique<deliver::Target>(
                                        home, connection, *std::move(sink), clock_, share_));
      made.target->hold(held, [this, &home, name = connection.name](const auto& reason) {
        keep_held(home, name, reason);
      });
    } else if (sink.error().code != Errc::not_supported) {
      co_return std::unexpected(sink.error());
    }
    auto reader = type->make_reader(connection.options, context);
    if (reader) {
      made.reader = living_on(
          home, std::make_unique<canon::SourceReader>(home, connection.name, *std::move(reader),
                                                      connection.limits.in_flight, clock_, share_));
    } else if (reader.error().code != Errc::not_supported) {
      co_return std::unexpected(reader.error());
    }
    co_return Result<void>{};
  };
  result = run_on(home, make);
  MILLRACE_CHECK_OK(std::move(result));
  return made;
}

Result<void> Broker::make_connections() {
  for (const auto& [name, connection] : config_->connections) {
    auto made = make_connection(connection);
    if (!made) {
      return fail(made.error().code, fmt::format("connection {}: {}", name, made.error().message));
    }
    connections_[name] = *std::move(made);
  }
  publish_sources();
  return {};
}

Result<void> Broker::start_shards() {
  for (const auto& unit : units_) {
    auto work = [this, &unit, from = only(unit->owned, inbox_from_)] {
      return start_unit(*unit, from);
    };
    MILLRACE_CHECK_OK(run_on(unit->shard, work));
  }
  MILLRACE_CHECK_OK(start_routes());
  // A full read hands its pages to the collectors of all shards.
  for (const auto& unit : units_) {
    unit->shard.post([&unit = *unit] { unit.collector->begin_watching(); });
  }
  Shard& first = shards_->at(0);
  announce_ = std::make_unique<Notifier>(first.context());
  first.spawn("announcer", announce_dead());
  first.spawn("disk", watch_disk());
  start_publishing();
  return {};
}

Awaitable<Result<void>> Broker::start_unit(ShardUnit& unit, PartitionOffsets inbox_from) {
  unit.projector = std::make_unique<canon::Projector>(projector_context(unit));
  unit.collector = make_collector(unit);
  unit.projector->set_past(past_);
  auto collecting = co_await unit.collector->start(config_, past_);
  MILLRACE_CO_CHECK_OK(std::move(collecting));
  unit.pump = std::make_unique<canon::InboxPump>(
      projector_context(unit), *unit.projector, *unit.collector,
      *unit.tails.at(Journal::inbox).dispatcher, counters_->dropped, [this] { wake_announcer(); });
  auto started = co_await unit.pump->start(config_, inbox_from);
  co_return started;
}

void Broker::broadcast_reference(const std::string& key) {
  for (const auto& unit : units_) {
    unit->shard.post([&unit = *unit, key] {
      for (const auto& [name, lane] : unit.lanes) lane->reference_bound(key);
    });
  }
}

}  // namespace millrace::daemon
