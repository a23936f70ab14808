#include "net/stream.hpp"

#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "net/tls_context.hpp"

namespace millrace {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr milliseconds kCloseLimit{2'000};
constexpr std::size_t kCloseBytesMax = 256 * 1024;
}  // namespace

struct Stream::Tls {
  Tls(tcp::socket& socket, const TlsContextPtr& shared)
      : context(shared), stream(socket, shared->context) {}
  TlsContextPtr context;
  asio::ssl::stream<tcp::socket&> stream;
};

Stream::Stream(Shard& shard, tcp::socket socket)
    : Deadline(shard.deadlines()), socket_(std::move(socket)) {}

Stream::~Stream() = default;

void Stream::expires_at(std::chrono::steady_clock::time_point at) {
  timed_out_ = false;
  set_deadline(at);
}

void Stream::on_deadline() {
  timed_out_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void Stream::abort() {
  boost::system::error_code ignored;
  socket_.cancel(ignored);
  socket_.close(ignored);
}

boost::system::error_code Stream::translate(boost::system::error_code error) const {
  if (error && timed_out_) return asio::error::timed_out;
  return error;
}

Awaitable<IoResult> Stream::connect(tcp::endpoint endpoint) {
  boost::system::error_code error;
  socket_.open(endpoint.protocol(), error);
  if (error) co_return IoResult{error, 0};
  const auto [failure] = co_await socket_.async_connect(endpoint, kAwait);
  if (!failure) socket_.set_option(tcp::no_delay(true), error);
  co_return IoResult{translate(failure), 0};
}

void Stream::set_up_tls(const TlsContextPtr& context) {
  tls_ = std::make_unique<Tls>(socket_, context);
}

Awaitable<IoResult> Stream::handshake_as_server(TlsContextPtr context) {
  set_up_tls(context);
  const auto [error] =
      co_await tls_->stream.async_handshake(asio::ssl::stream_base::server, kAwait);
  co_return IoResult{translate(error), 0};
}

Awaitable<IoResult> Stream::handshake_as_client(TlsContextPtr context, std::string host) {
  set_up_tls(context);
  SSL* native = tls_->stream.native_handle();
  boost::system::error_code literal;
  asio::ip::make_address(host, literal);
  bool set = false;
  if (!literal) {
    set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(native), host.c_str()) == 1;
  } else {
    SSL_set_hostflags(native, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    set = SSL_set1_host(native, host.c_str()) == 1 &&
          SSL_set_tlsext_host_name(native, host.c_str()) == 1;
  }
  if (!set) {
    tls_problem_ = "the host name cannot be verified";
    co_return IoResult{asio::error::invalid_argument, 0};
  }
  const auto [error] =
      co_await tls_->stream.async_handshake(asio::ssl::stream_base::client, kAwait);
  if (error) {
    const long verdict = SSL_get_verify_result(native);
    tls_problem_ = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : error.message();
  }
  co_return IoResult{translate(error), 0};
}

Awaitable<IoResult> Stream::read_some(char* data, std::size_t size) {
  if (timed_out_) co_return IoResult{asio::error::timed_out, 0};
  const auto buffer = asio::buffer(data, size);
  if (tls_) {
    const auto [error, bytes] = co_await tls_->stream.async_read_some(buffer, kAwait);
    co_return IoResult{translate(error), bytes};
  }
  const auto [error, bytes] = co_await socket_.async_read_some(buffer, kAwait);
  co_return IoResult{translate(error), bytes};
}

Awaitable<IoResult> Stream::write(std::string_view first, std::string_view second) {
  if (timed_out_) co_return IoResult{asio::error::timed_out, 0};
  std::array<asio::const_buffer, 2> buffers = {asio::buffer(first), asio::buffer(second)};
  if (tls_) {
    const auto [error, bytes] = co_await asio::async_write(tls_->stream, buffers, kAwait);
    co_return IoResult{translate(error), bytes};
  }
  // Nearly always the kernel takes everything at once: no trip through the event loop then.
  std::array<iovec, 2> parts = {iovec{const_cast<char*>(first.data()), first.size()},
                                iovec{const_cast<char*>(second.data()), second.size()}};
  msghdr message = {};
  message.msg_iov = parts.data();
  message.msg_iovlen = second.empty() ? 1 : 2;
  const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  const std::size_t done = sent > 0 ? static_cast<std::size_t>(sent) : 0;
  if (done == first.size() + second.size()) co_return IoResult{{}, done};
  const std::size_t of_first = std::min(done, first.size());
  buffers[0] = asio::buffer(first.substr(of_first));
  buffers[1] = asio::buffer(second.substr(done - of_first));
  const auto [error, bytes] = co_await asio::async_write(socket_, buffers, kAwait);
  co_return IoResult{translate(error), done + bytes};
}

Awaitable<void> Stream::close_gently(bool linger) {
  expires_after(kCloseLimit);
  boost::system::error_code ignored;
  // A peer that does not take part in the shutdown is left to the deadline.
  if (tls_) co_await tls_->stream.async_shutdown(kAwait);
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  std::array<char, 4096> waste;
  std::size_t total = 0;
  while (linger && socket_.is_open() && !timed_out_ && total < kCloseBytesMax) {
    const auto [error, bytes] = co_await socket_.async_read_some(asio::buffer(waste), kAwait);
    if (error) break;
    total += bytes;
  }
  clear_deadline();
  socket_.close(ignored);
}

bool Stream::has_pending_input() {
  if (!socket_.is_open()) return true;
  char byte = 0;
  const ssize_t got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

}  // namespace millrace
