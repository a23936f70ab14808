#include "canon/parked_records.hpp"

#include <algorithm>

namespace millrace::canon {
namespace {

constexpr std::size_t kRowsPerScan = 1000;

// The inbox pump's rows hold a payload's `value` or an unreadable body; ours name a record.
bool is_ours(const ParkedRow& row) {
  return find(row.payload, "value") == nullptr && int_or(row.payload, "id", 0) != 0 &&
         !string_or(row.payload, "model", "").empty();
}

Result<void> scan_all(StateStore& state, const std::string& prefix, std::vector<ParkedRow>& found) {
  std::string after;
  for (;;) {
    MILLRACE_TRY(rows, state.scan(Table::parked, prefix, after, kRowsPerScan));
    for (const Row& stored : rows) {
      auto row = decode_parked_row(stored.value);
      if (row && is_ours(*row)) found.push_back(*std::move(row));
    }
    if (rows.size() < kRowsPerScan) return {};
    after = rows.back().key;
  }
}

}  // namespace

Result<std::vector<ParkedRow>> ParkedRecords::load(StateStore& state, const config::Config& config,
                                                   const std::function<bool(Partition)>& mine) {
  std::vector<std::string> owners;
  for (const auto& [name, connection] : config.connections) {
    owners.push_back(parked_owner("collect", name));
  }
  for (const auto& [name, entity] : config.entities) {
    owners.push_back(parked_owner("project", name));
  }
  std::vector<ParkedRow> found;
  for (const std::string& owner : owners) {
    for (Partition partition = 0; partition < kPartitionCount; ++partition) {
      if (!mine(partition)) continue;
      MILLRACE_CHECK_OK(scan_all(state, parked_prefix(owner, partition), found));
    }
  }
  return found;
}

void ParkedRecords::fill(const std::vector<ParkedRow>& rows) {
  for (const ParkedRow& row : rows) {
    by_record_[row.record].push_back({parked_owner(row.stage, row.owner), row});
    ++size_;
  }
}

ParkedRow ParkedRecords::park(const ModelPlan& model, const DoorbellRow& doorbell,
                              const ParkReason& reason, WallTime now, Batch& writes) {
  const std::string owner = parked_owner(reason.stage, reason.owner);
  auto& entries = by_record_[doorbell.record];
  auto at = std::ranges::find(entries, owner, &Entry::owner);
  if (at == entries.end()) {
    ParkedRow row;
    row.stage = reason.stage;
    row.owner = reason.owner;
    row.record = doorbell.record;
    row.partition = doorbell.partition;
    row.offset = doorbell.offset;
    row.since = now;
    row.payload = JsonObject{{"connection", model.connection},
                             {"model", model.model},
                             {"id", doorbell.id},
                             {"origin", doorbell.baseline ? "baseline" : doorbell.origin}};
    entries.push_back({owner, std::move(row)});
    at = std::prev(entries.end());
    ++size_;
  }
  ParkedRow& row = at->row;
  row.state = reason.state;
  row.reason = reason.text;
  row.cause = reason.cause;
  row.next_at = now;
  ++row.attempts;
  writes.put(Table::parked, row.key(), encode(row));
  return row;
}

bool ParkedRecords::clear(std::string_view stage, std::string_view owner, const std::string& record,
                          Batch& writes) {
  const auto found = by_record_.find(record);
  if (found == by_record_.end()) return false;
  auto& entries = found->second;
  const auto at = std::ranges::find(entries, parked_owner(stage, owner), &Entry::owner);
  if (at == entries.end()) return false;
  writes.erase(Table::parked, at->row.key());
  entries.erase(at);
  --size_;
  if (entries.empty()) by_record_.erase(found);
  return true;
}

void ParkedRecords::forget(const ParkedRow& row) {
  Batch erased;
  clear(row.stage, row.owner, row.record, erased);
}

bool ParkedRecords::baseline(const std::string& record) const {
  const auto found = by_record_.find(record);
  return found != by_record_.end() && std::ranges::any_of(found->second, [](const Entry& entry) {
           return string_or(entry.row.payload, "origin", "") == "baseline";
         });
}

std::vector<Doorbell> ParkedRecords::doorbells() const {
  std::vector<Doorbell> doorbells;
  for (const auto& [record, entries] : by_record_) {
    const ParkedRow& row = entries.front().row;
    Doorbell doorbell;
    doorbell.connection = string_or(row.payload, "connection", "");
    doorbell.model = string_or(row.payload, "model", "");
    doorbell.id = int_or(row.payload, "id", 0);
    doorbell.origin = "check";
    doorbell.partition = row.partition;
    doorbell.offset = row.offset;
    doorbell.received_at = row.since;
    doorbells.push_back(std::move(doorbell));
  }
  return doorbells;
}

}  // namespace millrace::canon
