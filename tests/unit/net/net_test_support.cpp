#include "net_test_support.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <future>

namespace millrace::testing_net {

namespace {

constexpr int kReadSeconds = 10;

void bound_reads(int descriptor) {
  timeval limit = {};
  limit.tv_sec = kReadSeconds;
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

RawConnection::RawConnection(std::uint16_t port) : RawConnection(unconnected()) {
  EXPECT_TRUE(connect(port)) << "cannot connect to port " << port;
}

RawConnection RawConnection::unconnected() {
  return RawConnection(::socket(AF_INET, SOCK_STREAM, 0));
}

bool RawConnection::connect(std::uint16_t port) {
  const sockaddr_in address = loopback(port);
  return ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

RawConnection::RawConnection(int descriptor) : descriptor_(descriptor) {
  bound_reads(descriptor_);
}

RawConnection::RawConnection(RawConnection&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

RawConnection::~RawConnection() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool RawConnection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void RawConnection::finish_sending() {
  ::shutdown(descriptor_, SHUT_WR);
}

std::size_t RawConnection::read_some(char* data, std::size_t size) {
  const ssize_t got = ::recv(descriptor_, data, size, 0);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) timed_out_ = true;
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

std::string RawConnection::read_to_end() {
  std::string all;
  std::array<char, 4096> part;
  while (const std::size_t got = read_some(part.data(), part.size())) all.append(part.data(), got);
  return all;
}

std::string RawConnection::read_until(std::string_view text) {
  std::string all;
  std::array<char, 4096> part;
  while (!all.contains(text)) {
    const std::size_t got = read_some(part.data(), part.size());
    if (got == 0) break;
    all.append(part.data(), got);
  }
  return all;
}

void RawConnection::reset() {
  const linger at_once = {1, 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(std::exchange(descriptor_, -1));
}

ScriptedServer::ScriptedServer(Script script) : script_(std::move(script)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(listener_, 64), 0);
  EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

void ScriptedServer::run() {
  while (!stopping_) {
    const int descriptor = ::accept(listener_, nullptr, nullptr);
    if (descriptor < 0) return;
    RawConnection connection(descriptor);
    script_(connection, accepted_++);
  }
}

ScriptedServer::~ScriptedServer() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  thread_.join();
  ::close(listener_);
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "net-test-XXXXXX").string();
  EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryDirectory::path(std::string_view name) const {
  return path_ + "/" + std::string(name);
}

namespace {

Awaitable<void> send_into(HttpClient* client, HttpRequest request, milliseconds timeout,
                          std::shared_ptr<std::promise<Result<HttpResponse>>> answer) {
  auto result = co_await client->send(std::move(request), timeout);
  answer->set_value(std::move(result));
}

Awaitable<void> run_into(Awaitable<void> task, std::shared_ptr<std::promise<void>> done) {
  co_await std::move(task);
  done->set_value();
}

}  // namespace

Result<HttpResponse> send(Shard& shard, HttpClient& client, HttpRequest request,
                          milliseconds timeout) {
  const auto answer = std::make_shared<std::promise<Result<HttpResponse>>>();
  auto result = answer->get_future();
  shard.spawn("send", send_into(&client, std::move(request), timeout, answer));
  return result.get();
}

void run(Shard& shard, Awaitable<void> task) {
  const auto done = std::make_shared<std::promise<void>>();
  auto ended = done->get_future();
  shard.spawn("run", run_into(std::move(task), done));
  ended.get();
}

}  // namespace millrace::testing_net
