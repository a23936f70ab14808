#include "state/partition_reigns.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "millrace/json.hpp"
#include "state/blocking_commit.hpp"

namespace millrace {
namespace {

std::string reign_key(Partition partition) {
  return row_key(std::string(kReignKind), fmt::format("{:02x}", partition));
}

Json reigns_json(const Reigns& reigns) {
  JsonArray list;
  for (const Reign& reign : reigns) {
    list.push_back(JsonArray{static_cast<std::int64_t>(reign.from), reign.owner});
  }
  return Json(std::move(list));
}

Result<Reigns> reigns_of(const Json& list) {
  Reigns reigns;
  const JsonArray* all = list.if_array();
  for (std::size_t i = 0; all != nullptr && i < all->size(); ++i) {
    const JsonArray* pair = (*all)[i].if_array();
    if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_int64() || !(*pair)[1].is_string()) {
      return fail(Errc::corrupt, "a row that says whose events count cannot be read");
    }
    reigns.push_back(
        {static_cast<Offset>((*pair)[0].get_int64()), std::string((*pair)[1].get_string())});
  }
  return reigns;
}

std::string encode(const TopicReigns& topics, Partition partition, const std::string& log) {
  JsonObject row;
  for (const auto& [topic, of_partitions] : topics) {
    if (of_partitions[partition].empty()) continue;
    row[topic] = reigns_json(of_partitions[partition]);
  }
  return write_json(Json(JsonObject{{"log", log}, {"topics", std::move(row)}}));
}

}  // namespace

std::string owner_word(const Group* group) {
  return group == nullptr ? std::string() : group->instance() + "/" + group->session();
}

Result<TopicReigns> read_reigns(StateStore& state, const EventLog& log) {
  TopicReigns topics;
  const std::string prefix = row_key(std::string(kReignKind), std::string());
  MILLRACE_TRY(rows, state.scan(Table::meta, prefix, "", kPartitionCount));
  for (const Row& row : rows) {
    const auto partition = std::strtoul(row.key.c_str() + prefix.size(), nullptr, 16);
    MILLRACE_TRY(json, parse_json(row.value));
    const Json* of_topics = find(json, "topics");
    if (string_or(json, "log", "") != log.uuid() || of_topics == nullptr) continue;
    for (const auto& [topic, list] : of_topics->as_object()) {
      MILLRACE_TRY(reigns, reigns_of(list));
      topics[std::string(topic)].at(partition % kPartitionCount) = std::move(reigns);
    }
  }
  return topics;
}

Result<void> begin_reigns(StateStore& state, EventLog& log, PartitionSet partitions,
                          const std::string& owner) {
  MILLRACE_TRY(topics, read_reigns(state, log));
  PartitionSet changed;
  for (const LogStream& stream : log.streams(Journal::events)) {
    const PartitionOffsets begins = log.begins(stream);
    const PartitionOffsets ends = log.ends(stream);
    auto& of_partitions = topics[stream.topic];
    for (Partition p = 0; p < kPartitionCount; ++p) {
      if (!partitions.contains(p)) continue;
      Reigns begun = with_reign(of_partitions[p], begins[p], ends[p], owner);
      if (begun != of_partitions[p]) changed.insert(p);
      of_partitions[p] = std::move(begun);
    }
  }
  Batch batch;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (changed.contains(p)) batch.put(Table::meta, reign_key(p), encode(topics, p, log.uuid()));
  }
  if (!batch.writes.empty()) MILLRACE_CHECK_OK(commit_blocking(state, std::move(batch)));
  log.set_reigns(std::move(topics));
  return {};
}

}  // namespace millrace
