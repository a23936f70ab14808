#include "log/kafka_following.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

namespace millrace::log {

Result<void> KafkaFollowing::follow(const std::set<Partition>& partitions) {
  const std::lock_guard lock(mutex_);
  MILLRACE_CHECK_OK(let_go(partitions));
  std::set<Partition> added;
  std::ranges::set_difference(partitions, followed_, std::inserter(added, added.end()));
  if (added.empty()) return {};
  MILLRACE_TRY(positions, present_ends(added));
  read_ids(added);
  MILLRACE_CHECK_OK(on_shard_([this, positions = positions] { return tail_.begin(positions); }));
  followed_ = partitions;
  return {};
}

Result<void> KafkaFollowing::let_go(const std::set<Partition>& partitions) {
  std::erase_if(followed_, [&](Partition p) { return !partitions.contains(p); });
  auto let_go = std::make_shared<std::vector<KafkaPosition>>();
  MILLRACE_CHECK_OK(on_shard_([this, partitions, let_go]() -> Result<void> {
    MILLRACE_TRY(gone, tail_.let_go_of_all_but(partitions));
    *let_go = std::move(gone);
    return {};
  }));
  for (const KafkaPosition& gone : *let_go) {
    const auto until = ids_until_.find(tail_.streams().at(gone.topic));
    if (until == ids_until_.end()) continue;
    until->second[static_cast<std::size_t>(gone.partition)] = static_cast<Offset>(gone.offset);
  }
  return {};
}

Result<std::vector<KafkaPosition>> KafkaFollowing::present_ends(
    const std::set<Partition>& partitions) {
  std::vector<KafkaPartition> asked;
  for (const auto& [topic, stream] : tail_.streams()) {
    for (const Partition p : partitions) asked.emplace_back(topic, p);
  }
  MILLRACE_TRY(begins, admin_.begins(asked));
  MILLRACE_TRY(ends, admin_.ends(asked));
  std::vector<KafkaPosition> positions;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto& [topic, partition] = asked[i];
    bounds_.know(tail_.streams().at(topic), static_cast<Partition>(partition),
                 static_cast<Offset>(begins[i]), static_cast<Offset>(ends[i]));
    positions.push_back({topic, partition, ends[i]});
  }
  return positions;
}

// A new owner knows the ids that came while it was not. What it does not get to know may be taken
// in once more, which is no reason not to go on.
void KafkaFollowing::read_ids(const std::set<Partition>& partitions) {
  for (const auto& [stream, until] : ids_until_) {
    PartitionOffsets from;
    from.fill(kSkipPartition);
    for (const Partition p : partitions) from[p] = until[p];
    if (const auto read = ids_.read(log_, stream, from); !read) {
      spdlog::warn(
          "ids of what was sent lately are not known, repeats may be taken in stream={} "
          "error=\"{}\"",
          to_string(stream), read.error().message);
    }
  }
}

}  // namespace millrace::log
