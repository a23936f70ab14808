// The admin plane of the broker: its server, its operations, the probes.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>

#include "admin/admin_token.hpp"
#include "daemon/address.hpp"
#include "daemon/broker.hpp"
#include "daemon/listener_tls.hpp"
#include "daemon/operations.hpp"
#include "daemon/reload.hpp"

namespace millrace::daemon {
namespace {

constexpr std::size_t kAuditRowsPerScan = 1000;

// Two instances may do something in the same microsecond.
std::string audit_key(std::int64_t number, const std::string& instance) {
  const std::string key = fmt::format("{:020}", number);
  return instance.empty() ? key : row_key(key, instance);
}

}  // namespace

config::ConfigPtr Broker::config() const {
  const std::lock_guard lock(config_mutex_);
  return config_;
}

void Broker::set_config(config::ConfigPtr config) {
  const std::lock_guard lock(config_mutex_);
  config_ = std::move(config);
}

void Broker::replace_connections(std::map<std::string, ConnectionUnit> connections) {
  // The admin plane reads the map on the first shard, so it changes there; the other shards read it
  // only while a start or a reload waits for them.
  auto swap = [this, &connections]() -> Awaitable<Result<void>> {
    connections_.swap(connections);
    co_return Result<void>{};
  };
  const auto swapped = run_on(shards_->at(0), swap);
  if (!swapped) spdlog::error("connections not replaced error={}", swapped.error().message);
  publish_sources();
  stop_kafka_sources(connections);
}

void Broker::audit(std::string_view what, std::string_view object, std::string_view reason) {
  Batch batch;
  audit(batch, what, object, reason);
  state_->commit(std::move(batch), Urgency::soon, shards_->at(0), [](const Result<void>&) {});
}

// Keys are in the order in which things were done, whatever the wall clock does: none overwrites
// another one.
std::int64_t Broker::next_audit(WallTime now) const {
  const std::lock_guard lock(audit_mutex_);
  last_audit_ = std::max(last_audit_ + 1, now.time_since_epoch().count());
  return last_audit_;
}

// Rows of a time that is not yet are of a clock that was ahead.
Result<void> Broker::load_audit() {
  std::string after = audit_key(next_audit(clock_.wall_now()), "");
  for (;;) {
    MILLRACE_TRY(rows, state_->scan(Table::audit, "", after, kAuditRowsPerScan));
    if (rows.empty()) return {};
    after = rows.back().key;
    const auto last = std::strtoll(after.c_str(), nullptr, 10);
    const std::lock_guard lock(audit_mutex_);
    last_audit_ = std::max<std::int64_t>(last_audit_, last);
  }
}

void Broker::audit(Batch& batch, std::string_view what, std::string_view object,
                   std::string_view reason) const {
  const WallTime now = clock_.wall_now();
  batch.put(Table::audit, audit_key(next_audit(now), config()->installation.state.instance),
            write_json(Json(JsonObject{
                {"at", to_rfc3339(now)}, {"what", what}, {"object", object}, {"reason", reason}})));
}

void Broker::reload(const std::string& author) {
  const auto answer = Reload(*this).run(author, true);
  if (!answer) spdlog::error("reload failed error={}", answer.error().message);
}

std::optional<Error> Broker::state_away() const {
  const StateCondition now = state_->condition();
  if (!now.away_at) return {};
  return Error(Errc::state_away, fmt::format("the state store has been away since {}: {}",
                                             to_rfc3339(*now.away_at), now.reason));
}

Result<void> Broker::start_admin() {
  control_ = std::make_unique<ReaderPool>(1, "control");
  MILLRACE_TRY(rows, state_->scan(Table::generations, "", "", 1'000'000));
  if (!rows.empty()) generation_ = std::stoull(rows.back().key);
  MILLRACE_TRY(token, admin::ensure_admin_token(config_->installation.data_directory));
  Shard& home = shards_->at(0);
  operations_ = std::make_unique<Operations>(*this, home);
  home.spawn("routes", watch_routes());
  admin::AdminApi::Options options;
  options.token = token;
  options.probes.health = [] { return Result<void>{}; };
  options.probes.ready = [this]() -> Result<std::string> {
    if (!ready_) return fail(Errc::overloaded, "starting or stopping");
    // Messages are taken in all the same, so it stays ready: nobody else would take them.
    std::string wrong;
    if (const auto away = state_away()) wrong += away->message + "\n";
    for (const EventLog::Trouble& trouble : log_->troubles()) wrong += trouble.what + "\n";
    return wrong;
  };
  // An answer would wait for the store's return, and be carried out when nobody expects it.
  options.refuse_changes = [this] { return state_away(); };
  options.probes.metrics = [this] { return operations_->metrics(); };
  admin_api_ = std::make_unique<admin::AdminApi>(std::move(options));
  operations_->add_to(*admin_api_);
  HttpServerOptions server;
  std::tie(server.address, server.port) = split_address(config_->installation.admin);
  server.tls = tls_;
  MILLRACE_CHECK_OK(publish_certificate(config_->installation));
  MILLRACE_TRY(made, make_http_server({&home}, std::move(server), admin_api_->handler()));
  admin_server_ = std::move(made);
  admin_server_->start();
  return {};
}

std::optional<WallTime> Broker::certificate_ends() const {
  const WallTime ends = certificate_ends_;
  return ends == WallTime::max() ? std::nullopt : std::optional(ends);
}

void Broker::note_certificate(const TlsContextPtr& tls) {
  certificate_ends_ = tls ? certificate_ends_at(tls) : WallTime::max();
}

Awaitable<Result<Outcome>> Broker::check_connection(std::string name, Shard& home) {
  const auto unit = connections_.find(name);
  if (unit == connections_.end()) {
    co_return fail(Errc::not_found, fmt::format("there is no connection '{}'", name));
  }
  if (unit->second.target) {
    const auto target = unit->second.target;
    std::function<Awaitable<Outcome>()> work = [target] { return target->check(); };
    Outcome outcome = co_await ask<Outcome>(target->home(), home, std::move(work));
    co_return outcome;
  }
  if (unit->second.kafka) {
    const auto status = unit->second.kafka->status();
    co_return Outcome{
        .kind = status.state == "up" ? Outcome::Kind::delivered : Outcome::Kind::again,
        .scope = Outcome::Scope::target,
        .reason = status.state == "up" ? "its topic is read" : status.reason};
  }
  auto checked = co_await check_source(std::move(name), home);
  co_return checked;
}

}  // namespace millrace::daemon
