// Watches whether wall clock and boot clock go together (semantics 8). What is let go of by age
// (segments, ids of repeats) goes by this clock: it is the wall clock while both agree, and stands
// still from a jump of the wall clock until an hour of agreement, or until a person accepts it.
// Pure: time comes from the clock handed in. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "millrace/clock.hpp"
#include "millrace/json.hpp"

namespace millrace::watch {

inline constexpr std::chrono::minutes kClocksApartMax{10};
inline constexpr std::chrono::hours kAgreementNeeded{1};

class ClockWatch final : public Clock {
 public:
  /// `boot_id` names this run of the machine's boot clock. `clock` outlives the watch.
  ClockWatch(const Clock& clock, std::string boot_id);

  /// The time by which things grow old. Never ahead of what is trusted.
  WallTime wall_now() const override;
  BootTime boot_now() const override { return clock_.boot_now(); }

  struct Jump {
    microseconds apart{0};  ///< the wall clock is ahead by this; 0 while it agrees again
    WallTime since;         ///< what the clock said when it stood still
  };
  /// What is wrong with the clock; nullopt: nothing.
  std::optional<Jump> jump() const;

  /// A person says that the wall clock is right. False when nothing was wrong.
  bool accept();

  /// Grows whenever `save` would say something else.
  std::uint64_t changes() const;
  /// What a restart has to know: JSON for `restore`.
  std::string save() const;
  /// After a restart. Of another boot only that the clock was not trusted still counts.
  void restore(const Json& saved);

 private:
  void observe() const;  ///< under mutex_

  const Clock& clock_;
  const std::string boot_id_;
  mutable std::mutex mutex_;           // guards what follows
  mutable microseconds difference_{};  ///< wall minus boot clock, as trusted
  mutable BootTime agree_since_{};
  mutable bool apart_ = false;
  mutable std::optional<WallTime> frozen_at_;
  mutable std::uint64_t changes_ = 0;
};

/// For an operator: how far the clocks are apart and what waits for it.
std::string describe(const ClockWatch::Jump& jump);

/// Of this boot of the machine; empty where it cannot be known.
std::string machine_boot_id();

}  // namespace millrace::watch
