#include "net/connection_pool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace millrace {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::steady_clock;

namespace {

/// Addresses of one name that are tried; more only cost time.
constexpr std::size_t kAddressesMax = 8;

milliseconds until_then(SteadyTime until) {
  return std::max(std::chrono::ceil<milliseconds>(until - steady_clock::now()), milliseconds(0));
}

std::string target_of(const Url& url) {
  return fmt::format("{}:{}", url.host, url.port);
}

}  // namespace

/// Outlives its waiter: getaddrinfo cannot be interrupted.
struct ConnectionPool::Resolution {
  explicit Resolution(asio::io_context& context) : resolver(context), done(context) {}
  tcp::resolver resolver;
  Notifier done;
  boost::system::error_code error;
  Endpoints endpoints;
};

ConnectionPool::ConnectionPool(Shard& shard, HttpClientOptions options, const EgressGate& gate)
    : Deadline(shard.deadlines()), shard_(shard), options_(std::move(options)), gate_(gate) {}

ConnectionPool::Lease::~Lease() {
  if (pool_) pool_->give_back(std::move(stream_), reusable_);
}

bool ConnectionPool::Lease::take_idle() {
  auto& idle = pool_->idle_;
  const auto oldest = steady_clock::now() - pool_->options_.idle_limit;
  while (!idle.empty()) {
    Idle candidate = std::move(idle.back());
    idle.pop_back();
    if (candidate.since < oldest) continue;
    // An end of stream, or an answer nobody asked for: either way no place for a new request.
    if (candidate.stream->has_pending_input()) continue;
    stream_ = std::move(candidate.stream);
    reusable_ = false;
    return true;
  }
  return false;
}

void ConnectionPool::give_back(std::unique_ptr<Stream> stream, bool reusable) {
  if (stream && reusable) {
    stream->clear_deadline();
    idle_.push_back({std::move(stream), steady_clock::now()});
    if (idle_.size() == 1) set_deadline_after(options_.idle_limit);
  }
  while (!waiters_.empty()) {
    const auto waiter = waiters_.front().lock();
    waiters_.pop_front();
    if (!waiter) continue;
    // The slot passes straight on, so that nobody who comes later overtakes.
    waiter->has_slot = true;
    waiter->turn.notify();
    return;
  }
  --leased_;
}

/// Closes connections that were idle for too long.
void ConnectionPool::on_deadline() {
  const auto oldest = steady_clock::now() - options_.idle_limit;
  std::erase_if(idle_, [&](const Idle& entry) { return entry.since <= oldest; });
  if (!idle_.empty()) set_deadline(idle_.front().since + options_.idle_limit);
}

Awaitable<Result<ConnectionPool::Lease>> ConnectionPool::acquire(SteadyTime until) {
  const auto self = shared_from_this();
  if (leased_ < options_.connections_max) {
    ++leased_;
    co_return Lease(self);
  }
  if (waiters_.size() >= options_.waiting_max) {
    co_return fail(Errc::overloaded, fmt::format("{} requests already wait for a connection to {}",
                                                 waiters_.size(), target_of(options_.url)));
  }
  const auto waiter = std::make_shared<Waiter>(shard_.context());
  // A slot handed over while this task is being cancelled goes back.
  struct Handover {
    ConnectionPool& pool;
    Waiter& waiter;
    ~Handover() {
      if (waiter.has_slot) pool.give_back(nullptr, false);
    }
  };
  Handover handover{*self, *waiter};
  const auto place = waiters_.insert(waiters_.end(), waiter);
  co_await waiter->turn.wait_for(until_then(until));
  if (!waiter->has_slot) {
    waiters_.erase(place);
    co_return fail(Errc::timeout_before_send,
                   fmt::format("no connection to {} became free in time; {} are in use",
                               target_of(options_.url), options_.connections_max));
  }
  waiter->has_slot = false;
  co_return Lease(self);
}

Awaitable<Result<ConnectionPool::Endpoints>> ConnectionPool::resolve(SteadyTime until) {
  const Url& url = options_.url;
  boost::system::error_code error;
  const auto literal = asio::ip::make_address(url.host, error);
  if (!error) co_return Endpoints{tcp::endpoint(literal, url.port)};
  const auto resolution = std::make_shared<Resolution>(shard_.context());
  resolution->resolver.async_resolve(
      url.host, std::to_string(url.port), tcp::resolver::numeric_service,
      [resolution](boost::system::error_code failure, const tcp::resolver::results_type& results) {
        resolution->error = failure;
        for (const auto& entry : results) {
          if (resolution->endpoints.size() == kAddressesMax) break;
          resolution->endpoints.push_back(entry.endpoint());
        }
        resolution->done.notify();
      });
  const bool done = co_await resolution->done.wait_for(until_then(until));
  if (!done) {
    co_return fail(Errc::timeout_before_send,
                   fmt::format("the name {} was not resolved in time", url.host));
  }
  if (resolution->error || resolution->endpoints.empty()) {
    co_return fail(Errc::name_resolution, fmt::format("the name {} cannot be resolved: {}",
                                                      url.host, resolution->error.message()));
  }
  co_return std::move(resolution->endpoints);
}

Awaitable<Result<std::unique_ptr<Stream>>> ConnectionPool::dial(tcp::endpoint endpoint,
                                                                SteadyTime until) {
  const Url& url = options_.url;
  auto stream = std::make_unique<Stream>(shard_, tcp::socket(shard_.context()));
  stream->expires_at(until);
  const IoResult connected = co_await stream->connect(endpoint);
  if (connected.error == asio::error::timed_out && stream->timed_out()) {
    co_return fail(Errc::timeout_before_send,
                   fmt::format("{} did not accept a connection in time", target_of(url)));
  }
  if (connected.error) {
    co_return fail(Errc::not_connected,
                   fmt::format("{} cannot be reached at {}: {}", target_of(url),
                               endpoint.address().to_string(), connected.error.message()));
  }
  if (!url.tls) co_return stream;
  const IoResult shaken = co_await stream->handshake_as_client(options_.tls, url.host);
  if (stream->timed_out()) {
    co_return fail(Errc::timeout_before_send,
                   fmt::format("{} did not finish its TLS handshake in time", target_of(url)));
  }
  if (shaken.error) {
    co_return fail(Errc::tls,
                   fmt::format("no TLS with {}: {}", target_of(url), stream->tls_problem()));
  }
  co_return stream;
}

Awaitable<Result<std::unique_ptr<Stream>>> ConnectionPool::open(SteadyTime until) {
  const auto self = shared_from_this();
  const SteadyTime limit = std::min(until, steady_clock::now() + options_.connect_limit);
  MILLRACE_CO_TRY(endpoints, co_await resolve(limit));
  Error last(Errc::name_resolution, "no address");
  bool dialled = false;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    // Decided on the very address that is dialled next.
    const auto allowed = gate_.check(options_.url.host, options_.url.port, endpoints[i].address());
    if (!allowed) {
      if (!dialled) last = allowed.error();
      continue;
    }
    // One silent address must not use up the time of the others.
    const auto left = (limit - steady_clock::now()) / static_cast<int>(endpoints.size() - i);
    auto stream = co_await dial(endpoints[i], steady_clock::now() + left);
    if (stream) co_return stream;
    last = std::move(stream).error();
    dialled = true;
    if (last.code == Errc::tls) break;
  }
  co_return std::unexpected(std::move(last));
}

}  // namespace millrace
