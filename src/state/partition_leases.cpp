#include "state/partition_leases.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "millrace/json.hpp"
#include "state/partition_reigns.hpp"

namespace millrace {
namespace {

constexpr std::string_view kLeases = "lease";
constexpr std::string_view kInstances = "instance";
constexpr std::size_t kInstancesMax = 1000;

std::string lease_key(Partition partition) {
  return row_key(std::string(kLeases), fmt::format("{:02x}", partition));
}

std::string note_key(const std::string& instance) {
  return row_key(std::string(kInstances), instance);
}

std::string encode(const PartitionLease& lease) {
  return write_json(Json(JsonObject{{"instance", lease.instance}, {"session", lease.session}}));
}

Result<PartitionLease> decode_lease(std::string_view text) {
  MILLRACE_TRY(json, parse_json(text));
  return PartitionLease{std::string(string_or(json, "instance", "")),
                        std::string(string_or(json, "session", ""))};
}

Result<InstanceNote> decode_note(std::string_view text) {
  MILLRACE_TRY(json, parse_json(text));
  InstanceNote note;
  note.session = string_or(json, "session", "");
  note.admin = string_or(json, "admin", "");
  note.version = string_or(json, "version", "");
  note.generation = static_cast<std::uint64_t>(int_or(json, "generation", 0));
  note.content_hash = string_or(json, "content_hash", "");
  if (const std::int64_t spooled = int_or(json, "spooled", -1); spooled >= 0)
    note.spooled = static_cast<std::uint64_t>(spooled);
  note.at = parse_rfc3339(string_or(json, "at", "")).value_or(WallTime{});
  return note;
}

}  // namespace

std::vector<std::string> GroupView::working() const {
  std::vector<std::string> names;
  for (const GroupMember& member : members) {
    const auto note = notes.find(member.instance);
    if (note != notes.end() && note->second.session == member.session) {
      names.push_back(member.instance);
    }
  }
  return names;
}

const PartitionLease* GroupView::held(Partition partition) const {
  const auto& lease = leases.at(partition);
  if (!lease) return nullptr;
  const bool lives = std::ranges::any_of(members, [&lease](const GroupMember& member) {
    return member.instance == lease->instance && member.session == lease->session;
  });
  return lives ? &*lease : nullptr;
}

PartitionSet GroupView::held_by(std::string_view session) const {
  PartitionSet mine;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    const PartitionLease* lease = held(p);
    if (lease != nullptr && lease->session == session) mine.insert(p);
  }
  return mine;
}

Result<GroupView> read_group(StateStore& state, Group& group) {
  GroupView view;
  // Leases before members: a session that takes one after it was read as free is a member by then.
  const std::string leases = row_key(std::string(kLeases), std::string());
  MILLRACE_TRY(rows, state.scan(Table::meta, leases, "", kPartitionCount));
  for (const Row& row : rows) {
    const auto partition = std::strtoul(row.key.c_str() + leases.size(), nullptr, 16);
    MILLRACE_TRY(lease, decode_lease(row.value));
    view.leases.at(partition % kPartitionCount) = std::move(lease);
  }
  const std::string instances = row_key(std::string(kInstances), std::string());
  MILLRACE_TRY(notes, state.scan(Table::meta, instances, "", kInstancesMax));
  for (const Row& row : notes) {
    MILLRACE_TRY(note, decode_note(row.value));
    view.notes.emplace(row.key.substr(instances.size()), std::move(note));
  }
  MILLRACE_TRY(members, group.members());
  view.members = std::move(members);
  return view;
}

const std::string& wanted_owner(Partition partition, const std::vector<std::string>& instances) {
  return *std::ranges::max_element(instances, {}, [partition](const std::string& instance) {
    return stable_hash({instance, fmt::format("{}", partition)});
  });
}

LeaseMoves lease_moves(const GroupView& view, const std::string& instance,
                       const std::string& session) {
  LeaseMoves moves;
  const std::vector<std::string> working = view.working();
  if (std::ranges::find(working, instance) == working.end()) return moves;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    const PartitionLease* lease = view.held(p);
    const bool ours = wanted_owner(p, working) == instance;
    if (ours && lease == nullptr) moves.take.insert(p);
    if (!ours && lease != nullptr && lease->session == session) moves.give.insert(p);
  }
  return moves;
}

Batch take_leases(const GroupView& view, PartitionSet partitions, const PartitionLease& mine) {
  Batch batch;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (!partitions.contains(p)) continue;
    const auto& before = view.leases.at(p);
    batch.require.push_back(
        {Table::meta, lease_key(p), before ? std::optional(encode(*before)) : std::nullopt});
    batch.put(Table::meta, lease_key(p), encode(mine));
  }
  return batch;
}

Batch give_leases(PartitionSet partitions, const PartitionLease& mine) {
  Batch batch;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (!partitions.contains(p)) continue;
    batch.require.push_back({Table::meta, lease_key(p), encode(mine)});
    batch.erase(Table::meta, lease_key(p));
  }
  return batch;
}

Write note_row(const std::string& instance, const InstanceNote& note) {
  JsonObject said{{"session", note.session},           {"admin", note.admin},
                  {"version", note.version},           {"generation", note.generation},
                  {"content_hash", note.content_hash}, {"at", to_rfc3339(note.at)}};
  if (note.spooled) said.emplace("spooled", *note.spooled);
  return {Table::meta, note_key(instance), write_json(Json(std::move(said)))};
}

Write no_note_row(const std::string& instance) {
  return {Table::meta, note_key(instance), std::nullopt};
}

bool is_of_group(std::string_view key) {
  const std::string_view kind = key.substr(0, key.find('\0'));
  return kind.size() < key.size() && (kind == kLeases || kind == kInstances || kind == kReignKind);
}

}  // namespace millrace
