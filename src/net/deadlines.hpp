// Deadlines of one shard's connections. Setting one is a store; a sweep every 25 ms finds the
// expired ones, so a request costs no timer. A deadline fires up to 25 ms late and never early.
#pragma once

#include <chrono>
#include <memory>
#include <thread>

#include "millrace/clock.hpp"

namespace boost::asio {
class io_context;
}

namespace millrace {

class Deadlines;

/// One deadline; derive and say what happens. Lives on its shard and dies before it: a set one that
/// is touched from another thread while the shard runs is a broken invariant.
class Deadline {
 public:
  explicit Deadline(Deadlines& owner);
  virtual ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  void set_deadline(std::chrono::steady_clock::time_point at);
  void set_deadline_after(milliseconds duration);
  void clear_deadline() { at_ = std::chrono::steady_clock::time_point::max(); }

 protected:
  /// Called once per deadline set, on the shard. May destroy any Deadline.
  virtual void on_deadline() = 0;

 private:
  friend class Deadlines;
  void unlink();

  Deadlines& owner_;
  Deadline* previous_ = this;  ///< A ring; alone it points to itself.
  Deadline* next_ = this;
  std::chrono::steady_clock::time_point at_ = std::chrono::steady_clock::time_point::max();
};

class Deadlines {
 public:
  explicit Deadlines(boost::asio::io_context& context);
  ~Deadlines();
  Deadlines(const Deadlines&) = delete;
  Deadlines& operator=(const Deadlines&) = delete;

  /// From here on only this thread may touch deadlines that are set; until `free_of_thread`.
  void belong_to_this_thread() { thread_ = std::this_thread::get_id(); }
  void free_of_thread() { thread_ = std::thread::id(); }

  /// Ends the sweep; to be called before the io_context goes. Deadlines may unlink afterwards.
  void shut_down();

 private:
  friend class Deadline;
  struct Sweep;
  struct Ring;
  void arm();
  void sweep();
  void check_thread() const;

  std::unique_ptr<Ring> ring_;
  std::unique_ptr<Sweep> sweep_;
  std::thread::id thread_;  ///< none before the shard's start and after its end
};

}  // namespace millrace
