// A jump of the wall clock, seen from the daemon: kept across restarts, said in the log and by
// `status`, ended by an operator's word (semantics 8).
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "daemon/broker.hpp"
#include "daemon/operations.hpp"
#include "state/blocking_commit.hpp"

namespace millrace::daemon {
namespace {

constexpr std::string_view kClockKey = "clock";

}  // namespace

// What the last run knew of the clocks: before anything is dropped for its age.
Result<void> Broker::trust_clock() {
  MILLRACE_TRY(row, state_->get(Table::meta, kClockKey));
  if (row) {
    MILLRACE_TRY(saved, parse_json(*row));
    clock_watch_.restore(saved);
  }
  if (const auto jump = clock_watch_.jump()) spdlog::warn("{}", watch::describe(*jump));
  // The next start compares with this boot.
  clock_changes_ = clock_watch_.changes();
  Batch batch;
  batch.put(Table::meta, std::string(kClockKey), clock_watch_.save());
  return commit_blocking(*state_, std::move(batch));
}

// Once a second, on the first shard.
void Broker::note_clock() {
  const std::uint64_t changes = clock_watch_.changes();
  if (changes == clock_changes_) return;
  clock_changes_ = changes;
  if (const auto jump = clock_watch_.jump()) spdlog::warn("{}", watch::describe(*jump));
  Batch batch;
  batch.put(Table::meta, std::string(kClockKey), clock_watch_.save());
  state_->commit(std::move(batch), Urgency::soon, shards_->at(0), [](const Result<void>&) {});
}

Awaitable<Result<Json>> Operations::accept_clock(Json args) {
  const std::string reason(string_or(args, "reason", ""));
  if (reason.empty()) co_return fail(Errc::invalid_argument, "say why: --reason TEXT");
  const auto jump = broker_.clock_watch_.jump();
  if (!broker_.clock_watch_.accept()) {
    co_return fail(Errc::conflict, "the clock did not jump: there is nothing to accept");
  }
  broker_.note_clock();
  broker_.audit("accept clock", jump ? watch::describe(*jump) : "", reason);
  spdlog::info("the wall clock is accepted reason=\"{}\"", reason);
  const std::string now = to_rfc3339(broker_.clock_.wall_now());
  co_return Json(JsonObject{{"clock", "accepted"}, {"now", now}});
}

}  // namespace millrace::daemon
