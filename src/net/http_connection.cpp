#include "net/http_connection.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <ctime>

#include "net/ascii.hpp"
#include "net/problem.hpp"

namespace millrace {

namespace {

using std::chrono::steady_clock;

/// A body up to this size is copied behind its head and sent as one piece.
constexpr std::size_t kCopiedBodyMax = 16 * 1024;
/// A body buffer grows with what arrives, so that announcing a large body costs no memory.
constexpr std::size_t kBodyStep = 64 * 1024;

/// "Sun, 06 Nov 1994 08:49:37 GMT", made once a second per thread.
std::string_view http_date() {
  thread_local std::time_t made_for = 0;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now == made_for) return text;
  std::tm parts = {};
  gmtime_r(&now, &parts);
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  text = fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[parts.tm_wday], parts.tm_mday,
                     kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min,
                     parts.tm_sec);
  made_for = now;
  return text;
}

bool is_written_by_server(std::string_view name) {
  for (const std::string_view own :
       {"content-length", "transfer-encoding", "connection", "date", "keep-alive"}) {
    if (equal_ignoring_case(name, own)) return true;
  }
  return false;
}

void append_head(std::string& output, const HttpResponse& response, bool keep_alive) {
  const bool bodiless = response.status == 204 || response.status == 304;
  fmt::format_to(std::back_inserter(output), "HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                 reason_phrase(response.status), http_date());
  for (const auto& [name, value] : response.headers) {
    if (is_written_by_server(name)) continue;
    if (!is_writable_field(name, value)) {
      spdlog::error("an answer's header field was left out: it holds control bytes field=\"{}\"",
                    is_token(name) ? name : "(malformed)");
      continue;
    }
    output.append(name).append(": ").append(value).append("\r\n");
  }
  if (!bodiless) {
    fmt::format_to(std::back_inserter(output), "Content-Length: {}\r\n", response.body.size());
  }
  if (!keep_alive) output += "Connection: close\r\n";
  output += "\r\n";
}

}  // namespace

HttpConnection::HttpConnection(Shard& shard, std::shared_ptr<HttpServerShared> shared,
                               boost::asio::ip::tcp::socket socket)
    : shard_(shard), shared_(std::move(shared)), stream_(shard, std::move(socket)) {
  boost::system::error_code ignored;
  stream_.socket().set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  const auto endpoint = stream_.socket().remote_endpoint(ignored);
  peer_ = endpoint.address().to_string();
}

/// Reads some bytes behind what is there. False at the end, an error or the deadline.
Awaitable<bool> HttpConnection::fill() {
  const IoResult got = co_await input_.fill(stream_);
  co_return !got.error;
}

HttpConnection::Next HttpConnection::refuse(HttpRefusal refusal) {
  refusal_ = refusal;
  return Next::refused;
}

HttpConnection::Next HttpConnection::input_ended() {
  if (!stream_.timed_out()) return Next::close;
  return refuse({408, "the request took too long to arrive"});
}

Awaitable<HttpConnection::Next> HttpConnection::read_head() {
  const HttpServerOptions& options = shared_->options;
  const HttpHeadLimits limits{options.header_bytes_max, options.fields_max};
  idle_ = input_.empty();
  if (idle_) {
    if (finishing_) co_return Next::close;
    const bool more = co_await fill();
    if (!more) co_return Next::close;
    idle_ = false;
  }
  request_began_ = steady_clock::now();
  stream_.expires_at(request_began_ + options.header_limit);
  HeadScanner scanner(limits);
  while (true) {
    const auto state = scanner.scan(input_.unread());
    if (state == HeadScanner::State::refused) co_return refuse(scanner.refusal());
    if (state == HeadScanner::State::complete) break;
    const bool more = co_await fill();
    if (!more) co_return input_ended();
  }
  auto parsed = parse_request_head(input_.unread().substr(0, scanner.end()), limits);
  if (!parsed) co_return refuse(parsed.error());
  head_ = *std::move(parsed);
  input_.consume(scanner.end());
  co_return Next::proceed;
}

Awaitable<HttpConnection::Next> HttpConnection::read_sized_body() {
  const auto size = static_cast<std::size_t>(head_.content_length);
  const std::string_view here = input_.unread().substr(0, size);
  body_.assign(here);
  input_.consume(here.size());
  while (body_.size() < size) {
    const std::size_t had = body_.size();
    const std::size_t room = std::min(size - had, std::max(kBodyStep, had));
    body_.resize(had + room);
    const IoResult got = co_await stream_.read_some(body_.data() + had, room);
    body_.resize(had + got.bytes);
    if (got.error) co_return input_ended();
  }
  co_return Next::proceed;
}

Awaitable<HttpConnection::Next> HttpConnection::read_chunked_body(std::size_t body_max) {
  ChunkLimits limits;
  limits.body_max = body_max;
  limits.trailer_bytes_max = shared_->options.header_bytes_max;
  limits.trailer_fields_max = shared_->options.fields_max;
  ChunkDecoder decoder(limits);
  while (true) {
    std::string_view rest = input_.unread();
    const auto state = decoder.feed(rest, body_);
    input_.consume(input_.unread().size() - rest.size());
    if (state == ChunkDecoder::State::done) co_return Next::proceed;
    if (state == ChunkDecoder::State::refused) co_return refuse(decoder.refusal());
    const bool more = co_await fill();
    if (!more) co_return input_ended();
  }
}

Awaitable<HttpConnection::Next> HttpConnection::read_body() {
  const HttpServerOptions& options = shared_->options;
  if (head_.framing == BodyFraming::none) co_return Next::proceed;
  const std::size_t body_max =
      options.body_max_of ? options.body_max_of(head_.target) : options.body_max;
  if (head_.content_length > body_max) co_return refuse({413, "the body is too large"});
  stream_.expires_at(request_began_ + options.request_limit);
  if (head_.expects_continue && input_.unread().empty()) {
    const IoResult sent = co_await stream_.write("HTTP/1.1 100 Continue\r\n\r\n");
    if (sent.error) co_return Next::close;
  }
  if (head_.framing == BodyFraming::chunked) {
    const Next next = co_await read_chunked_body(body_max);
    co_return next;
  }
  const Next next = co_await read_sized_body();
  co_return next;
}

IncomingRequest HttpConnection::take_request() {
  IncomingRequest request;
  request.method = std::move(head_.method);
  const auto question = head_.target.find('?');
  request.path = head_.target.substr(0, question);
  if (question != std::string::npos) request.query = head_.target.substr(question + 1);
  request.target = std::move(head_.target);
  request.headers = std::move(head_.headers);
  request.body = std::move(body_);
  request.peer = peer_;
  request.tls = tls_;
  request.shard = &shard_;
  return request;
}

Awaitable<HttpResponse> HttpConnection::call_handler(IncomingRequest request) {
  shared_->counters.requests.fetch_add(1, std::memory_order_relaxed);
  try {
    HttpResponse response = co_await shared_->handler(std::move(request));
    co_return response;
  } catch (const boost::system::system_error& error) {
    if (error.code() == boost::asio::error::operation_aborted) throw;
    spdlog::error("a request handler threw error=\"{}\"", error.what());
  } catch (const std::exception& error) {
    spdlog::error("a request handler threw error=\"{}\"", error.what());
  }
  shared_->counters.handler_failures.fetch_add(1, std::memory_order_relaxed);
  co_return problem(500, "", "");
}

Awaitable<bool> HttpConnection::write_response(HttpResponse response, bool head_only,
                                               bool keep_alive) {
  output_.clear();
  append_head(output_, response, keep_alive);
  std::string_view body = response.body;
  if (head_only || response.status == 204 || response.status == 304) body = {};
  if (body.size() <= kCopiedBodyMax) {
    output_ += body;
    body = {};
  }
  stream_.expires_after(shared_->options.request_limit);
  const IoResult sent = co_await stream_.write(output_, body);
  co_return !sent.error;
}

Awaitable<HttpConnection::Next> HttpConnection::serve_one() {
  const Next headed = co_await read_head();
  if (headed != Next::proceed) co_return headed;
  body_.clear();
  const Next read = co_await read_body();
  if (read != Next::proceed) co_return read;
  const bool wants_keep_alive = head_.keep_alive;
  const bool head_only = head_.method == "HEAD";
  // The handler has its own deadlines; the connection's rests meanwhile.
  stream_.clear_deadline();
  HttpResponse response = co_await call_handler(take_request());
  const bool keep_alive = wants_keep_alive && !finishing_;
  const bool written = co_await write_response(std::move(response), head_only, keep_alive);
  if (!written || !keep_alive) co_return Next::close;
  stream_.expires_after(shared_->options.idle_limit);
  co_return Next::proceed;
}

Awaitable<void> HttpConnection::answer_refusal() {
  auto& counters = shared_->counters;
  const int status = refusal_.status;
  const bool too_large = status == 413 || status == 431;
  auto& counter = status == 408 ? counters.timed_out
                  : too_large   ? counters.too_large
                                : counters.refused;
  counter.fetch_add(1, std::memory_order_relaxed);
  co_await write_response(problem(status, "", refusal_.reason), false, false);
}

Awaitable<void> HttpConnection::serve(TlsContextPtr tls) {
  tls_ = tls != nullptr;
  stream_.expires_after(shared_->options.header_limit);
  if (tls) {
    const IoResult shaken = co_await stream_.handshake_as_server(std::move(tls));
    if (shaken.error) co_return;
    stream_.expires_after(shared_->options.header_limit);
  }
  Next next = Next::proceed;
  while (next == Next::proceed) next = co_await serve_one();
  if (next == Next::refused) co_await answer_refusal();
  const bool unread_input = !input_.empty() || stream_.has_pending_input();
  co_await stream_.close_gently(next == Next::refused || unread_input);
}

Awaitable<void> HttpConnection::turn_away(TlsContextPtr tls) {
  // A handshake would cost more than the request that is turned away: TLS clients are just closed.
  if (tls) co_return;
  HttpResponse busy = problem(503, "", "too many connections; try again later");
  busy.headers.emplace_back("Retry-After", "1");
  co_await write_response(std::move(busy), false, false);
  co_await stream_.close_gently(true);
}

void HttpConnection::finish() {
  finishing_ = true;
  if (idle_) stream_.abort();
}

}  // namespace millrace
