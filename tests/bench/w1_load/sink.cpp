#include "sink.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string>
#include <unordered_map>

#include "http_message.hpp"
#include "order.hpp"
#include "socket.hpp"

namespace w1 {
namespace {

constexpr std::string_view kAccepted =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}";
constexpr std::string_view kRefused =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
constexpr std::string_view kRejected =
    "HTTP/1.1 422 Unprocessable Content\r\nContent-Length: 0\r\n\r\n";
/// Comparing every body would make the sink, not the broker, the limit of the measurement.
constexpr std::uint32_t kCheckEvery = 16;
constexpr std::uint32_t kListenerTag = 0;
constexpr int kPollMs = 20;

}  // namespace

struct Sink::Connections {
  struct Connection {
    FileDescriptor socket;
    std::string input;
  };
  FileDescriptor listener;
  FileDescriptor epoll;
  std::unordered_map<std::uint32_t, Connection> open;  ///< by tag
  std::uint32_t next_tag = kListenerTag + 1;
};

Sink::Sink(std::uint16_t port, Ledger& ledger)
    : ledger_(ledger), connections_(std::make_unique<Connections>()) {
  connections_->listener = listen_loopback(port);
  connections_->epoll = make_epoll();
  watch(connections_->epoll, connections_->listener, kListenerTag);
  thread_ = std::thread([this] { run(*connections_); });
}

Sink::~Sink() {
  stopping_ = true;
  thread_.join();
}

void Sink::record(std::string_view body) {
  const auto sequence = sequence_of(body);
  const bool known = sequence && *sequence > 0 && *sequence < Ledger::kOrdersMax;
  if (!known || (*sequence % kCheckEvery == 0 && !is_canonical_event(body, *sequence))) {
    constexpr std::uint64_t kShown = 3;
    if (malformed_++ < kShown) {
      std::fprintf(stderr, "w1_load: not the expected event: %.*s\n", static_cast<int>(body.size()),
                   body.data());
    }
  }
  if (known) ledger_.received(*sequence, now_ns());
  ++accepted_;
}

std::string_view Sink::answer_to(std::string_view body) const {
  if (refusing_) return kRefused;
  const int poison = poison_;
  if (poison == 0 || !is_poisoned(sequence_of(body).value_or(0))) return kAccepted;
  return poison == 422 ? kRejected : kRefused;
}

void Sink::run(Connections& connections) {
  std::array<char, 1 << 16> buffer;
  std::array<epoll_event, 128> events;
  const auto serve = [&](Connections::Connection& connection) {
    const ssize_t got = read(connection.socket.get(), buffer.data(), buffer.size());
    if (got <= 0) return got < 0 && errno == EAGAIN;
    connection.input.append(buffer.data(), static_cast<std::size_t>(got));
    while (true) {
      const HttpMessage message = read_http_message(connection.input, Side::request);
      if (message.state == HttpMessage::State::malformed) return false;
      if (message.state == HttpMessage::State::incomplete) return true;
      connection.input.erase(0, message.size);
      const std::string_view answer = answer_to(message.body);
      if (message.body.empty()) {
        ++checks_;  // a question whether this target is there
      } else if (answer == kAccepted) {
        record(message.body);
      } else {
        ++refused_;
      }
      if (write(connection.socket.get(), answer.data(), answer.size()) < 0) return false;
    }
  };
  while (!stopping_) {
    const int count = epoll_wait(connections.epoll.get(), events.data(), events.size(), kPollMs);
    for (int i = 0; i < count; ++i) {
      const std::uint32_t tag = events[static_cast<std::size_t>(i)].data.u32;
      if (tag == kListenerTag) {
        while (true) {
          FileDescriptor socket = accept_one(connections.listener);
          if (!socket.open()) break;
          watch(connections.epoll, socket, connections.next_tag);
          connections.open[connections.next_tag++].socket = std::move(socket);
        }
        continue;
      }
      const auto found = connections.open.find(tag);
      if (found != connections.open.end() && !serve(found->second)) connections.open.erase(found);
    }
  }
}

}  // namespace w1
