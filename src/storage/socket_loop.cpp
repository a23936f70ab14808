#include "storage/socket_loop.hpp"

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

namespace millrace {

namespace asio = boost::asio;

struct SocketLoop::State {
  asio::io_context context{1};
  // The loop never runs out of work: only the deadline ends an empty wait.
  asio::executor_work_guard<asio::io_context::executor_type> guard{context.get_executor()};
  asio::posix::stream_descriptor socket{context};
  std::atomic<bool> woken{false};
  std::atomic<bool> cancelled{false};
};

SocketLoop::SocketLoop() : state_(std::make_unique<State>()) {}

SocketLoop::~SocketLoop() {
  watch(-1);
}

void SocketLoop::watch(int descriptor) {
  if (state_->socket.is_open()) state_->socket.release();
  if (descriptor < 0) return;
  boost::system::error_code error;
  state_->socket.assign(descriptor, error);
}

SocketLoop::Woken SocketLoop::wait(bool for_writing, Deadline deadline) {
  State& state = *state_;
  int pending = 0;
  bool ready = false;
  const auto start = [&](asio::posix::stream_descriptor::wait_type what) {
    ++pending;
    state.socket.async_wait(what, [&](const boost::system::error_code& error) {
      --pending;
      if (error != asio::error::operation_aborted) ready = true;
    });
  };
  if (state.socket.is_open()) {
    start(asio::posix::stream_descriptor::wait_read);
    if (for_writing) start(asio::posix::stream_descriptor::wait_write);
  }
  while (!ready && !state.cancelled.load() && !state.woken.load()) {
    if (state.context.run_one_until(deadline) == 0) break;
  }
  if (pending > 0) state.socket.cancel();
  while (pending > 0) state.context.run_one();
  if (state.cancelled.load()) return Woken::cancelled;
  if (ready) return Woken::ready;
  return state.woken.exchange(false) ? Woken::woken : Woken::timed_out;
}

void SocketLoop::wake() {
  if (!state_->woken.exchange(true)) asio::post(state_->context, [] {});
}

void SocketLoop::cancel() {
  state_->cancelled.store(true);
  asio::post(state_->context, [] {});
}

void SocketLoop::allow() {
  state_->cancelled.store(false);
}

bool SocketLoop::is_cancelled() const {
  return state_->cancelled.load();
}

}  // namespace millrace
