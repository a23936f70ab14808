// Tasks of one shard: a TaskGroup owns every coroutine that is not awaited by another one, a
// Notifier wakes coroutines that wait for a condition. Use both on the shard's own thread only.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "millrace/clock.hpp"
#include "millrace/http.hpp"

namespace boost::asio {
class io_context;
}

namespace millrace {

/// Suspends the calling coroutine. Cancelling its task ends the wait with operation_aborted.
Awaitable<void> sleep_for(milliseconds duration);

/// Wakes coroutines of one shard. A notify nobody waits for is remembered once.
class Notifier {
 public:
  explicit Notifier(boost::asio::io_context& context);
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  /// Wakes all who wait now.
  void notify();
  /// Cancelling the waiting task ends the wait with operation_aborted.
  Awaitable<void> wait();
  /// False when `limit` passed without a notify.
  Awaitable<bool> wait_for(milliseconds limit);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Owns running tasks: spawn, cancel, join. What a task throws is logged with its name and ends
/// that task alone; operation_aborted is the normal end of a cancelled task.
class TaskGroup {
 public:
  explicit TaskGroup(boost::asio::io_context& context);
  /// Cancels what still runs; does not wait for it.
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  void spawn(std::string name, Awaitable<void> task);
  /// Asks every task to end: its current wait fails, and so does any later one.
  void cancel();
  /// True when all tasks ended within `deadline`.
  Awaitable<bool> join(milliseconds deadline);
  std::size_t size() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace millrace
