// Time, as an interface, so that tests own it. Wall time stamps records; budgets and back-offs run
// on the boot clock, which never jumps (semantics 8).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "millrace/result.hpp"

namespace millrace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// UTC, microseconds since 1970.
using WallTime = std::chrono::sys_time<microseconds>;
/// CLOCK_BOOTTIME, microseconds since boot: monotonic and counting through suspend.
struct BootClock {
  using duration = microseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
  static time_point now() noexcept;
};
using BootTime = BootClock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall_now() const = 0;
  virtual BootTime boot_now() const = 0;
};

/// The machine's clocks.
Clock& system_clock();

/// "2026-11-21T22:05:48.421628Z"; the fraction is left out when it is zero.
std::string to_rfc3339(WallTime time);
/// Accepts RFC 3339 with Z or an offset. Errc::malformed otherwise.
Result<WallTime> parse_rfc3339(std::string_view text);

}  // namespace millrace
