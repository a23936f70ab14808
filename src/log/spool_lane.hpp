// How far what was spooled of one journal and partition has come on its way into the log. Offsets
// are the spool's. Kept in order: an entry is handed over to the log behind all that came before.
// Belongs to one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>

#include "millrace/clock.hpp"
#include "millrace/event_log.hpp"

namespace millrace::log {

class SpoolLane {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// What of a lane is with the log and not acknowledged: bounds of memory.
  static constexpr std::size_t kHandedMax = 64;
  static constexpr std::size_t kHandedBytesMax = std::size_t{128} << 10;

  /// One entry.
  struct Entry {
    Offset offset = 0;
    WallTime at;
    std::size_t bytes = 0;
  };

  /// At a start: entries from `begin` on wait.
  void resume(Offset begin, Offset end, WallTime oldest);

  /// An entry is about to be written into the spool; `handed`: the log has it already.
  void expect(bool handed) { unhanded_ += handed ? 0 : 1; }
  /// It could not be written.
  void not_written(bool handed) { unhanded_ -= handed ? 0 : 1; }
  void written(const Entry& entry, bool handed, Time now);
  /// An entry that waited, `next()` or behind it, is with the log now.
  void hand_over(const Entry& entry, Time now);
  /// The log has acknowledged it. Returns its bytes.
  std::size_t acknowledged(Offset offset);
  /// The log refused it: it waits again, and nothing of the lane is handed over before `until`.
  void refused(Offset offset, Time until);

  /// Whether an entry may go to the log as soon as it comes: nothing waits before it, and the log
  /// has acknowledged all that is older than `within`.
  bool keeps_up(Time now, milliseconds within) const;
  /// Whether the log may be handed more of what waits here.
  bool has_room(Time now) const;
  bool waits() const { return next_ < end_; }
  /// The log has not answered for so long that others need not wait for this lane.
  bool is_stuck(Time now, milliseconds within) const;

  bool is_handed(Offset offset) const { return handed_.contains(offset); }
  Offset next() const { return next_; }    ///< the first entry that waits to be handed over
  Offset begin() const { return begin_; }  ///< everything below is acknowledged
  bool empty() const { return begin_ == end_; }
  WallTime oldest() const { return oldest_; }  ///< of the first entry, unless it is empty

 private:
  struct Handed {
    Entry entry;
    Time since;
    bool acknowledged = false;
  };
  void skip_handed();

  Offset begin_ = 0;
  Offset next_ = 0;
  Offset end_ = 0;
  std::size_t unhanded_ = 0;         ///< entries that wait, or will once they are written
  std::map<Offset, Handed> handed_;  ///< none below begin_
  std::size_t handed_bytes_ = 0;
  Time refused_until_{};
  WallTime oldest_;
};

}  // namespace millrace::log
