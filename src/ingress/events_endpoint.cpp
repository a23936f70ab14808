#include "ingress/events_endpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "ingress/answers.hpp"
#include "millrace/ids.hpp"

namespace millrace::ingress {
namespace {

void append_outcome(std::string& out, std::string_view id, bool duplicate) {
  out += R"({"id":)";
  append_json_string(out, id);
  out += duplicate ? R"(,"duplicate":true})" : R"(,"duplicate":false})";
}

constexpr const char* kOtherRequest = "this Idempotency-Key was used with another request";

HttpResponse unauthorized() {
  HttpResponse answer = problem(401, "", "send a valid API key: Authorization: Bearer mk_...");
  answer.headers.emplace_back("WWW-Authenticate", "Bearer");
  return answer;
}

// Everything that makes two requests the same: in binary mode the attributes are headers.
std::string hash_of_request(const IncomingRequest& request) {
  std::string text;
  for (const auto& [name, value] : request.headers) {
    if (name == "content-type" || name.starts_with("ce-")) {
      text.append(name).append("=").append(value).append("\n");
    }
  }
  return stable_hash({text, request.body});
}

}  // namespace

EventsEndpoint::EventsEndpoint(Intake& intake, DedupeIndex& dedupe, KeyStore& keys,
                               Counters& counters, Clocks clocks)
    : intake_(intake),
      dedupe_(dedupe),
      keys_(keys),
      counters_(counters),
      clocks_(clocks),
      table_(std::make_shared<const EventsTable>()) {}

void EventsEndpoint::set_table(EventsTablePtr table) {
  const std::lock_guard lock(mutex_);
  table_ = std::move(table);
}

EventsTablePtr EventsEndpoint::table() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

HttpResponse EventsEndpoint::refuse(const EventRefusal& refusal) {
  ++(refusal.status == 403 ? counters_.events_unauthorized : counters_.events_refused);
  HttpResponse answer = problem(refusal.status, "", refusal.detail);
  if (refusal.pointer.empty()) return answer;
  // The pointer goes where RFC 9457's own example has it.
  answer.body.resize(answer.body.rfind('}'));
  if (refusal.index) answer.body += fmt::format(R"(,"index":{})", *refusal.index);
  answer.body += R"(,"errors":[{"pointer":)";
  append_json_string(answer.body, refusal.pointer);
  answer.body += R"(,"detail":)";
  append_json_string(answer.body, refusal.detail);
  answer.body += "}]}\n";
  return answer;
}

std::expected<EventsEndpoint::Ready, HttpResponse> EventsEndpoint::read_events(
    const IncomingRequest& request, const ApiKey& key) {
  auto sent = read_cloud_events(request.headers, request.body, clocks_.wall.wall_now());
  if (!sent) return std::unexpected(refuse(sent.error()));
  const EventsTablePtr table = this->table();
  Ready ready{.items = {}, .batch = sent->batch, .request = {}};
  std::set<RecordId> seen;
  for (Event& event : sent->events) {
    auto refusal = key.allows(event.source, event.type)
                       ? table->check(event)
                       : EventRefusal{403, "this key may not send this source and type", ""};
    if (refusal) {
      if (sent->batch) refusal = in_batch(*std::move(refusal), ready.items.size());
      return std::unexpected(refuse(*refusal));
    }
    const RecordId id = event_key(event.source, event.id);
    ready.items.push_back({std::move(event), id, !seen.insert(id).second});
  }
  return ready;
}

std::expected<void, HttpResponse> EventsEndpoint::begin_request(const IncomingRequest& request,
                                                                const ApiKey& key, Ready& ready) {
  const auto value = header(request.headers, "idempotency-key");
  if (!value) return {};
  const auto parsed = parse_idempotency_key(*value);
  if (!parsed) {
    return std::unexpected(
        refuse({400, "Idempotency-Key is not a text of 1 to 255 visible characters", ""}));
  }
  const auto ids = RequestIds::of(key.id, *parsed, hash_of_request(request));
  switch (requests_.begin(ids)) {
    case IdempotencyKeys::Found::fresh:
      ready.request = PendingKey(requests_, ids);
      return {};
    case IdempotencyKeys::Found::in_flight:
      return std::unexpected(problem(409, "", "a request with this Idempotency-Key is under way"));
    case IdempotencyKeys::Found::other_body:
      break;
  }
  return std::unexpected(refuse({422, kOtherRequest, ""}));
}

std::expected<EventsEndpoint::Ready, HttpResponse> EventsEndpoint::prepare(
    const IncomingRequest& request) {
  if (request.method != "POST") return std::unexpected(method_not_allowed("POST"));
  const ApiKeyPtr key = keys_.authenticate(header(request.headers, "authorization").value_or(""));
  if (!key) {
    ++counters_.events_unauthorized;
    return std::unexpected(unauthorized());
  }
  if (const auto admitted = intake_.admit(); !admitted) {
    return std::unexpected(refusal(admitted.error()));
  }
  auto ready = read_events(request, *key);
  if (!ready) return ready;
  if (auto begun = begin_request(request, *key, *ready); !begun) {
    return std::unexpected(std::move(begun).error());
  }
  return ready;
}

/// When its Idempotency-Key is on record: 422 for another request, and the same one is a duplicate
/// as a whole.
Awaitable<std::optional<HttpResponse>> EventsEndpoint::answer_repeat(Ready& ready, Shard& shard) {
  const RequestIds* request = ready.request.ids();
  if (request == nullptr) co_return std::nullopt;
  std::vector<RecordId> ids{request->key, request->same};
  const auto known = co_await intake_.look_up(dedupe_, std::move(ids), clocks_.expiry, shard);
  if (!known) co_return refusal(known.error());
  if ((*known)[1]) {
    for (Item& item : ready.items) item.duplicate = true;
    co_return std::nullopt;
  }
  if ((*known)[0]) co_return refuse({422, kOtherRequest, ""});
  co_return std::nullopt;
}

/// Claims the events' ids and appends what is new, all in one group.
Awaitable<Result<EventsEndpoint::Awaited>> EventsEndpoint::append_fresh(Ready& ready,
                                                                        Shard& shard) {
  std::vector<RecordId> ids;
  for (const Item& item : ready.items) {
    if (!item.duplicate) ids.push_back(item.key);
  }
  auto claims = co_await intake_.claim(dedupe_, std::move(ids), clocks_.expiry, shard);
  if (!claims) co_return std::unexpected(std::move(claims).error());
  Awaited awaited;
  std::vector<LogEntry> group;
  std::vector<PendingId> pending;
  // Another request may still fail to write what this one repeats. Its key is then not on record
  // before everything under it is durable: a repeat would be answered without anything kept.
  const bool waits = std::ranges::any_of(
      *claims, [](const Claim& claim) { return claim.seen == Seen::duplicate_pending; });
  const bool on_record = ready.request.ids() != nullptr && !waits;
  auto claim = claims->begin();
  for (Item& item : ready.items) {
    if (item.duplicate) continue;
    item.duplicate = claim->seen != Seen::fresh;
    if (claim->seen == Seen::duplicate_pending) awaited.push_back(item.key);
    if (!item.duplicate) {
      // The key is on record with the first event that is new under it.
      if (group.empty() && on_record) item.event.request = ready.request.ids()->text();
      group.push_back({partition_of(item.event.record), item.event.entity, encode(item.event)});
      pending.push_back(*std::move(claim->pending));
    }
    ++claim;
  }
  std::optional<RequestIds> keys;
  if (on_record) keys = *ready.request.ids();
  Intake::Settled settled = [this, pending = std::move(pending),
                             keys = std::move(keys)](bool durable) mutable {
    for (PendingId& id : pending) id.settle(durable);
    if (!durable || !keys) return;
    dedupe_.remember(keys->key, clocks_.expiry.wall_now());
    dedupe_.remember(keys->same, clocks_.expiry.wall_now());
  };
  if (group.empty()) {
    settled(true);
    co_return awaited;
  }
  const auto kept =
      co_await intake_.accept(Journal::events, std::move(group), shard, std::move(settled));
  if (!kept) co_return std::unexpected(kept.error());
  co_return awaited;
}

Awaitable<HttpResponse> EventsEndpoint::handle(IncomingRequest request) {
  auto ready = prepare(request);
  if (!ready) co_return std::move(ready).error();
  Shard& shard = *request.shard;
  auto refused = co_await answer_repeat(*ready, shard);
  if (refused) co_return *std::move(refused);
  const auto awaited = co_await append_fresh(*ready, shard);
  if (!awaited) co_return refusal(awaited.error());
  // Only after its own: two requests that wait for each other's would wait in vain.
  for (const RecordId& key : *awaited) {
    const auto settled = co_await intake_.await_settled(dedupe_, key, shard);
    if (!settled) co_return refusal(settled.error());
  }
  HttpResponse answer;
  answer.status = 202;
  answer.headers.emplace_back("Content-Type", "application/json");
  if (ready->batch) answer.body.push_back('[');
  for (const Item& item : ready->items) {
    if (answer.body.size() > 1) answer.body.push_back(',');
    append_outcome(answer.body, item.event.id, item.duplicate);
    ++(item.duplicate ? counters_.events_duplicate : counters_.events_accepted);
  }
  if (ready->batch) answer.body.push_back(']');
  co_return answer;
}

}  // namespace millrace::ingress
