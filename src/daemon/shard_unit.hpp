// What one shard owns: its followers' dispatchers, trail, projector, inbox pump, collector and
// lanes.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "canon/collector.hpp"
#include "canon/inbox_pump.hpp"
#include "canon/projector.hpp"
#include "deliver/lane.hpp"
#include "log/follower.hpp"
#include "log/tail_feed.hpp"
#include "millrace/partition_set.hpp"
#include "net/shard.hpp"
#include "watch/trail_writer.hpp"

namespace millrace::daemon {

/// How a shard follows one stream of the log.
struct StreamTail {
  std::unique_ptr<TailDispatcher> dispatcher;
  std::shared_ptr<TailFeed> feed;
  PartitionOffsets saved{};  ///< as the tail's rows have it; events only, as is what follows
  PartitionOffsets seen{};   ///< the tail, a round ago
  PartitionOffsets projected_saved{};  ///< as written here into the rows of `projected`
};

struct ShardUnit {
  explicit ShardUnit(Shard& owner) : shard(owner) {}

  Shard& shard;
  PartitionSet owned;  ///< changes on the shard, while its work is held; see broker_partitions.cpp
  std::unique_ptr<watch::TrailWriter> trail;
  std::map<LogStream, StreamTail> tails;  ///< which streams there are is settled before the start
  std::unique_ptr<canon::Projector> projector;
  std::unique_ptr<canon::Collector> collector;
  std::unique_ptr<canon::InboxPump> pump;
  bool tail_under_way = false;  ///< a commit of the tails' rows is
  std::shared_ptr<deliver::LanesTogether> together = std::make_shared<deliver::LanesTogether>();
  std::map<std::string, std::shared_ptr<deliver::Lane>> lanes;  ///< by route id
};

}  // namespace millrace::daemon
