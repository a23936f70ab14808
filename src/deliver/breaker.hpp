// When a target is down, and when it is asked again. Pure: time comes in as an argument.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>

#include "millrace/clock.hpp"
#include "millrace/connector.hpp"

namespace millrace::deliver {

struct BreakerLimits {
  int opens_after = 5;
  milliseconds probes_every{1000};
};

/// What was asked, for the breaker.
struct Call {
  std::uint64_t record = 0;   ///< hash
  std::uint64_t request = 0;  ///< hash of its bytes: the same request again says nothing new
  bool slow = false;          ///< took longer than a call may
  std::uint64_t probe = 0;    ///< what take_probe() said, when it was one
};

inline constexpr std::size_t kDistinctRecordsToOpen = 3;
inline constexpr std::size_t kRejectionsToPause = 20;

class Breaker {
 public:
  enum class State : std::uint8_t {
    closed,
    open,       ///< the target is down; one probe at a time
    for_person  ///< 20 rejections in a row: waits for `routes resume`, whatever else happens
  };

  explicit Breaker(BreakerLimits limits) : limits_(limits) {}

  /// Takes one outcome. True when it is the target's fault as a whole: the request goes back to the
  /// queue and is not charged to its record.
  bool record(const Outcome& outcome, Call call, BootTime now);
  /// A harmless check failed or was answered while nothing else was.
  void check_failed(const std::string& reason, BootTime now);
  void check_answered(BootTime now);

  State state() const { return state_; }
  const std::string& reason() const { return reason_; }
  std::optional<WallTime> since() const { return since_; }
  /// Open: whether a probe may start now; it then counts as started, until record() is told of it
  /// by this number. 0: not now.
  std::uint64_t take_probe(BootTime now);
  bool probing() const { return probe_ != 0; }
  BootTime next_probe() const { return next_probe_; }
  /// It waited for a person before this start already.
  void hold(std::string reason, BootTime now) { open(State::for_person, std::move(reason), now); }
  /// A person resumes: everything starts afresh.
  void resume(BootTime now);

  /// Time during which the target answered, for budgets (semantics 5: one odometer a connection).
  microseconds odometer(BootTime now) const;
  /// When a record other than `record` was last answered; nullopt: never.
  bool answered_other_since(std::uint64_t record, BootTime since) const;
  int failures_in_row() const { return failures_; }

 private:
  void open(State state, std::string reason, BootTime now);
  void close(BootTime now);
  void answered(std::uint64_t record, BootTime now);
  void close_unless_slow(Call call, BootTime now);

  BreakerLimits limits_;
  State state_ = State::closed;
  std::string reason_;
  std::optional<WallTime> since_;
  int failures_ = 0;
  std::unordered_set<std::uint64_t> failed_records_;
  std::unordered_set<std::uint64_t> forbidden_records_;
  std::unordered_set<std::uint64_t> rejected_records_;
  std::unordered_set<std::uint64_t> rejected_requests_;
  int slow_ = 0;  ///< answers in a row
  std::unordered_set<std::uint64_t> slow_records_;
  BootTime next_probe_{};
  std::uint64_t probe_ = 0;  ///< on the wire; 0: none
  std::uint64_t probes_ = 0;
  std::optional<BootTime> delivered_at_;
  microseconds up_{0};
  std::optional<BootTime> up_since_;
  // The last two distinct records that were answered: enough to say whether "others" were.
  std::uint64_t answered_record_ = 0;
  BootTime answered_at_{};
  std::uint64_t answered_before_record_ = 0;
  BootTime answered_before_at_{};
};

}  // namespace millrace::deliver
