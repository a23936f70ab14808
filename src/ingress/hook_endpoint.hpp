// POST /hooks/<connection>/<token> and /hooks/<connection> (where it has `verify:`): authenticate,
// limit, read record and id, append to the inbox, and only then answer 200 {}. The ack means
// durable.
//
// How the daemon puts the data plane together (one set for all shards, all thread-safe):
//   Counters counters;
//   Intake intake(log, counters, {.min_free_fraction = config.installation.retention...});
//   DedupeIndex inbox_ids({.journal = Journal::inbox});  // before the log is opened, which tells
//   it HookEndpoint hooks(intake, dedupe, counters, {system_clock(), expiry});
//   hooks.set_table(std::make_shared<const HookTable>(config));     // again at each reload
//   EventsEndpoint events(...);                      // events_endpoint.hpp
//   DataPlane plane(hooks, events);                  // data_plane.hpp
//   options.body_max_of = [&](std::string_view target) { return plane.body_max_of(target); };
//   make_http_server(shards, options, plane.handler());
// A timer of the daemon calls intake.set_disk_free(log.usage().disk_free_fraction) each second, off
// the shards. Stopping: intake.stop(), server->stop(...), log.close(); then these may go.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "ingress/counters.hpp"
#include "ingress/dedupe_index.hpp"
#include "ingress/hook_table.hpp"
#include "ingress/intake.hpp"
#include "net/http_server.hpp"

namespace millrace::ingress {

class HookEndpoint {
 public:
  /// All references outlive the endpoint.
  HookEndpoint(Intake& intake, DedupeIndex& dedupe, Counters& counters, Clocks clocks);

  /// What follows uses `table`; requests under way keep theirs.
  void set_table(HookTablePtr table);
  HookTablePtr table() const;

  /// `request.path` starts with "/hooks/". Errors are problem+json: 404 for an unknown connection
  /// and for a wrong token alike, 405, 401 for a signature, 413, 503 with Retry-After.
  Awaitable<HttpResponse> handle(IncomingRequest request);

  /// The body limit of the connection that `target` names; the default for unknown ones.
  std::size_t body_max_of(std::string_view target) const;

 private:
  struct Ready {
    LogEntry entry;
    std::optional<RecordId> key;
    bool unreadable = false;
  };
  std::expected<Ready, HttpResponse> prepare(IncomingRequest& request);
  std::expected<const HookSource*, HttpResponse> authenticate(const HookTable& table,
                                                              const IncomingRequest& request);
  Awaitable<HttpResponse> answer_duplicate(RecordId key, Seen seen, Shard& shard);

  Intake& intake_;
  DedupeIndex& dedupe_;
  Counters& counters_;
  Clocks clocks_;
  mutable std::mutex mutex_;
  HookTablePtr table_;
};

}  // namespace millrace::ingress
