// One connection, plain or TLS, with a deadline over all its operations. The only file that knows
// how to do TLS over a socket is stream.cpp. For src/net alone.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "millrace/http.hpp"
#include "net/deadlines.hpp"
#include "net/shard.hpp"
#include "net/tls.hpp"

namespace millrace {

struct IoResult {
  boost::system::error_code error;  ///< asio::error::timed_out at the deadline
  std::size_t bytes = 0;            ///< moved before the error, too
};

class Stream final : public Deadline {
 public:
  Stream(Shard& shard, boost::asio::ip::tcp::socket socket);
  ~Stream() override;

  boost::asio::ip::tcp::socket& socket() { return socket_; }

  /// Replaces the deadline of the running and all later operations.
  void expires_at(std::chrono::steady_clock::time_point at);
  void expires_after(milliseconds duration) {
    expires_at(std::chrono::steady_clock::now() + duration);
  }
  bool timed_out() const { return timed_out_; }

  Awaitable<IoResult> connect(boost::asio::ip::tcp::endpoint endpoint);
  Awaitable<IoResult> handshake_as_server(TlsContextPtr context);
  /// Verifies that the peer's certificate is `host`'s. On failure `tls_problem` says why.
  Awaitable<IoResult> handshake_as_client(TlsContextPtr context, std::string host);
  const std::string& tls_problem() const { return tls_problem_; }

  Awaitable<IoResult> read_some(char* data, std::size_t size);
  /// Both parts, in one system call where the kernel takes them. They must stay as they are until
  /// the operation ended.
  Awaitable<IoResult> write(std::string_view first, std::string_view second = {});

  /// Sends what ends the stream. `linger`: waits a moment for the peer to end it too, because
  /// closing with unread input resets the connection and could take the last answer from the peer.
  /// At most 2 s and 256 KB.
  Awaitable<void> close_gently(bool linger);
  /// Ends running operations and the connection.
  void abort();

  /// Whether the idle connection has an end or bytes nobody asked for.
  bool has_pending_input();

 private:
  struct Tls;
  void on_deadline() override;
  boost::system::error_code translate(boost::system::error_code error) const;
  void set_up_tls(const TlsContextPtr& context);

  boost::asio::ip::tcp::socket socket_;
  std::unique_ptr<Tls> tls_;
  std::string tls_problem_;
  bool timed_out_ = false;
};

}  // namespace millrace
