#include "ingress/hook_endpoint.hpp"

#include <utility>

#include "ingress/answers.hpp"
#include "ingress/verify.hpp"

namespace millrace::ingress {
namespace {

/// "<connection>" or "<connection>/<token>", decoded.
struct HookPath {
  std::string connection;
  std::optional<std::string> token;
};

std::optional<HookPath> parse_path(std::string_view path) {
  constexpr std::string_view kPrefix = "/hooks/";
  if (!path.starts_with(kPrefix)) return std::nullopt;
  path.remove_prefix(kPrefix.size());
  const std::size_t slash = path.find('/');
  const auto connection = percent_decode(path.substr(0, slash));
  if (!connection || connection->empty()) return std::nullopt;
  HookPath parsed{*connection, std::nullopt};
  if (slash == path.npos) return parsed;
  const std::string_view rest = path.substr(slash + 1);
  if (rest.empty() || rest.find('/') != rest.npos) return std::nullopt;
  parsed.token = percent_decode(rest);
  if (!parsed.token) return std::nullopt;
  return parsed;
}

}  // namespace

HookEndpoint::HookEndpoint(Intake& intake, DedupeIndex& dedupe, Counters& counters, Clocks clocks)
    : intake_(intake),
      dedupe_(dedupe),
      counters_(counters),
      clocks_(clocks),
      table_(std::make_shared<const HookTable>()) {}

void HookEndpoint::set_table(HookTablePtr table) {
  const std::lock_guard lock(mutex_);
  table_ = std::move(table);
}

HookTablePtr HookEndpoint::table() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

std::size_t HookEndpoint::body_max_of(std::string_view target) const {
  const auto path = parse_path(target.substr(0, target.find('?')));
  const HookTablePtr table = this->table();
  const HookSource* source = path ? table->find(path->connection) : nullptr;
  return source == nullptr ? config::Limits{}.body_bytes_max : source->body_bytes_max;
}

std::expected<const HookSource*, HttpResponse> HookEndpoint::authenticate(
    const HookTable& table, const IncomingRequest& request) {
  const auto path = parse_path(request.path);
  const HookSource* source = path ? table.find(path->connection) : nullptr;
  // An unknown connection and a wrong token look alike: nobody learns which connections exist.
  if (source == nullptr ||
      (path->token ? !source->accepts_token(*path->token) : !source->verify.has_value())) {
    ++counters_.hooks_unknown;
    return std::unexpected(not_found());
  }
  if (request.body.size() > source->body_bytes_max) {
    ++counters_.too_large;
    return std::unexpected(problem(413, "", "the body is larger than this connection takes"));
  }
  if (source->verify &&
      !verify_request(*source->verify, request.headers, request.body, clocks_.wall.wall_now())) {
    ++counters_.hooks_unverified;
    HttpResponse refused = problem(401, "", "the signature or its time does not fit");
    refused.headers.emplace_back("WWW-Authenticate", "Webhook-Signature");
    return std::unexpected(std::move(refused));
  }
  return source;
}

std::expected<HookEndpoint::Ready, HttpResponse> HookEndpoint::prepare(IncomingRequest& request) {
  if (request.method != "POST") return std::unexpected(method_not_allowed("POST"));
  const HookTablePtr table = this->table();
  const auto source = authenticate(*table, request);
  if (!source) return std::unexpected(source.error());
  if (const auto admitted = intake_.admit(); !admitted) {
    return std::unexpected(refusal(admitted.error()));
  }
  ReadHook hook =
      read_hook(**source, request.headers, std::move(request.body), clocks_.wall.wall_now());
  if (hook.model_not_read) {
    ++counters_.hooks_model_not_read;
    counters_.dropped.add((*source)->connection, &DroppedCounts::model_not_read);
    return std::unexpected(accepted_hook());
  }
  Ready ready;
  ready.unreadable = hook.message.kind == RawMessage::Kind::unreadable;
  ready.entry.partition =
      partition_of(ready.unreadable ? hook.message.connection : hook.message.record);
  if (!hook.message.id.empty()) ready.key = hook_key(hook.message.connection, hook.message.id);
  ready.entry.payload = encode(hook.message);
  ready.entry.topic = std::move(hook.message.connection);
  return ready;
}

Awaitable<HttpResponse> HookEndpoint::answer_duplicate(RecordId key, Seen seen, Shard& shard) {
  if (seen == Seen::duplicate_pending) {
    const auto settled = co_await intake_.await_settled(dedupe_, key, shard);
    if (!settled) co_return refusal(settled.error());
  }
  ++counters_.hooks_duplicate;
  co_return accepted_hook();
}

Awaitable<HttpResponse> HookEndpoint::handle(IncomingRequest request) {
  auto ready = prepare(request);
  if (!ready) co_return std::move(ready).error();
  Shard& shard = *request.shard;
  Intake::Settled settled;
  if (ready->key) {
    std::vector<RecordId> ids{*ready->key};
    auto claims = co_await intake_.claim(dedupe_, std::move(ids), clocks_.expiry, shard);
    if (!claims) co_return refusal(claims.error());
    if (claims->front().seen != Seen::fresh) {
      HttpResponse answer = co_await answer_duplicate(*ready->key, claims->front().seen, shard);
      co_return answer;
    }
    settled = [id = *std::move(claims->front().pending)](bool durable) mutable {
      id.settle(durable);
    };
  }
  std::vector<LogEntry> group;
  group.push_back(std::move(ready->entry));
  const auto kept =
      co_await intake_.accept(Journal::inbox, std::move(group), shard, std::move(settled));
  if (!kept) co_return refusal(kept.error());
  ++(ready->unreadable ? counters_.hooks_unreadable : counters_.hooks_accepted);
  co_return accepted_hook();
}

}  // namespace millrace::ingress
