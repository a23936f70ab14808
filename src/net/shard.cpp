#include "net/shard.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <mutex>
#include <optional>
#include <thread>

#include "core/thread_name.hpp"
#include "net/deadlines.hpp"

namespace millrace {

namespace asio = boost::asio;

struct Shard::State {
  State(std::string thread_name, std::size_t position)
      : name(std::move(thread_name)), index(position), work(asio::make_work_guard(context)) {
    deadlines.emplace(context);
    tasks.emplace(context);
  }
  ~State();

  void drain();
  void run();

  std::string name;
  std::size_t index;
  // Streams inside abandoned coroutines unlink from it while the context goes: it outlives the
  // context.
  std::optional<Deadlines> deadlines;
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::optional<TaskGroup> tasks;

  std::mutex mutex;
  std::vector<Task> posted;   ///< guarded by mutex
  std::vector<Task> running;  ///< of the shard's thread; keeps its capacity
  std::thread thread;
  std::thread::id thread_id;
};

Shard::State::~State() {
  tasks.reset();
  deadlines->shut_down();
  running.clear();
  posted.clear();
}

void Shard::State::drain() {
  {
    const std::lock_guard lock(mutex);
    std::swap(posted, running);
  }
  for (Task& task : running) {
    try {
      task();
    } catch (const std::exception& error) {
      spdlog::error("a posted task threw shard={} error=\"{}\"", name, error.what());
    } catch (...) {
      spdlog::error("a posted task threw an unknown exception shard={}", name);
    }
  }
  running.clear();
}

void Shard::State::run() {
  name_this_thread(name);
  deadlines->belong_to_this_thread();
  while (!context.stopped()) {
    try {
      context.run();
    } catch (const std::exception& error) {
      spdlog::critical("an exception reached a shard's loop shard={} error=\"{}\"", name,
                       error.what());
    }
  }
  deadlines->free_of_thread();
}

Shard::Shard(std::string name, std::size_t index)
    : state_(std::make_unique<State>(std::move(name), index)) {}

Shard::~Shard() {
  if (!state_->thread.joinable()) return;
  state_->context.stop();
  state_->thread.join();
}

void Shard::start() {
  std::promise<void> ready;
  state_->thread = std::thread([this, &ready] {
    state_->thread_id = std::this_thread::get_id();
    ready.set_value();
    state_->run();
  });
  ready.get_future().wait();
}

namespace {
Awaitable<void> report_joined(TaskGroup* group, milliseconds deadline,
                              std::shared_ptr<std::promise<bool>> joined) {
  const bool all = co_await group->join(deadline);
  joined->set_value(all);
}
}  // namespace

bool Shard::stop(milliseconds deadline) {
  if (!state_->thread.joinable()) return true;
  const auto joined = std::make_shared<std::promise<bool>>();
  auto done = joined->get_future();
  TaskGroup watcher(state_->context);
  post([this, &watcher, deadline, joined] {
    state_->tasks->cancel();
    watcher.spawn("join", report_joined(&*state_->tasks, deadline, joined));
  });
  // The second beyond the deadline is for a shard whose thread is busy.
  const bool answered = done.wait_for(deadline + seconds(1)) == std::future_status::ready;
  state_->context.stop();
  state_->thread.join();
  return answered && done.get();
}

void Shard::post(Task task) {
  bool first = false;
  {
    const std::lock_guard lock(state_->mutex);
    first = state_->posted.empty();
    state_->posted.push_back(std::move(task));
  }
  if (first) asio::post(state_->context, [state = state_.get()] { state->drain(); });
}

void Shard::spawn(std::string name, Awaitable<void> task) {
  if (on_thread()) {
    state_->tasks->spawn(std::move(name), std::move(task));
    return;
  }
  post([this, label = std::move(name), body = std::move(task)]() mutable {
    state_->tasks->spawn(std::move(label), std::move(body));
  });
}

bool Shard::on_thread() const {
  return std::this_thread::get_id() == state_->thread_id;
}
std::size_t Shard::index() const {
  return state_->index;
}
const std::string& Shard::name() const {
  return state_->name;
}
asio::io_context& Shard::context() {
  return state_->context;
}
TaskGroup& Shard::tasks() {
  return *state_->tasks;
}
Deadlines& Shard::deadlines() {
  return *state_->deadlines;
}

ShardSet::ShardSet(std::size_t count, const std::string& name) {
  MILLRACE_INVARIANT(count > 0);
  for (std::size_t index = 0; index < count; ++index) {
    shards_.push_back(std::make_unique<Shard>(fmt::format("{}-{}", name, index), index));
  }
}

ShardSet::~ShardSet() = default;

std::vector<Shard*> ShardSet::all() {
  std::vector<Shard*> pointers;
  for (const auto& shard : shards_) pointers.push_back(shard.get());
  return pointers;
}

void ShardSet::start() {
  for (const auto& shard : shards_) shard->start();
}

bool ShardSet::stop(milliseconds deadline) {
  const auto until = std::chrono::steady_clock::now() + deadline;
  bool clean = true;
  for (const auto& shard : shards_) {
    const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
    clean = shard->stop(std::max(left, milliseconds(0))) && clean;
  }
  return clean;
}

}  // namespace millrace
