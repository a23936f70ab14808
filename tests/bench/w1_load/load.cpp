#include "load.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <deque>
#include <utility>

#include "http_message.hpp"
#include "order.hpp"
#include "socket.hpp"

namespace w1 {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kSweepEveryNs = kSecondNs / 5;
constexpr std::int64_t kWaitMaxNs = kSecondNs / 50;
/// An open loop that cannot keep up gives its remaining orders this long.
constexpr std::int64_t kOverrunNs = 20 * kSecondNs;
/// A closed loop against a broker that is gone would otherwise spin through all numbers.
constexpr std::uint32_t kClosedLoopFailuresMax = 10'000;

struct Scheduled {
  std::uint32_t sequence = 0;
  std::int64_t due_ns = 0;
};

struct Connection {
  FileDescriptor socket;
  bool busy = false;
  Scheduled order;
  std::int64_t deadline_ns = 0;
  std::string input;
};

class Load {
 public:
  Load(LoadPlan plan, Ledger& ledger, std::atomic<std::uint32_t>* acknowledged)
      : plan_(std::move(plan)),
        ledger_(ledger),
        acknowledged_(acknowledged),
        epoll_(make_epoll()),
        connections_(static_cast<std::size_t>(plan_.connections)),
        next_(plan_.first) {
    for (std::size_t i = 0; i < connections_.size(); ++i) idle_.push_back(i);
    const auto room =
        std::min<std::uint64_t>(Ledger::kOrdersMax, plan_.first + std::uint64_t{plan_.orders_max});
    end_ = static_cast<std::uint32_t>(room);
  }

  LoadResult run();

 private:
  bool closed_loop() const { return plan_.per_second <= 0; }
  std::int64_t due_of(std::uint32_t sequence) const {
    return begin_ns_ +
           static_cast<std::int64_t>((sequence - plan_.first) * (kSecondNs / plan_.per_second));
  }
  bool all_scheduled(std::int64_t now) const;
  void schedule(std::int64_t now);
  void start_waiting();
  void start(std::size_t index, Scheduled order);
  void wait_and_read();
  void read_answer(std::size_t index);
  void finish(std::size_t index, bool acknowledged);
  void drop_overdue(std::int64_t now);

  LoadPlan plan_;
  Ledger& ledger_;
  std::atomic<std::uint32_t>* acknowledged_;
  FileDescriptor epoll_;
  std::vector<Connection> connections_;
  std::array<char, 1 << 14> buffer_;
  std::deque<std::size_t> idle_;  ///< oldest first, so that all connections take part
  std::deque<Scheduled> waiting_;
  std::uint32_t next_;
  std::uint32_t end_ = 0;
  std::int64_t begin_ns_ = 0;
  std::int64_t stop_ns_ = 0;
  std::int64_t last_answer_ns_ = 0;
  std::int64_t swept_ns_ = 0;
  LoadResult result_;
};

bool Load::all_scheduled(std::int64_t now) const {
  if (next_ >= end_) return true;
  if (closed_loop()) return now >= stop_ns_ || result_.failed > kClosedLoopFailuresMax;
  return due_of(next_) >= stop_ns_;
}

void Load::schedule(std::int64_t now) {
  while (!all_scheduled(now)) {
    const std::int64_t due = closed_loop() ? now : due_of(next_);
    if (due > now || (closed_loop() && waiting_.size() >= idle_.size())) return;
    waiting_.push_back({next_, due});
    ledger_.sent(next_, due);
    ++next_;
  }
}

void Load::start_waiting() {
  while (!waiting_.empty() && !idle_.empty()) {
    const Scheduled order = waiting_.front();
    const std::size_t index = idle_.front();
    waiting_.pop_front();
    idle_.pop_front();
    start(index, order);
  }
}

void Load::start(std::size_t index, Scheduled order) {
  Connection& connection = connections_[index];
  connection.order = order;
  connection.busy = true;
  connection.input.clear();
  connection.deadline_ns = now_ns() + std::chrono::nanoseconds(plan_.answer_timeout).count();
  if (!connection.socket.open()) {
    connection.socket = connect_loopback(plan_.port);
    if (!connection.socket.open()) return finish(index, false);
    watch(epoll_, connection.socket, static_cast<std::uint32_t>(index));
  }
  const std::string body = order_body(order.sequence);
  const std::string request = fmt::format(
      "POST {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\n\r\n{}",
      plan_.path, plan_.port, body.size(), body);
  // A request of some 400 bytes fits the empty send buffer of a connection that waited for its
  // answer; anything else is a broken connection.
  if (write(connection.socket.get(), request.data(), request.size()) !=
      static_cast<ssize_t>(request.size())) {
    connection.socket.close();
    finish(index, false);
  }
}

void Load::finish(std::size_t index, bool acknowledged) {
  Connection& connection = connections_[index];
  last_answer_ns_ = now_ns();
  connection.busy = false;
  idle_.push_back(index);
  if (!acknowledged) {
    ++result_.failed;
    return;
  }
  ++result_.acknowledged;
  if (acknowledged_ != nullptr) ++*acknowledged_;
  ledger_.acknowledged(connection.order.sequence);
  result_.ack_ms.push_back(static_cast<float>(last_answer_ns_ - connection.order.due_ns) / 1e6F);
}

void Load::read_answer(std::size_t index) {
  Connection& connection = connections_[index];
  if (!connection.socket.open()) return;
  const ssize_t got = read(connection.socket.get(), buffer_.data(), buffer_.size());
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    connection.socket.close();
    if (connection.busy) finish(index, false);
    return;
  }
  connection.input.append(buffer_.data(), static_cast<std::size_t>(got));
  const HttpMessage answer = read_http_message(connection.input, Side::answer);
  if (answer.state == HttpMessage::State::incomplete) return;
  if (answer.interim) {
    connection.input.erase(0, answer.size);
    return;
  }
  const bool complete = answer.state == HttpMessage::State::complete;
  if (!complete || answer.close) connection.socket.close();
  if (connection.busy) {
    finish(index, complete && answer.status >= 200 && answer.status < 300);
  }
}

void Load::wait_and_read() {
  std::int64_t wait = kWaitMaxNs;
  const std::int64_t now = now_ns();
  if (!closed_loop() && !all_scheduled(now))
    wait = std::clamp<std::int64_t>(due_of(next_) - now, 0, wait);
  const timespec timeout{0, static_cast<long>(wait)};
  std::array<epoll_event, 256> events;
  const int count = epoll_pwait2(epoll_.get(), events.data(), events.size(), &timeout, nullptr);
  for (int i = 0; i < count; ++i) read_answer(events[static_cast<std::size_t>(i)].data.u32);
}

void Load::drop_overdue(std::int64_t now) {
  if (now - swept_ns_ < kSweepEveryNs) return;
  swept_ns_ = now;
  for (std::size_t index = 0; index < connections_.size(); ++index) {
    Connection& connection = connections_[index];
    if (!connection.busy || connection.deadline_ns > now) continue;
    connection.socket.close();
    finish(index, false);
  }
  if (now > stop_ns_ + kOverrunNs) {
    result_.failed += static_cast<std::uint32_t>(waiting_.size());
    waiting_.clear();
  }
}

LoadResult Load::run() {
  prctl(PR_SET_TIMERSLACK, 1);
  begin_ns_ = last_answer_ns_ = now_ns();
  stop_ns_ = begin_ns_ + std::chrono::nanoseconds(plan_.duration).count();
  while (true) {
    const std::int64_t now = now_ns();
    schedule(now);
    start_waiting();
    if (all_scheduled(now) && waiting_.empty() && idle_.size() == connections_.size()) break;
    wait_and_read();
    drop_overdue(now);
  }
  result_.range = {plan_.first, next_};
  result_.seconds = static_cast<double>(last_answer_ns_ - begin_ns_) / 1e9;
  std::sort(result_.ack_ms.begin(), result_.ack_ms.end());
  return std::move(result_);
}

}  // namespace

LoadResult run_load(LoadPlan plan, Ledger& ledger, std::atomic<std::uint32_t>* acknowledged) {
  Load load(std::move(plan), ledger, acknowledged);
  return load.run();
}

}  // namespace w1
