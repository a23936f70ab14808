// Waiting on one socket, on a thread that has nothing else to do: an Asio event loop of its own
// that other threads can wake or cancel.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

namespace millrace {

class SocketLoop {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  enum class Woken : std::uint8_t { ready, woken, cancelled, timed_out };

  SocketLoop();
  ~SocketLoop();
  SocketLoop(const SocketLoop&) = delete;
  SocketLoop& operator=(const SocketLoop&) = delete;

  /// Watches this descriptor, which stays its owner's; -1: none. Before the owner closes it.
  void watch(int descriptor);

  /// Until the descriptor can be read (or written, if asked), wake(), cancel() or the deadline.
  Woken wait(bool for_writing, Deadline deadline);

  /// From any thread: the next or current wait() returns once.
  void wake();
  /// From any thread: every wait() returns at once from now on, until allow().
  void cancel();
  void allow();
  bool is_cancelled() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace
