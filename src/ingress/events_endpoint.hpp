// POST /events: CloudEvents of others, checked on arrival and appended straight to journal events.
// 202 {"id": ..., "duplicate": false}, of a batch an array of them, means durable. A repeat of
// (source, id), or of an Idempotency-Key with the same body, is answered the same with duplicate
// true. A batch is appended whole or not at all.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ingress/cloud_event.hpp"
#include "ingress/counters.hpp"
#include "ingress/dedupe_index.hpp"
#include "ingress/events_table.hpp"
#include "ingress/idempotency.hpp"
#include "ingress/intake.hpp"
#include "ingress/key_store.hpp"
#include "net/http_server.hpp"

namespace millrace::ingress {

class EventsEndpoint {
 public:
  /// All references outlive the endpoint.
  EventsEndpoint(Intake& intake, DedupeIndex& dedupe, KeyStore& keys, Counters& counters,
                 Clocks clocks);

  void set_table(EventsTablePtr table);
  EventsTablePtr table() const;
  Awaitable<HttpResponse> handle(IncomingRequest request);

 private:
  struct Item {
    Event event;
    RecordId key;
    bool duplicate = false;
  };
  struct Ready {
    std::vector<Item> items;
    bool batch = false;
    PendingKey request;  ///< its Idempotency-Key, if it has one
  };
  /// What others are writing at this moment, to be awaited.
  using Awaited = std::vector<RecordId>;

  std::expected<Ready, HttpResponse> prepare(const IncomingRequest& request);
  std::expected<Ready, HttpResponse> read_events(const IncomingRequest& request, const ApiKey& key);
  std::expected<void, HttpResponse> begin_request(const IncomingRequest& request, const ApiKey& key,
                                                  Ready& ready);
  Awaitable<std::optional<HttpResponse>> answer_repeat(Ready& ready, Shard& shard);
  Awaitable<Result<Awaited>> append_fresh(Ready& ready, Shard& shard);
  HttpResponse refuse(const EventRefusal& refusal);

  Intake& intake_;
  DedupeIndex& dedupe_;
  KeyStore& keys_;
  Counters& counters_;
  Clocks clocks_;
  IdempotencyKeys requests_;
  mutable std::mutex mutex_;
  EventsTablePtr table_;
};

}  // namespace millrace::ingress
