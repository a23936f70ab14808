// The first start of an installation that came out of a backup: what the lost one may have done
// since then is unknown (semantics 5).
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "daemon/broker.hpp"
#include "deliver/repeat.hpp"
#include "state/blocking_commit.hpp"

namespace millrace::daemon {
namespace {

constexpr std::size_t kRowsPerScan = 1000;
// By then the sweeps and the nightly check have shown what changed between backup and loss.
constexpr std::chrono::hours kCatchUp{26};

bool comes_back(ParkedState state) {
  return state == ParkedState::retrying || state == ParkedState::behind ||
         state == ParkedState::held || state == ParkedState::waiting_reference;
}

// False: the row may stay as it is.
bool judge_row(ParkedRow& row, const deliver::RouteText& text, WallTime backup_at) {
  if (!comes_back(row.state)) return false;
  const config::Route& route = *text.route;
  const std::size_t dot = row.type.rfind('.');
  const std::string name = row.request_name.empty() && dot != row.type.npos
                               ? row.type.substr(dot + 1)
                               : row.request_name;
  const auto request = std::ranges::find(route.requests, name, &config::RouteRequest::event);
  const auto connection = text.config->connections.find(route.to);
  if (request == route.requests.end() || connection == text.config->connections.end()) return false;
  switch (deliver::repeat_of(*request, connection->second.idempotent)) {
    case deliver::Repeat::send:
      return false;
    case deliver::Repeat::probe:
      row.unanswered = true;
      return true;
    case deliver::Repeat::ask:
      break;
  }
  row.state = ParkedState::unknown;
  row.cause = "restored";
  row.reason = deliver::reason_to_ask(backup_at);
  return true;
}

}  // namespace

// Before anything is projected or sent: where the backup ends.
Result<void> Broker::begin_restored() {
  MILLRACE_TRY(restored, read_restored(*state_));
  restored_ = std::move(restored);
  if (!restored_ || restored_->began) return {};
  Restored::Began& began = restored_->began.emplace(Restored::Began{});
  began.at = clock_.wall_now();
  began.events_below = log_->ends(Journal::events);
  began.inbox_below = log_->ends(Journal::inbox);
  MILLRACE_TRY(lives, read_route_lives(*state_));
  Batch batch;
  for (auto& [id, life] : lives) {
    began.routes.push_back(id);
    if (!life.replay) continue;
    // How far it had come since the backup is unknown: whoever wants it asks again.
    life.replay.reset();
    MILLRACE_CHECK_OK(erase_replay_rows(id, batch));
    put_life(batch, life);
    audit(batch, "replay stopped", life.name, "restored from a backup");
    spdlog::warn("a replay does not go on after a restore route={}", life.name);
  }
  batch.put(Table::meta, std::string(kRestoredKey), encode(*restored_));
  MILLRACE_CHECK_OK(commit_blocking(*state_, std::move(batch)));
  spdlog::warn("restored from the backup of {}: what was sent since then is unknown",
               to_rfc3339(restored_->backup_at));
  return {};
}

// Before the lanes load them: rows that were due may have been sent since the backup.
Result<void> Broker::judge_restored_rows() {
  if (!restored_ || !restored_->began || restored_->began->judged) return {};
  Batch batch;
  for (const auto& [id, running] : running_routes()->routes) {
    std::string after;
    for (;;) {
      MILLRACE_TRY(rows, state_->scan(Table::parked, id + '\0', after, kRowsPerScan));
      for (const Row& stored : rows) {
        MILLRACE_TRY(row, decode_parked_row(stored.value));
        if (judge_row(row, running.text, restored_->backup_at)) {
          batch.put(Table::parked, stored.key, encode(row));
        }
      }
      if (rows.size() < kRowsPerScan) break;
      after = rows.back().key;
    }
  }
  restored_->began->judged = true;
  batch.put(Table::meta, std::string(kRestoredKey), encode(*restored_));
  return commit_blocking(*state_, std::move(batch));
}

std::optional<deliver::RestoredPast> Broker::restored_past(const std::string& route_id) const {
  if (!restored_ || !restored_->began) return std::nullopt;
  const Restored::Began& began = *restored_->began;
  if (std::ranges::find(began.routes, route_id) == began.routes.end()) return std::nullopt;
  return deliver::RestoredPast{.events_below = began.events_below,
                               .inbox_below = began.inbox_below,
                               .backup_at = restored_->backup_at,
                               .restored_at = restored_->restored_at,
                               .caught_up_at = began.at + kCatchUp};
}

}  // namespace millrace::daemon
