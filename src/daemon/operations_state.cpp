// What the status says of the state store: whether it answers, and what its operator should change.
#include "daemon/operations.hpp"

namespace millrace::daemon {

Json Operations::state_json() const {
  const StateCondition state = broker_.state_->condition();
  return JsonObject{
      {"kind", state.kind},
      {"away_since", state.away_at ? Json(to_rfc3339(*state.away_at)) : Json(nullptr)},
      {"reason", state.reason},
      {"full_since", state.full_at ? Json(to_rfc3339(*state.full_at)) : Json(nullptr)},
      {"warning", state.warning}};
}

JsonArray Operations::state_problems() const {
  const StateCondition state = broker_.state_->condition();
  JsonArray list;
  if (state.away_at) {
    list.push_back(
        problem("the state store is away: messages are taken in, all else waits: " + state.reason,
                state.away_at, "", "state", "look at the PostgreSQL server"));
  }
  if (state.full_at) {
    list.push_back(problem(
        "the state store has no space: messages are taken in, all else waits: " + state.full_reason,
        state.full_at, "", "state",
        "free space for the state store; see docs/runbooks/disk-full.md"));
  }
  if (!state.warning.empty()) {
    list.push_back(problem(state.warning, {}, "", "state", "see docs/how-to/use-postgresql.md"));
  }
  return list;
}

}  // namespace millrace::daemon
