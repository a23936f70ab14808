// Payloads that could not be projected, and those that wait behind them.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "canon/inbox_pump.hpp"

namespace millrace::canon {
namespace {

constexpr std::size_t kRowsPerScan = 1000;

ParkedState state_after(const Error& error) {
  switch (error.code) {
    case Errc::missing_reference:
      return ParkedState::waiting_reference;
    case Errc::conflict:
      return ParkedState::behind;
    default:
      return ParkedState::needs_decision;
  }
}

void set_failed(ParkedRow& row, const Error& error, WallTime now) {
  row.state = state_after(error);
  row.reason = error.message;
  row.cause = to_string(error.code);
  row.next_at = now;
  ++row.attempts;
}

bool takes_payloads(const config::Entity& entity) {
  return std::ranges::any_of(
      entity.from, [](const config::EntitySource& source) { return source.model.empty(); });
}

// What the row keeps of its message; without a source when the entity no longer has it.
SourceChange change_of(const config::Entity& entity, const ParkedRow& row) {
  SourceChange change;
  change.entity = &entity;
  const auto source = std::ranges::find(entity.from, string_or(row.payload, "connection", ""),
                                        &config::EntitySource::connection);
  if (source != entity.from.end()) change.source = &*source;
  change.record = row.record;
  if (const Json* value = find(row.payload, "value")) change.value = *value;
  if (const Json* version = find(row.payload, "version")) change.version = *version;
  change.cause_partition = row.partition;
  change.cause_offset = row.offset;
  change.payload = true;
  return change;
}

}  // namespace

void InboxPump::park(Batch& writes, const SourceChange& change, const Error& error) {
  ParkedRow row;
  row.stage = "project";
  row.owner = change.entity->name;
  row.record = change.record;
  row.partition = change.cause_partition;
  row.offset = change.cause_offset;
  row.since = context_.clock.wall_now();
  row.payload = JsonObject{{"connection", change.source->connection},
                           {"value", change.value},
                           {"version", change.version}};
  set_failed(row, error, row.since);
  spdlog::warn("a message cannot be projected entity={} id={} record={} reason=\"{}\"", row.owner,
               row.id(), row.record, row.reason);
  context_.trail.note({row.record, "project", row.owner, to_string(row.state), "", row.reason});
  writes.put(Table::parked, row.key(), encode(row));
  ++blocked_[row_key(row.owner, row.record)];
}

void InboxPump::given_up(const ParkedRow& row) {
  if (row.stage != "project") return;
  given_up_.insert(row.key());
  release_of_.emplace(row.owner, row.record);
  ready_.notify();
}

// What is parked is tried again: all of it after a start or a reload; that of a record when a
// person gave up what it waited for. Rows that went before are gone from the store by then.
Awaitable<Result<void>> InboxPump::release_parked() {
  const bool all = std::exchange(release_, false);
  const auto records = std::exchange(release_of_, {});
  if (!all && records.empty()) co_return Result<void>{};
  const config::ConfigPtr config = config_;
  given_up_.clear();
  co_await projector_.durable();
  if (all) blocked_.clear();
  for (const auto& [entity, record] : records) {
    blocked_.erase(row_key(entity, record));
    if (all || !config->entities.contains(entity)) continue;
    auto released = co_await release_rows(config, entity, partition_of(record), record);
    MILLRACE_CO_CHECK_OK(std::move(released));
  }
  for (const auto& [name, entity] : config->entities) {
    if (!all || !takes_payloads(entity)) continue;
    for (Partition partition = 0; partition < kPartitionCount; ++partition) {
      if (!context_.owned.contains(partition)) continue;
      auto released = co_await release_rows(config, name, partition, "");
      MILLRACE_CO_CHECK_OK(std::move(released));
    }
  }
  co_return Result<void>{};
}

// Rows of the entity in the partition, in the order in which they came; of one record, or of all.
Awaitable<Result<void>> InboxPump::release_rows(config::ConfigPtr config, std::string entity,
                                                Partition partition, std::string record) {
  std::string after;
  for (;;) {
    auto read = [&state = context_.state, after,
                 prefix = parked_prefix(parked_owner("project", entity), partition)] {
      return state.scan(Table::parked, prefix, after, kRowsPerScan);
    };
    auto rows = co_await offload_until_back(context_.readers, context_.shard, std::move(read));
    if (!rows) co_return std::unexpected(rows.error());
    for (const Row& stored : *rows) {
      auto row = decode_parked_row(stored.value);
      if (!row) co_return std::unexpected(row.error());
      const bool wanted = record.empty() || row->record == record;
      // A row without a value is the collector's.
      if (!wanted || find(row->payload, "value") == nullptr) continue;
      auto released = co_await release_row(config, *std::move(row));
      if (!released || stopping_) co_return released;
    }
    if (rows->size() < kRowsPerScan) co_return Result<void>{};
    after = rows->back().key;
  }
}

Awaitable<Result<void>> InboxPump::release_row(config::ConfigPtr config, ParkedRow row) {
  if (given_up_.contains(row.key())) co_return Result<void>{};
  const std::string block = row_key(row.owner, row.record);
  auto change = change_of(config->entities.find(row.owner)->second, row);
  if (change.source == nullptr || blocked_.contains(block)) {
    ++blocked_[block];
    co_return Result<void>{};
  }
  const auto one = std::make_shared<const std::vector<SourceChange>>(1, std::move(change));
  const auto extra = [&](const std::vector<ProjectResult>& results) {
    Batch writes;
    note_stale(one->front(), results.front());
    if (given_up_.contains(row.key())) return writes;
    if (results.front().kind == ProjectResult::Kind::failed) {
      set_failed(row, *results.front().error, context_.clock.wall_now());
      writes.put(Table::parked, row.key(), encode(row));
      ++blocked_[block];
    } else {
      writes.erase(Table::parked, row.key());
    }
    return writes;
  };
  auto projected = co_await projector_.project(std::move(config), one, extra);
  if (!projected) co_return std::unexpected(projected.error());
  co_return Result<void>{};
}

}  // namespace millrace::canon
