#include "state/state_space.hpp"

#include <spdlog/spdlog.h>

namespace millrace {

void StateSpace::note_full(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  reason_ = reason;
  if (full_at_) return;
  full_at_ = clock_.wall_now();
  spdlog::error("state commit refused error=\"{}\"", reason);
}

void StateSpace::note_stored() {
  const std::lock_guard lock(mutex_);
  if (!full_at_) return;
  full_at_.reset();
  reason_.clear();
  spdlog::info("state store accepts writes again");
}

void StateSpace::describe(StateCondition& condition) const {
  const std::lock_guard lock(mutex_);
  condition.full_at = full_at_;
  condition.full_reason = reason_;
}

}  // namespace millrace
