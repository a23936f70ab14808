#include "ingress/events_endpoint.hpp"

#include <utility>

#include "ingress/answers.hpp"
#include "millrace/ids.hpp"

namespace millrace::ingress {
namespace {

HttpResponse accepted_event(std::string_view id, bool duplicate) {
  HttpResponse answer;
  answer.status = 202;
  answer.headers.emplace_back("Content-Type", "application/json");
  answer.body = R"({"id":)";
  append_json_string(answer.body, id);
  answer.body += duplicate ? R"(,"duplicate":true})" : R"(,"duplicate":false})";
  return answer;
}

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

const EventsTable::EntityRule* EventsTable::find(std::string_view entity) const {
  const auto found = entities_.find(entity);
  return found == entities_.end() ? nullptr : &found->second;
}

EventsEndpoint::EventsEndpoint(Intake& intake, DedupeIndex& dedupe, KeyStore& keys,
                               Counters& counters, Clock& clock)
    : intake_(intake),
      dedupe_(dedupe),
      keys_(keys),
      counters_(counters),
      clock_(clock),
      table_(std::make_shared<const EventsTable>()) {}

void EventsEndpoint::set_table(EventsTablePtr table) {
  const std::lock_guard lock(mutex_);
  table_ = std::move(table);
}

HttpResponse EventsEndpoint::refuse(const EventRefusal& refusal) {
  ++counters_.events_refused;
  HttpResponse answer = problem(refusal.status, "", refusal.detail);
  if (refusal.pointer.empty()) return answer;
  // The pointer goes where RFC 9457's own example has it.
  answer.body.resize(answer.body.rfind('}'));
  answer.body += R"(,"errors":[{"pointer":)";
  append_json_string(answer.body, refusal.pointer);
  answer.body += R"(,"detail":)";
  append_json_string(answer.body, refusal.detail);
  answer.body += "}]}\n";
  return answer;
}

std::expected<Event, HttpResponse> EventsEndpoint::read_event(const IncomingRequest& request,
                                                              const ApiKey& key) {
  auto event = read_cloud_event(request.headers, request.body, clock_.wall_now());
  if (!event) return std::unexpected(refuse(event.error()));
  if (!key.allows(event->source, event->type)) {
    ++counters_.events_unauthorized;
    return std::unexpected(problem(403, "", "this key may not send this source and type"));
  }
  EventsTablePtr table;
  {
    const std::lock_guard lock(mutex_);
    table = table_;
  }
  const EventsTable::EntityRule* rule = table->find(event->entity);
  if (rule == nullptr || !rule->types.contains(event->type)) {
    return std::unexpected(refuse({422, "no entity of this installation has this type", "/type"}));
  }
  if (rule->check) {
    if (auto refusal = rule->check(event->data)) {
      refusal->pointer = "/data" + refusal->pointer;
      return std::unexpected(refuse(*refusal));
    }
  }
  event->entity_version = rule->version;
  return *std::move(event);
}

std::expected<void, HttpResponse> EventsEndpoint::begin_idempotency(const IncomingRequest& request,
                                                                    const ApiKey& key,
                                                                    Ready& ready) {
  const auto value = header(request.headers, "idempotency-key");
  if (!value) return {};
  const auto parsed = parse_idempotency_key(*value);
  if (!parsed) {
    return std::unexpected(
        refuse({400, "Idempotency-Key is not a text of 1 to 255 visible characters", ""}));
  }
  std::string scope = key.id + '\n' + *parsed;
  switch (idempotency_.begin(scope, hash_of_request(request), clock_.wall_now())) {
    case IdempotencyKeys::Found::fresh:
      ready.idempotency = PendingKey(idempotency_, std::move(scope));
      return {};
    case IdempotencyKeys::Found::done:
      ready.repeated = true;
      return {};
    case IdempotencyKeys::Found::in_flight:
      return std::unexpected(problem(409, "", "a request with this Idempotency-Key is under way"));
    case IdempotencyKeys::Found::other_body:
      break;
  }
  return std::unexpected(refuse({422, "this Idempotency-Key was used with another request", ""}));
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
  auto event = read_event(request, *key);
  if (!event) return std::unexpected(std::move(event).error());
  Ready ready;
  if (auto begun = begin_idempotency(request, *key, ready); !begun) {
    return std::unexpected(std::move(begun).error());
  }
  ready.key = event_key(event->source, event->id);
  ready.entry.partition = partition_of(event->record);
  ready.entry.topic = event->entity;
  ready.entry.payload = encode(*event);
  ready.id = std::move(event->id);
  return ready;
}

Awaitable<HttpResponse> EventsEndpoint::handle(IncomingRequest request) {
  auto ready = prepare(request);
  if (!ready) co_return std::move(ready).error();
  Shard& shard = *request.shard;
  const Seen seen =
      ready->repeated ? Seen::duplicate_durable : dedupe_.begin(ready->key, clock_.wall_now());
  if (seen == Seen::duplicate_pending) {
    const auto settled = co_await intake_.await_settled(dedupe_, ready->key, shard);
    if (!settled) co_return refusal(settled.error());
  }
  if (seen != Seen::fresh) {
    ready->idempotency.end(true);
    ++counters_.events_duplicate;
    co_return accepted_event(ready->id, true);
  }
  Intake::Settled settled = [id = PendingId(dedupe_, ready->key, clock_),
                             key = std::move(ready->idempotency)](bool durable) mutable {
    id(durable);
    key.end(durable);
  };
  const auto offset =
      co_await intake_.append(Journal::events, std::move(ready->entry), shard, std::move(settled));
  if (!offset) co_return refusal(offset.error());
  ++counters_.events_accepted;
  co_return accepted_event(ready->id, false);
}

}  // namespace millrace::ingress
