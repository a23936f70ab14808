#include "net/tasks.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <list>

namespace millrace {

namespace asio = boost::asio;

Awaitable<void> sleep_for(milliseconds duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  co_await timer.async_wait(asio::use_awaitable);
}

namespace {

struct Waiter {
  explicit Waiter(asio::io_context& context) : timer(context) {}
  asio::steady_timer timer;
  bool notified = false;
};

}  // namespace

struct Notifier::State {
  explicit State(asio::io_context& io) : context(io) {}
  asio::io_context& context;
  std::list<std::weak_ptr<Waiter>> waiters;
  bool pending = false;
};

Notifier::Notifier(asio::io_context& context) : state_(std::make_shared<State>(context)) {}
Notifier::~Notifier() = default;

void Notifier::notify() {
  bool anyone = false;
  for (const auto& weak : state_->waiters) {
    const auto waiter = weak.lock();
    if (!waiter) continue;
    waiter->notified = true;
    waiter->timer.cancel();
    anyone = true;
  }
  state_->waiters.clear();
  if (!anyone) state_->pending = true;
}

Awaitable<void> Notifier::wait() {
  while (true) {
    const bool notified = co_await wait_for(std::chrono::hours(24));
    if (notified) co_return;
  }
}

Awaitable<bool> Notifier::wait_for(milliseconds limit) {
  const auto state = state_;  // The notifier may go while its waiters unwind.
  if (std::exchange(state->pending, false)) co_return true;
  const auto waiter = std::make_shared<Waiter>(state->context);
  waiter->timer.expires_after(limit);
  const auto place = state->waiters.insert(state->waiters.end(), waiter);
  co_await waiter->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  if (waiter->notified) co_return true;
  state->waiters.erase(place);
  const auto cancellation = co_await asio::this_coro::cancellation_state;
  if (cancellation.cancelled() != asio::cancellation_type::none) {
    throw boost::system::system_error(asio::error::operation_aborted);
  }
  co_return false;
}

struct TaskGroup::State {
  explicit State(asio::io_context& io) : context(io), ended(io) {}

  struct Entry {
    std::string name;
    asio::cancellation_signal cancellation;
  };

  asio::io_context& context;
  std::list<Entry> entries;
  Notifier ended;

  void finish(std::list<Entry>::iterator entry, const std::exception_ptr& failure);
};

void TaskGroup::State::finish(std::list<Entry>::iterator entry, const std::exception_ptr& failure) {
  // The last resort: whatever a task throws ends here, with its name, and nowhere else.
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const boost::system::system_error& error) {
    if (error.code() != asio::error::operation_aborted) {
      spdlog::error("a task ended with an exception task=\"{}\" error=\"{}\"", entry->name,
                    error.what());
    }
  } catch (const std::exception& error) {
    spdlog::error("a task ended with an exception task=\"{}\" error=\"{}\"", entry->name,
                  error.what());
  } catch (...) {
    spdlog::error("a task ended with an unknown exception task=\"{}\"", entry->name);
  }
  entries.erase(entry);
  if (entries.empty()) ended.notify();
}

TaskGroup::TaskGroup(asio::io_context& context) : state_(std::make_shared<State>(context)) {}

TaskGroup::~TaskGroup() {
  cancel();
}

void TaskGroup::spawn(std::string name, Awaitable<void> task) {
  const auto entry = state_->entries.emplace(state_->entries.end());
  entry->name = std::move(name);
  auto finished = [state = state_, entry](const std::exception_ptr& failure) {
    state->finish(entry, failure);
  };
  asio::co_spawn(state_->context, std::move(task),
                 asio::bind_cancellation_slot(entry->cancellation.slot(), std::move(finished)));
}

void TaskGroup::cancel() {
  // A cancelled task may end at once and leave the list while it is walked.
  const auto state = state_;
  for (auto entry = state->entries.begin(); entry != state->entries.end();) {
    auto next = std::next(entry);
    entry->cancellation.emit(asio::cancellation_type::all);
    entry = next;
  }
}

Awaitable<bool> TaskGroup::join(milliseconds deadline) {
  const auto state = state_;
  const auto until = std::chrono::steady_clock::now() + deadline;
  while (!state->entries.empty()) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= until) co_return false;
    const auto left = std::chrono::ceil<milliseconds>(until - now);
    co_await state->ended.wait_for(left);
  }
  co_return true;
}

std::size_t TaskGroup::size() const {
  return state_->entries.size();
}

}  // namespace millrace
