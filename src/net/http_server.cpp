#include "net/http_server.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <set>

#include "net/http_connection.hpp"

namespace millrace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr int kListenBacklog = 1024;
constexpr milliseconds kAcceptBackOff{100};
/// Connections beyond connections_max that are being told so; further ones are just closed.
constexpr std::size_t kTurnedAwayMax = 64;

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

/// One shard's part of the server. Its tasks share it: one that outlives a stop finds it alive.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(Shard& shard, std::shared_ptr<HttpServerShared> shared)
      : shard_(shard),
        shared_(std::move(shared)),
        acceptor_(shard.context()),
        tasks_(shard.context()) {}

  error_code open(const tcp::endpoint& endpoint, bool share_port);
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  void start() { tasks_.spawn("accept", accept_loop(shared_from_this())); }
  Awaitable<bool> stop(milliseconds deadline);

 private:
  Awaitable<void> accept_loop(std::shared_ptr<Listener> self);
  Awaitable<void> run_connection(std::shared_ptr<Listener> self, tcp::socket socket, bool away);
  void admit(tcp::socket socket);

  Shard& shard_;
  std::shared_ptr<HttpServerShared> shared_;
  tcp::acceptor acceptor_;
  TaskGroup tasks_;
  std::set<HttpConnection*> connections_;
  std::size_t turned_away_ = 0;
  bool stopping_ = false;
};

error_code Listener::open(const tcp::endpoint& endpoint, bool share_port) {
  error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && share_port) acceptor_.set_option(ReusePort(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(kListenBacklog, error);
  return error;
}

Awaitable<void> Listener::accept_loop(std::shared_ptr<Listener> self) {
  bool failing = false;
  while (!stopping_) {
    auto [error, socket] = co_await acceptor_.async_accept(asio::as_tuple(asio::use_awaitable));
    if (stopping_) co_return;
    if (!error) {
      failing = false;
      shared_->counters.accepted.fetch_add(1, std::memory_order_relaxed);
      admit(std::move(socket));
      continue;
    }
    if (error == asio::error::connection_aborted || error == asio::error::interrupted) continue;
    // Out of descriptors or memory: trying again at once would only burn the processor.
    shared_->counters.accept_failures.fetch_add(1, std::memory_order_relaxed);
    if (!failing) {
      spdlog::error("connections cannot be accepted, trying again every 100 ms error=\"{}\"",
                    error.message());
    }
    failing = true;
    co_await sleep_for(kAcceptBackOff);
  }
}

void Listener::admit(tcp::socket socket) {
  const bool full = connections_.size() >= shared_->options.connections_max;
  if (full) {
    shared_->counters.over_connections.fetch_add(1, std::memory_order_relaxed);
    if (turned_away_ >= kTurnedAwayMax) return;
  }
  tasks_.spawn("connection", run_connection(shared_from_this(), std::move(socket), full));
}

Awaitable<void> Listener::run_connection(std::shared_ptr<Listener> self, tcp::socket socket,
                                         bool away) {
  // Leaves the books right also when the task is cancelled.
  struct Registration {
    Registration(Listener& listener, HttpConnection& connection, bool turned_away)
        : listener_(listener), connection_(connection), away_(turned_away) {
      if (away_) {
        ++listener_.turned_away_;
        return;
      }
      listener_.connections_.insert(&connection_);
      listener_.shared_->counters.connections.fetch_add(1, std::memory_order_relaxed);
    }
    ~Registration() {
      if (away_) {
        --listener_.turned_away_;
        return;
      }
      listener_.connections_.erase(&connection_);
      listener_.shared_->counters.connections.fetch_sub(1, std::memory_order_relaxed);
    }
    Listener& listener_;
    HttpConnection& connection_;
    bool away_;
  };
  HttpConnection connection(shard_, shared_, std::move(socket));
  const Registration registration(*self, connection, away);
  if (stopping_) co_return;
  if (away) {
    co_await connection.turn_away(shared_->tls());
  } else {
    co_await connection.serve(shared_->tls());
  }
}

Awaitable<bool> Listener::stop(milliseconds deadline) {
  stopping_ = true;
  error_code ignored;
  acceptor_.cancel(ignored);
  acceptor_.close(ignored);
  for (HttpConnection* connection : connections_) connection->finish();
  const bool clean = co_await tasks_.join(deadline);
  if (clean) co_return true;
  tasks_.cancel();
  for (HttpConnection* connection : connections_) connection->abort();
  co_await tasks_.join(milliseconds(1000));
  co_return false;
}

class HttpServerImpl final : public HttpServer {
 public:
  HttpServerImpl(std::vector<Shard*> shards, HttpServerOptions options, HttpHandler handler);
  ~HttpServerImpl() override { stop(milliseconds(0)); }

  Result<void> open();
  std::uint16_t port() const override { return port_; }
  void start() override;
  bool stop(milliseconds deadline) override;
  void set_tls(TlsContextPtr tls) override { shared_->set_tls(std::move(tls)); }
  const Counters& counters() const override { return shared_->counters; }

 private:
  std::vector<Shard*> shards_;
  std::shared_ptr<HttpServerShared> shared_;
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::uint16_t port_ = 0;
  bool started_ = false;
};

HttpServerImpl::HttpServerImpl(std::vector<Shard*> shards, HttpServerOptions options,
                               HttpHandler handler)
    : shards_(std::move(shards)),
      shared_(std::make_shared<HttpServerShared>(std::move(options), std::move(handler))) {}

/// A listener that shares its port would bind beside another process's that does the same: a socket
/// that does not share finds out first.
error_code probe(asio::io_context& context, const tcp::endpoint& endpoint) {
  error_code error;
  tcp::acceptor probe(context);
  probe.open(endpoint.protocol(), error);
  if (!error) probe.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) probe.bind(endpoint, error);
  return error;
}

Result<void> HttpServerImpl::open() {
  const HttpServerOptions& options = shared_->options;
  error_code error;
  const auto address = asio::ip::make_address(options.address, error);
  if (error) {
    return fail(Errc::config, fmt::format("\"{}\" is not an IP address to listen on; write for "
                                          "example 127.0.0.1 or 0.0.0.0",
                                          options.address));
  }
  tcp::endpoint endpoint(address, options.port);
  const bool share_port = shards_.size() > 1;
  if (share_port) error = probe(shards_.front()->context(), endpoint);
  for (Shard* shard : shards_) {
    if (error) break;
    auto listener = std::make_shared<Listener>(*shard, shared_);
    error = listener->open(endpoint, share_port);
    if (error) break;
    endpoint.port(listener->port());
    listeners_.push_back(std::move(listener));
  }
  if (!error) {
    port_ = endpoint.port();
    return {};
  }
  listeners_.clear();
  const bool taken = error == asio::error::address_in_use;
  return fail(
      taken ? Errc::conflict : Errc::config,
      fmt::format("cannot listen on {} port {}: {}; {}", options.address, options.port,
                  error.message(),
                  taken ? "stop the program that has it (ss -ltnp) or configure another port"
                        : "configure an address of this machine and a port it may use"));
}

void HttpServerImpl::start() {
  started_ = true;
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    shards_[i]->post([listener = listeners_[i]] { listener->start(); });
  }
}

Awaitable<void> stop_listener(std::shared_ptr<Listener> listener, milliseconds deadline,
                              std::promise<bool> stopped) {
  const bool clean = co_await listener->stop(deadline);
  stopped.set_value(clean);
}

bool HttpServerImpl::stop(milliseconds deadline) {
  if (!std::exchange(started_, false)) return true;
  std::vector<std::future<bool>> answers;
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    std::promise<bool> stopped;
    answers.push_back(stopped.get_future());
    shards_[i]->spawn("stop listening", stop_listener(listeners_[i], deadline, std::move(stopped)));
  }
  bool clean = true;
  const auto until = std::chrono::steady_clock::now() + deadline + seconds(3);
  for (auto& answer : answers) {
    // A shard that stops meanwhile breaks the promise.
    try {
      const bool answered = answer.wait_until(until) == std::future_status::ready;
      clean = answered && answer.get() && clean;
    } catch (const std::future_error&) {
      clean = false;
    }
  }
  return clean;
}

}  // namespace

Result<std::unique_ptr<HttpServer>> make_http_server(std::vector<Shard*> shards,
                                                     HttpServerOptions options,
                                                     HttpHandler handler) {
  MILLRACE_INVARIANT(!shards.empty());
  auto server =
      std::make_unique<HttpServerImpl>(std::move(shards), std::move(options), std::move(handler));
  MILLRACE_CHECK_OK(server->open());
  return server;
}

}  // namespace millrace
