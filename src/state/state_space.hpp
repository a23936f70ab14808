// Whether the store has space for what is committed: said by a writer, asked by everybody.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "millrace/state_store.hpp"

namespace millrace {

class StateSpace {
 public:
  explicit StateSpace(const Clock& clock = system_clock()) : clock_(clock) {}

  /// A commit was refused for want of space; the first of them in a row is logged.
  void note_full(const std::string& reason);
  /// A commit was stored.
  void note_stored();

  /// Fills in `full_at` and `full_reason`.
  void describe(StateCondition& condition) const;

 private:
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::optional<WallTime> full_at_;
  std::string reason_;
};

}  // namespace millrace
