// Turns source records into canonical data, compares it with what was last said, and appends events
// only for what changed. One projector a shard; it owns the projections of the shard's partitions:
// rows in the state store, an overlay of changes not yet saved, and a bounded cache of the rest.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "canon/projection.hpp"
#include "config/host.hpp"
#include "config/model.hpp"
#include "config/schema.hpp"
#include "millrace/event.hpp"
#include "millrace/event_log.hpp"
#include "millrace/state_store.hpp"
#include "millrace/trail.hpp"
#include "net/callback.hpp"
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
  bool silent = false;      ///< first sight during a baseline: store, emit nothing
  bool gone = false;        ///< confirmed delete
};

struct ProjectResult {
  enum class Kind : std::uint8_t {
    emitted,
    unchanged,
    baselined,  ///< stored without an event
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

/// What project() did and what must be saved with it.
struct Projected {
  std::vector<ProjectResult> results;  ///< one per change
  Batch writes;                        ///< projections and names
  std::vector<std::shared_ptr<CachedProjection>> pinned;
};

struct ProjectorContext {
  Shard& shard;
  EventLog& log;
  StateStore& state;
  ReaderPool& readers;
  Clock& clock;
  Trail& trail;
  std::string installation;  ///< name, for `source`
  std::uint64_t incarnation = 1;
};

class Projector {
 public:
  explicit Projector(ProjectorContext context);

  /// Projects the changes in their order and appends the events they cause; returns when those are
  /// durable. Waits as long as the disk is full. Errors are of the whole call (state unreadable,
  /// stopping); a record that cannot be projected is a result.
  Awaitable<Result<Projected>> project(config::ConfigPtr config, std::vector<SourceChange> changes);

  /// The commit that held `writes` returned.
  void saved(const Projected& projected);

  /// Brings a projection row up to an event found in the log beyond what was saved (start only).
  static Write fold(const Event& event);

 private:
  struct Pass;
  Awaitable<Result<void>> load(std::vector<std::string> keys);
  ProjectResult project_one(Pass& pass, const SourceChange& change);
  ProjectResult emit(Pass& pass, const SourceChange& change, CachedProjection& cached, Json data);
  ProjectResult emit_deleted(Pass& pass, const SourceChange& change, CachedProjection& cached);
  void append_event(Pass& pass, const SourceChange& change, Projection& projection,
                    const std::string& type, const std::vector<std::string>& types,
                    const Json& data);
  void keep(Pass& pass, const std::shared_ptr<CachedProjection>& cached);
  std::shared_ptr<CachedProjection> cached(const std::string& key);
  void shrink();
  const config::SchemaValidator* validator(const config::Entity& entity);

  ProjectorContext context_;
  Notifier free_;
  bool busy_ = false;
  std::list<std::shared_ptr<CachedProjection>> recent_;  ///< most recently used first
  std::unordered_map<std::string, std::list<std::shared_ptr<CachedProjection>>::iterator> cache_;
  std::unordered_map<std::string, std::shared_ptr<config::SchemaValidator>> validators_;
};

}  // namespace millrace::canon
