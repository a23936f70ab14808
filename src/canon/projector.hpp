// Turns source records into canonical data, compares it with what was last said, and appends events
// only for what changed. One projector a shard; it owns the projections of the shard's partitions:
// rows in the state store, an overlay of changes not yet saved, and a bounded cache of the rest.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "canon/past_program.hpp"
#include "canon/projection.hpp"
#include "config/host.hpp"
#include "config/model.hpp"
#include "config/schema.hpp"
#include "millrace/event.hpp"
#include "millrace/event_log.hpp"
#include "millrace/partition_set.hpp"
#include "millrace/state_store.hpp"
#include "millrace/trail.hpp"
#include "net/callback.hpp"
#include "net/patience.hpp"
#include "net/reader_pool.hpp"
#include "net/shard.hpp"

namespace millrace::canon {

/// One source record to be compared with one entity's projection of it.
struct SourceChange {
  const config::Entity* entity = nullptr;
  const config::EntitySource* source = nullptr;
  std::string record;
  Json value;    ///< the source record; ignored when `gone`
  Json version;  ///< null: none
  Partition cause_partition = 0;
  Offset cause_offset = 0;  ///< inbox offset of the message or doorbell behind it
  bool payload = false;     ///< the message is the record: repeats and stale ones are dropped
  bool silent = false;      ///< its first sight is stored without a word; later changes speak
  bool gone = false;        ///< confirmed delete
  bool again = false;       ///< a backfill: said as if seen for the first time
  bool checked = false;     ///< a check asked: the version is stored even if nothing changed
  std::shared_ptr<const Json> whole;  ///< with what older programs read; nullptr: `value`
};

/// Shared by the caller and the projector; not changed while projected.
using ChangesPtr = std::shared_ptr<const std::vector<SourceChange>>;

struct ProjectResult {
  enum class Kind : std::uint8_t {
    emitted,
    unchanged,
    baselined,  ///< stored without an event
    renewed,    ///< the same as before, by another program: stored without a word
    stale,      ///< older than what was applied
    repeated,   ///< an inbox offset already reflected
    filtered,   ///< outside `only`
    failed      ///< the record cannot be projected as configured; `error` says why
  };
  Kind kind = Kind::unchanged;
  std::optional<Error> error;
  std::vector<std::string> types;  ///< emitted
};

struct CachedProjection {
  std::string key;
  bool known = false;  ///< false: there is no row
  Projection value;
  int unsaved = 0;  ///< commits under way that hold it; pinned until they return
};

/// Writes that must be saved together with the projections: cursors, doorbells, parked rows.
using ExtraWrites = std::function<Batch(const std::vector<ProjectResult>&)>;

struct ProjectorContext {
  Shard& shard;
  EventLog& log;
  StateStore& state;
  ReaderPool& readers;
  Clock& clock;
  Trail& trail;
  std::string log_uuid;
  std::string installation;  ///< name, for `source`
  std::uint64_t incarnation = 1;
  const PartitionSet& owned;  ///< of the shard; changes only while its work is held
};

class Projector {
 public:
  explicit Projector(ProjectorContext context);

  /// Projects the changes in their order and appends the events they cause; returns one result per
  /// change when those events are durable. Projections and `extra`'s writes are saved behind, in
  /// one commit, in the order of the calls. Waits as long as the disk is full: the log's, or the
  /// state's. Errors are of the whole call (state unreadable, stopping); a record that cannot be
  /// projected is a result.
  Awaitable<Result<std::vector<ProjectResult>>> project(config::ConfigPtr config,
                                                        ChangesPtr changes, ExtraWrites extra);

  /// Programs that projections may be of; before the configuration that no longer has them.
  void set_past(PastPrograms past) { past_ = std::move(past); }
  /// Records stored without a word because their old program reads a field that is gone, by
  /// "<entity>: <field>".
  const std::map<std::string, std::uint64_t>& silenced() const { return silenced_; }

  /// Writes of the same owner that need no projection, in the same order as the others.
  void save(Batch writes);
  /// True when everything handed over is durable.
  bool saved() const { return !commit_under_way_ && pending_.writes.empty(); }
  /// True while a commit that the state refused is not stored: nothing is projected meanwhile.
  bool waits_for_space() const { return refused_; }
  /// Returns when everything that was handed over before is durable.
  Awaitable<void> durable();
  /// Others may write projections from now on. When everything is durable and nothing under way.
  void forget();
  /// Per partition of a stream, the position behind its last events that the rows know or will
  /// know.
  const PartitionOffsets& noted(const LogStream& stream) { return noted_[stream]; }

  /// Brings a projection row up to an event found in the log beyond what was saved (start only).
  static Write fold(const Event& event);
  /// The events of the same change that come behind this one.
  static std::vector<Event> unsaid(const Event& event);

 private:
  struct Pass;
  Awaitable<Result<void>> load(std::vector<std::string> keys);
  /// nullopt: there is no row.
  void remember(const std::string& key, std::optional<Projection> value);
  ProjectResult project_in_order(Pass& pass, const SourceChange& change);
  ProjectResult project_one(Pass& pass, const SourceChange& change);
  ProjectResult emit(Pass& pass, const SourceChange& change, CachedProjection& cached, Json data);
  Result<std::vector<std::string>> types_of(Pass& pass, const SourceChange& change,
                                            const CachedProjection& entry, const Json& before,
                                            const Json& data);
  std::optional<std::vector<std::string>> types_by_past(const SourceChange& change,
                                                        const Projection& last);
  ProjectResult emit_deleted(Pass& pass, const SourceChange& change, CachedProjection& cached);
  void append_event(Pass& pass, const SourceChange& change, Projection& projection,
                    const std::string& type, const std::vector<std::string>& types, Json data);
  void keep(Pass& pass, const std::shared_ptr<CachedProjection>& cached);
  Awaitable<Result<void>> append(Pass& pass);
  Awaitable<Result<std::vector<Offset>>> append_together(std::vector<LogEntry> group);
  void note_position(Pass& pass, std::size_t first, const std::vector<Offset>& offsets);
  void commit();
  void committed(const Result<void>& result);
  Awaitable<void> commit_again();
  std::shared_ptr<CachedProjection> cached(const std::string& key);
  void shrink();
  const config::SchemaValidator* validator(const config::Entity& entity);

  ProjectorContext context_;
  Notifier free_;
  bool busy_ = false;
  Batch pending_;     ///< waits for the commit under way
  Batch committing_;  ///< kept until it is durable
  std::vector<std::shared_ptr<CachedProjection>> pinned_;
  std::vector<std::shared_ptr<CachedProjection>> pinned_committing_;
  using Waiting = std::vector<std::move_only_function<void(bool)>>;
  Waiting waiting_;  ///< for `pending_`
  Waiting waiting_committing_;
  std::map<LogStream, PartitionOffsets> noted_;
  bool commit_under_way_ = false;
  bool refused_ = false;  ///< the commit under way was refused and is tried again
  std::list<std::shared_ptr<CachedProjection>> recent_;  ///< most recently used first
  std::unordered_map<std::string, std::list<std::shared_ptr<CachedProjection>>::iterator> cache_;
  std::unordered_map<std::string, std::shared_ptr<config::SchemaValidator>> validators_;
  PastPrograms past_;
  std::map<std::string, std::uint64_t> silenced_;
};

}  // namespace millrace::canon
