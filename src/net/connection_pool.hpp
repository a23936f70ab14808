// The connections of one HttpClient: at most so many, kept alive between requests, opened through
// the egress gate. For http_client.cpp alone; one shard.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "net/http_client.hpp"
#include "net/stream.hpp"

namespace millrace {

using SteadyTime = std::chrono::steady_clock::time_point;

class ConnectionPool : public std::enable_shared_from_this<ConnectionPool>, private Deadline {
 public:
  /// The right to use one connection; gives it back when it goes, also while unwinding.
  class Lease {
   public:
    explicit Lease(std::shared_ptr<ConnectionPool> pool) : pool_(std::move(pool)) {}
    Lease(Lease&& other) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    /// An idle connection that is still good; nullptr when there is none.
    bool take_idle();
    void adopt(std::unique_ptr<Stream> stream) { stream_ = std::move(stream); }
    void discard() { stream_.reset(); }
    /// The connection can carry another request.
    void keep() { reusable_ = true; }
    Stream& stream() { return *stream_; }

   private:
    std::shared_ptr<ConnectionPool> pool_;
    std::unique_ptr<Stream> stream_;
    bool reusable_ = false;
  };

  ConnectionPool(Shard& shard, HttpClientOptions options, const EgressGate& gate);

  const HttpClientOptions& options() const { return options_; }
  /// Waits for one of connections_max slots. Errc::timeout_before_send, Errc::overloaded.
  Awaitable<Result<Lease>> acquire(SteadyTime until);
  /// A new connection, connected and with TLS done.
  Awaitable<Result<std::unique_ptr<Stream>>> open(SteadyTime until);

 private:
  struct Idle {
    std::unique_ptr<Stream> stream;
    SteadyTime since;
  };
  struct Waiter {
    explicit Waiter(boost::asio::io_context& context) : turn(context) {}
    Notifier turn;
    bool has_slot = false;
  };
  struct Resolution;
  using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

  void on_deadline() override;
  void give_back(std::unique_ptr<Stream> stream, bool reusable);
  Awaitable<Result<Endpoints>> resolve(SteadyTime until);
  Awaitable<Result<std::unique_ptr<Stream>>> dial(boost::asio::ip::tcp::endpoint endpoint,
                                                  SteadyTime until);

  Shard& shard_;
  HttpClientOptions options_;
  const EgressGate& gate_;
  std::vector<Idle> idle_;  ///< oldest first
  std::size_t leased_ = 0;
  std::list<std::weak_ptr<Waiter>> waiters_;
};

}  // namespace millrace
