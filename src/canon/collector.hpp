// Reads records back when their doorbells rang. One collector a shard, for the records of its
// partitions and all connections. Promises (semantics 2): rows coalesce, one a record, and outlive
// a crash; at most one reading of a record is in flight; a doorbell is settled by what a reading
// shows and never by what it says itself; whatever a source answers, rows stay until they are
// settled, parked or gone.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "canon/collect_plan.hpp"
#include "canon/doorbell_queue.hpp"
#include "canon/inbox_pump.hpp"
#include "canon/parked_records.hpp"
#include "canon/seen_records.hpp"
#include "canon/source_reader.hpp"

namespace millrace::canon {

class Collector;
class SourceWatch;

struct CollectorContext {
  Shard& shard;
  EventLog& log;
  StateStore& state;
  ReaderPool& readers;
  ReadService& sources;
  Clock& clock;
  Trail& trail;
  Projector& projector;
  std::size_t shard_count = 1;
  bool shared = false;        ///< other instances may own partitions, too
  const PartitionSet& owned;  ///< of the shard; changes only while its work is held
  /// Runs the function with the collector of another shard, on that shard.
  std::function<void(std::size_t shard, std::move_only_function<void(Collector&)>)> on_peer;
  /// Waits until notified, or for about that long. Tests let time pass here.
  std::function<Awaitable<void>(Notifier&, milliseconds)> wait;
};

struct CollectorStatus {
  std::size_t waiting = 0;  ///< records whose doorbell rang and is not settled
  std::optional<WallTime> oldest_at;
  std::uint64_t readings = 0;   ///< records read
  std::uint64_t unchanged = 0;  ///< doorbells with nothing to do
  std::uint64_t phantoms = 0;   ///< doorbells of records that never were
  std::uint64_t deleted = 0;
  std::uint64_t hidden = 0;
  std::uint64_t failed = 0;  ///< readings the source refused or the entity could not take
  std::uint64_t baselined = 0;
  std::uint64_t swept = 0;  ///< doorbells rung by sweeps
  std::size_t parked = 0;
  std::map<std::string, std::uint64_t> silenced;  ///< see Projector::silenced
  /// Models that cannot be read as configured, by "<connection>/<model>", and why.
  std::map<std::string, std::string> unreadable;
  bool idle = false;  ///< nothing is being read or projected
};

/// A page of a full read: this shard's part of it.
struct BaselinePage {
  CollectPlanPtr plan;
  std::string connection;
  std::string model;
  std::vector<ListedRecord> rows;
  WallTime mark;              ///< the source's clock when the full read began
  std::int64_t after_id = 0;  ///< with this page, everything up to here was read
};

/// A page of a sweep: which of these records must be read?
struct SweepPage {
  std::string connection;
  std::string model;
  std::vector<ListedRecord> rows;
  bool touched = false;          ///< write_date is that of a line, not of the record
  microseconds source_ahead{0};  ///< the source's clock minus ours
  seconds longest_transaction{0};
};

class Collector final : public DoorbellSink {
 public:
  explicit Collector(CollectorContext context);
  ~Collector() override;

  /// Loads what waits. Reading begins at once where the full read is done.
  Awaitable<Result<void>> start(config::ConfigPtr config, PastPrograms past = nullptr);
  /// Full reads and sweeps begin; call when the collectors of all shards have started.
  void begin_watching();
  void stop();
  /// Other partitions are the shard's from resume() on: nothing more is read, and nothing is being
  /// read when it returns. Doorbells that ring meanwhile wait in their rows.
  Awaitable<void> hold();
  Awaitable<Result<void>> resume();
  /// Now and then: another instance may have ended a full read.
  void look_around();
  /// New texts from now on; parked records are read again.
  void replace(config::ConfigPtr config, const PastPrograms& past = nullptr);
  /// Rows of backfills or checks were written by hand: the watches look at them.
  void look_again();

  /// A person gave a parked row up and erases it: its record is read when its doorbell rings again.
  void given_up(const ParkedRow& row) { parked_.forget(row); }

  bool ring(const Doorbell& doorbell, Batch& writes) override;

  CollectorStatus status() const;

  // For the watches of this and other shards' collectors.

  /// Stores the records without a word and, in the same commit, how far the full read is.
  Awaitable<Result<void>> take_baseline(BaselinePage page);
  Awaitable<Result<std::vector<std::int64_t>>> unseen_in(SweepPage page);
  /// Doorbells of the model that wait and were not rung by the source itself.
  Awaitable<Result<std::size_t>> announced_of(std::string connection, std::string model);
  /// The full read of the model is done for these entities.
  void open(std::string connection, std::string model, WallTime mark,
            std::set<std::string> entities);
  /// Rings doorbells through the inbox; returns when they are durable.
  Awaitable<Result<void>> ring_through_inbox(std::vector<RawMessage> doorbells);

 private:
  friend class SourceWatch;
  struct Pass;
  struct PassChange;
  using PassPtr = std::shared_ptr<Pass>;

  /// After an error: nothing is read before `until`.
  struct Pause {
    int failures = 0;
    BootTime until;
    std::string unreadable;  ///< why the model cannot be read as configured; empty: it can
  };
  struct Lane {
    DoorbellQueue rows;
    bool reading[2] = {false, false};  ///< a batch in flight: of sound rows, of suspects
    std::set<std::string> covered;     ///< entities whose full read is done
    bool open = false;
    std::optional<WallTime> mark;
    Pause pause;
  };

  Awaitable<void> run();
  Awaitable<Result<void>> load_rows();
  Awaitable<Result<void>> load_parked();
  Awaitable<Result<void>> load_marks();
  Awaitable<void> load_marks_again();
  void open_lanes();
  bool is_mine(Partition partition) const { return context_.owned.contains(partition); }
  bool is_mine(const std::string& connection, const std::string& model, std::int64_t id) const;
  Lane& lane(std::string_view connection, std::string_view model);
  DoorbellRow* take_up(const Doorbell& doorbell);
  void release_parked();
  std::optional<BootTime> start_batches();
  std::optional<BootTime> start_batch(const ModelPlan& model, Lane& lane, bool suspects);

  // collect_batch.cpp
  Awaitable<void> read_batch(PassPtr pass);
  Awaitable<Result<void>> fetch(PassPtr pass);
  Awaitable<Result<void>> check_domains(PassPtr pass);
  Awaitable<Result<void>> ring_parents(PassPtr pass);
  void build_changes(Pass& pass);
  void build_changes_of(Pass& pass, std::size_t index);
  bool is_silent(const Pass& pass, const CollectTarget& target, const ReadRecord& record) const;
  Batch finish(Pass& pass, const std::vector<ProjectResult>& results);
  void finish_record(Pass& pass, std::size_t index, const std::vector<ProjectResult>& results,
                     Batch& writes);
  bool apply_result(Pass& pass, DoorbellRow& row, const PassChange& change,
                    const ProjectResult& result, Batch& writes);
  void park_reading(Pass& pass, DoorbellRow& row, const ReadRecord& record, Batch& writes);
  void settle_row(Pass& pass, DoorbellRow& row, const ReadRecord& record, bool changed, bool gone,
                  Batch& writes);
  void remember(Pass& pass, const ReadRecord& record, bool changed);
  void give_back(Pass& pass, std::optional<Error> error);
  void pause(Pass& pass, const Error& error);

  // collect_baseline.cpp
  Awaitable<Result<void>> baseline_batch(PassPtr pass);
  RawMessage baseline_doorbell(const BaselinePage& page, std::int64_t id, std::string origin) const;

  CollectorContext context_;
  CollectPlanPtr plan_;
  std::map<std::string, Lane> lanes_;    ///< by model_key; never erased
  std::map<std::string, Pause> pauses_;  ///< by connection
  ParkedRecords parked_;
  SeenRecords seen_;
  std::unique_ptr<SourceWatch> watch_;
  Notifier wake_;
  CollectorStatus counters_;
  std::size_t rows_ = 0;     ///< in memory, over all lanes
  std::size_t working_ = 0;  ///< batches in flight
  bool overflow_ = false;    ///< some rows are in the store only
  bool waiting_ = false;
  bool held_ = false;
  bool stopping_ = false;
  std::minstd_rand jitter_;
};

}  // namespace millrace::canon
