// This instance in its group: says that it lives, ends the sessions of those that do not, and moves
// partitions between the living (semantics 6, decision 31). Times are of the boot clock: who is
// frozen for longer than kLeaseTerm may begin no request afterwards, and a successor begins none
// before.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "millrace/clock.hpp"
#include "millrace/group.hpp"
#include "millrace/state_store.hpp"
#include "state/partition_leases.hpp"

namespace millrace::daemon {

/// A session that committed nothing for so long, as others see it, is ended.
inline constexpr milliseconds kLeaseTerm{8000};
/// Before that it begins no request any more: what it began is on the wire by then.
inline constexpr milliseconds kLeaseMargin{1000};

class Membership {
 public:
  struct Parts {
    StateStore& state;
    Group& group;
    Clock& clock;
    Executor& home;  ///< where commits come back to
    /// Blocking, on the thread of `control`: the instance works on these from when it returns.
    std::function<Result<void>(PartitionSet)> own;
    Executor& control;
    std::function<InstanceNote()> note;
    /// So many instances work now; budgets are divided by it.
    std::function<void(int)> working;
    /// Another instance's word may concern this one: pauses, for one.
    std::function<void()> look_around;
  };

  explicit Membership(Parts parts);
  ~Membership();

  void start();
  /// Takes and gives nothing any more; goes on saying that it lives.
  void settle();
  /// What it works on is free for others at once. Waits for a store that answers, up to `limit`.
  void leave(milliseconds limit);

  /// Thread-safe: whether a request may begin now.
  bool may_begin() const;
  /// As last read; thread-safe.
  GroupView view() const;
  std::string instance() const { return mine_.instance; }

 private:
  /// How long a member has been silent, as seen from here.
  struct Seen {
    GroupMember member;
    BootTime since;
  };

  void run();
  void beat();
  void look();
  void expel_silent(const GroupView& view, BootTime now);
  void move(const GroupView& view);
  void forget_gone(const GroupView& view);
  void carry_out(const GroupView& view, const LeaseMoves& moves);
  Result<void> carry_out_once(const GroupView& view, const LeaseMoves& moves);
  void await_moves(milliseconds limit) const;

  Parts parts_;
  const PartitionLease mine_;
  /// A commit that says that it lives is under way; it may come back after our end.
  std::shared_ptr<std::atomic<bool>> beating_ = std::make_shared<std::atomic<bool>>(false);
  std::atomic<bool> moving_{false};  ///< partitions are being taken or given
  std::atomic<bool> settled_{false};
  std::atomic<PartitionSet> owned_{PartitionSet()};
  std::map<std::string, Seen> seen_;
  BootTime looked_at_{};

  mutable std::mutex mutex_;  // guards what follows
  GroupView view_;
  bool ending_ = false;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace millrace::daemon
