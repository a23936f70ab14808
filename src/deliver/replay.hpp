// A replay sends again what a route sent before: a second feeder of its lanes (semantics 5). What
// it is, how far it has come, and which events it passes over.
#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/model.hpp"
#include "log/follower.hpp"
#include "millrace/clock.hpp"
#include "millrace/event_log.hpp"
#include "route/progress.hpp"

namespace millrace::deliver {

/// What a person asked for.
struct ReplayOrder {
  std::uint64_t number = 0;  ///< of this installation: a key that it makes is never made again
  PartitionOffsets from{};   ///< kSkipPartition: nothing of that partition
  PartitionOffsets until{};
  PartitionOffsets live{};  ///< what lies there or beyond is taken up by the route itself
  std::string entity;       ///< whose events the route takes; of another nothing was ever sent
  std::string record;       ///< this one only; empty: all
  bool history = false;     ///< also what a later change has superseded
  bool again = false;       ///< with new keys
  std::string reason;
  WallTime since;
  std::uint64_t about = 0;  ///< events it would send, as counted before it began
};
using ReplayOrderPtr = std::shared_ptr<const ReplayOrder>;

struct ReplayCounts {
  std::uint64_t sent = 0;        ///< delivered
  std::uint64_t parked = 0;      ///< failed, and parked as any other
  std::uint64_t superseded = 0;  ///< a later change of the record was delivered
  std::uint64_t held = 0;        ///< a delivery of the record is parked already
  std::uint64_t decided = 0;     ///< a person gave the event up
  std::uint64_t overtaken = 0;   ///< the record changed since the replay began

  ReplayCounts& operator+=(const ReplayCounts& other);
};

/// One partition of a replay, as its row has it.
struct ReplayPartition {
  route::Progress progress;
  ReplayCounts counts;
};
using ReplayPartitions = std::map<Partition, ReplayPartition>;

/// Progress of its own and the counts, in one row.
std::string encode(ReplayPartition& partition, std::string_view log_uuid);
Result<ReplayPartition> decode_replay_partition(std::string_view text, std::string_view log_uuid);

/// Owner of the rows in Table::cursors; retention goes by them.
std::string replay_owner(std::string_view route_id);

/// The last change of each record of the range that the route takes, up to where it stands: what
/// comes before that is superseded. 64-bit hashes of records.
class ReplayIndex {
 public:
  static constexpr std::size_t kRecordsMax = 1'000'000;
  struct Entry {
    Offset last = 0;  ///< up to where the route stands
    Offset last_in_range = 0;
    std::uint32_t events = 0;  ///< of the range
    WallTime first_at;
    WallTime last_at;
  };

  /// Records of the journal in their order; each is read in `memory`, and then gone.
  /// Errc::too_large when there are too many.
  Result<void> add(const config::Config& config, const config::Route& route,
                   const ReplayOrder& order, const LogRecord& record, JsonMemory memory);
  /// A change of the range; the last of its record so far.
  void note(std::uint64_t record, Offset offset, WallTime at);
  /// A change of this record was taken up by the route itself.
  void news(std::uint64_t record, Offset offset);
  /// nullopt: nothing of the range is this record's.
  std::optional<Offset> last(std::uint64_t record) const;

  using Entries = boost::unordered_flat_map<std::uint64_t, Entry>;
  const Entries& entries() const { return entries_; }

 private:
  Entries entries_;
};

/// Looks through what a replay could send, in steps. Blocking: on a reader thread.
class ReplayScan {
 public:
  /// Up to `to`, which is where the route stands.
  ReplayScan(EventLog& log, config::ConfigPtr config, const config::Route& route,
             ReplayOrderPtr order, const PartitionOffsets& from, const PartitionOffsets& to);

  /// True when all of it was looked at.
  Result<bool> step();
  const ReplayIndex& index() const { return index_; }
  ReplayIndex take_index() { return std::move(index_); }

 private:
  EventLog& log_;
  config::ConfigPtr config_;
  const config::Route& route_;
  ReplayOrderPtr order_;
  PartitionOffsets from_;
  const PartitionOffsets to_;
  std::unique_ptr<LogReader> reader_;
  std::array<unsigned char, std::size_t{16} << 10> buffer_;
  ReplayIndex index_;
};

struct ReplayStart {
  ReplayOrderPtr order;
  ReplayPartitions partitions;  ///< those of the shard
};

struct ReplayStatus {
  ReplayCounts counts;
  Offset passed = 0;  ///< of the range's offsets
  Offset whole = 0;
  bool done = false;
  std::string failed;  ///< why it cannot go on
};

/// One lane's part of a replay. The lane feeds it and settles it; events that are under way keep
/// it alive.
class Replay {
 public:
  explicit Replay(ReplayStart start)
      : order_(std::move(start.order)), partitions_(std::move(start.partitions)) {}

  const ReplayOrder& order() const { return *order_; }
  const ReplayOrderPtr& order_ptr() const { return order_; }
  ReplayPartitions& partitions() { return partitions_; }
  ReplayCounts& counts(Partition partition) { return partitions_.at(partition).counts; }

  /// From where each partition is read; kSkipPartition where nothing is left.
  PartitionOffsets next() const;
  void settle(Partition partition, Offset offset);
  /// What the follower passed over concerns nobody.
  void see(const PartitionOffsets& next);
  /// Partitions whose rows are not as they stand.
  std::set<Partition> take_dirty() { return std::exchange(dirty_, {}); }
  bool dirty() const { return !dirty_.empty(); }
  bool read_through() const;

  void news(std::uint64_t record, Offset offset);
  void set_index(ReplayIndex index);
  bool indexed() const { return index_.has_value(); }
  enum class Verdict : std::uint8_t { send, superseded, overtaken };
  Verdict judge(std::uint64_t record, Partition partition, Offset offset) const;

  ReplayStatus status() const;

  std::unique_ptr<Follower> follower;
  std::optional<FollowedRecord> held_back;  ///< popped, but beyond its partition's window
  std::size_t items = 0;                    ///< taken up and not recorded
  std::size_t bytes = 0;                    ///< of these
  std::string failed;

 private:
  ReplayOrderPtr order_;
  ReplayPartitions partitions_;
  std::set<Partition> dirty_;
  std::optional<ReplayIndex> index_;
  std::vector<std::pair<std::uint64_t, Offset>> news_;  ///< until there is an index
};

}  // namespace millrace::deliver
