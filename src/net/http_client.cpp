#include "net/http_client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/error.hpp>
#include <optional>

#include "net/ascii.hpp"
#include "net/connection_pool.hpp"
#include "net/http_wire.hpp"
#include "net/input_buffer.hpp"

namespace millrace {

namespace {

using std::chrono::steady_clock;

constexpr std::size_t kCopiedBodyMax = 16 * 1024;
constexpr int kInterimAnswersMax = 8;
constexpr std::size_t kAnswerChunksMax = 1 << 20;
/// How long an answer is awaited after the peer stopped taking the request.
constexpr milliseconds kEarlyAnswerLimit{1'000};

/// Reads one answer from a stream. Lives inside one coroutine frame.
class AnswerReader {
 public:
  AnswerReader(Stream& stream, const HttpClientOptions& options, bool answers_head)
      : stream_(stream), options_(options), answers_head_(answers_head) {}

  Awaitable<Result<HttpResponse>> read();
  /// The connection stands right after the answer and the peer will take another request.
  bool reusable() const { return reusable_; }

 private:
  Awaitable<Result<HttpResponseHead>> read_head();
  Awaitable<Result<std::string>> read_sized(std::uint64_t size);
  Awaitable<Result<std::string>> read_chunked();
  Awaitable<Result<std::string>> read_until_close();
  Error ended(const IoResult& got, std::string_view where) const;
  Error too_large(std::string_view what, std::size_t limit) const;

  Stream& stream_;
  const HttpClientOptions& options_;
  bool answers_head_;
  InputBuffer input_;
  bool reusable_ = false;
};

Error AnswerReader::ended(const IoResult& got, std::string_view where) const {
  const std::string why =
      stream_.timed_out() ? "its time ran out" : "the connection ended: " + got.error.message();
  return Error(Errc::unanswered, fmt::format("{}:{} sent no complete answer ({}): {}",
                                             options_.url.host, options_.url.port, where, why));
}

Error AnswerReader::too_large(std::string_view what, std::size_t limit) const {
  return Error(
      Errc::too_large,
      fmt::format("the answer of {}:{} is larger than {} bytes of {}; what the request did "
                  "there is unknown",
                  options_.url.host, options_.url.port, limit, what));
}

Error malformed(const HttpClientOptions& options, std::string_view reason) {
  return Error(Errc::unanswered, fmt::format("the answer of {}:{} breaks HTTP/1.1: {}",
                                             options.url.host, options.url.port, reason));
}

Awaitable<Result<HttpResponseHead>> AnswerReader::read_head() {
  const HttpHeadLimits limits{options_.answer_header_max, options_.answer_fields_max};
  HeadScanner scanner(limits);
  while (true) {
    const auto state = scanner.scan(input_.unread());
    if (state == HeadScanner::State::complete) break;
    if (state == HeadScanner::State::refused) {
      const auto refusal = scanner.refusal();
      if (refusal.status != 400) {
        co_return std::unexpected(too_large("header", limits.bytes_max));
      }
      co_return std::unexpected(malformed(options_, refusal.reason));
    }
    const IoResult got = co_await input_.fill(stream_);
    if (got.error) co_return std::unexpected(ended(got, "before its header was whole"));
  }
  auto head = parse_response_head(input_.unread().substr(0, scanner.end()), limits, answers_head_);
  input_.consume(scanner.end());
  if (!head) {
    if (head.error().status == 431) {
      co_return fail(Errc::too_large,
                     fmt::format("the answer of {}:{} has more than {} fields", options_.url.host,
                                 options_.url.port, limits.fields_max));
    }
    co_return std::unexpected(malformed(options_, head.error().reason));
  }
  co_return *std::move(head);
}

Awaitable<Result<std::string>> AnswerReader::read_sized(std::uint64_t size) {
  if (size > options_.answer_bytes_max) {
    co_return std::unexpected(too_large("body", options_.answer_bytes_max));
  }
  const auto wanted = static_cast<std::size_t>(size);
  const std::string_view here = input_.unread().substr(0, wanted);
  std::string body(here);
  input_.consume(here.size());
  while (body.size() < wanted) {
    // Grows with what arrives, so that announcing a large body costs no memory.
    const std::size_t had = body.size();
    const std::size_t room = std::min(wanted - had, std::max<std::size_t>(64 * 1024, had));
    body.resize(had + room);
    const IoResult got = co_await stream_.read_some(body.data() + had, room);
    body.resize(had + got.bytes);
    if (got.error) co_return std::unexpected(ended(got, "in the middle of its body"));
  }
  co_return body;
}

Awaitable<Result<std::string>> AnswerReader::read_chunked() {
  ChunkLimits limits;
  limits.body_max = options_.answer_bytes_max;
  limits.chunks_max = kAnswerChunksMax;
  ChunkDecoder decoder(limits);
  std::string body;
  while (true) {
    std::string_view rest = input_.unread();
    const auto state = decoder.feed(rest, body);
    input_.consume(input_.unread().size() - rest.size());
    if (state == ChunkDecoder::State::done) co_return body;
    if (state == ChunkDecoder::State::refused) {
      const auto refusal = decoder.refusal();
      if (refusal.status == 413) {
        co_return std::unexpected(too_large("body", options_.answer_bytes_max));
      }
      co_return std::unexpected(malformed(options_, refusal.reason));
    }
    const IoResult got = co_await input_.fill(stream_);
    if (got.error) co_return std::unexpected(ended(got, "in the middle of its body"));
  }
}

Awaitable<Result<std::string>> AnswerReader::read_until_close() {
  std::string body(input_.unread());
  input_.consume(input_.unread().size());
  while (true) {
    if (body.size() > options_.answer_bytes_max) {
      co_return std::unexpected(too_large("body", options_.answer_bytes_max));
    }
    const IoResult got = co_await input_.fill(stream_);
    body += input_.unread();
    input_.consume(input_.unread().size());
    // Under TLS only a proper end counts: a cut connection reports another error.
    if (got.error == boost::asio::error::eof) break;
    if (got.error) co_return std::unexpected(ended(got, "in the middle of its body"));
  }
  if (body.size() > options_.answer_bytes_max) {
    co_return std::unexpected(too_large("body", options_.answer_bytes_max));
  }
  co_return body;
}

Awaitable<Result<HttpResponse>> AnswerReader::read() {
  std::optional<HttpResponseHead> head;
  for (int interim = 0; !head || head->status < 200; ++interim) {
    if (interim > kInterimAnswersMax) {
      co_return std::unexpected(malformed(options_, "too many interim answers"));
    }
    MILLRACE_CO_TRY(next, co_await read_head());
    if (next.status == 101) {
      co_return std::unexpected(malformed(options_, "it switches protocols unasked"));
    }
    head = std::move(next);
  }
  Result<std::string> body = std::string();
  switch (head->framing) {
    case BodyFraming::none:
      break;
    case BodyFraming::length:
      body = co_await read_sized(head->content_length);
      break;
    case BodyFraming::chunked:
      body = co_await read_chunked();
      break;
    case BodyFraming::until_close:
      body = co_await read_until_close();
      break;
  }
  if (!body) co_return std::unexpected(std::move(body).error());
  // Bytes beyond the answer belong to no request: such a connection is not used again.
  reusable_ = head->keep_alive && input_.empty();
  HttpResponse response;
  response.status = head->status;
  response.headers = std::move(head->headers);
  response.body = *std::move(body);
  co_return response;
}

bool is_written_by_client(std::string_view name) {
  static constexpr std::array<std::string_view, 7> kOwn = {
      "host", "content-length", "connection", "transfer-encoding", "upgrade", "expect", "te"};
  return std::ranges::any_of(kOwn,
                             [&](std::string_view own) { return equal_ignoring_case(name, own); });
}

/// The head's bytes; Errc::invalid_argument for what would not be one message.
Result<std::string> write_head(const HttpRequest& request, const std::string& authority) {
  if (!is_token(request.method)) {
    return fail(Errc::invalid_argument, "the request's method is malformed");
  }
  const bool visible =
      std::ranges::all_of(request.target, [](char c) { return c > 0x20 && c < 0x7f && c != '#'; });
  if (!visible || !request.target.starts_with('/')) {
    return fail(Errc::invalid_argument,
                "a request's target starts with '/' and is percent-encoded, without '#'");
  }
  std::string head;
  head.reserve(512 + (request.body.size() <= kCopiedBodyMax ? request.body.size() : 0));
  head.append(request.method).append(" ").append(request.target);
  head.append(" HTTP/1.1\r\nHost: ").append(authority).append("\r\n");
  for (const auto& [name, value] : request.headers) {
    if (is_written_by_client(name)) continue;
    if (!is_writable_field(name, value)) {
      return fail(Errc::invalid_argument,
                  "a request's header field has a malformed name or control bytes in its value");
    }
    head.append(name).append(": ").append(value).append("\r\n");
  }
  const bool has_body = !request.body.empty() || request.method == "POST" ||
                        request.method == "PUT" || request.method == "PATCH";
  if (has_body) {
    fmt::format_to(std::back_inserter(head), "Content-Length: {}\r\n", request.body.size());
  }
  head += "\r\n";
  return head;
}

class PooledClient final : public HttpClient {
 public:
  PooledClient(std::shared_ptr<ConnectionPool> pool)
      : pool_(std::move(pool)), authority_(pool_->options().url.authority()) {}

  Awaitable<Result<HttpResponse>> send(HttpRequest request, milliseconds timeout) override {
    return run(pool_, authority_, std::move(request), steady_clock::now() + timeout);
  }

 private:
  static Awaitable<Result<HttpResponse>> run(std::shared_ptr<ConnectionPool> pool,
                                             std::string authority, HttpRequest request,
                                             SteadyTime until);

  std::shared_ptr<ConnectionPool> pool_;
  std::string authority_;
};

/// What one exchange on one connection came to.
struct Exchange {
  Result<HttpResponse> answer;
  bool nothing_sent = false;
  bool reusable = false;
};

Awaitable<Exchange> exchange(Stream* stream, const HttpClientOptions* options,
                             std::string_view head, std::string_view body, bool answers_head,
                             SteadyTime until) {
  stream->expires_at(until);
  const IoResult sent = co_await stream->write(head, body);
  const bool timed_out = stream->timed_out();
  if (sent.error && sent.bytes == 0) {
    const Errc code = timed_out ? Errc::timeout_before_send : Errc::not_connected;
    Error error(code, fmt::format("{}:{} took nothing of the request: {}", options->url.host,
                                  options->url.port, sent.error.message()));
    co_return Exchange{std::unexpected(std::move(error)), true, false};
  }
  if (sent.error) {
    if (timed_out) {
      Error error(Errc::unanswered, fmt::format("{}:{} did not take the whole request in time",
                                                options->url.host, options->url.port));
      co_return Exchange{std::unexpected(std::move(error)), false, false};
    }
    // The peer may have answered early, a 413 for example, and stopped reading.
    stream->expires_at(std::min(until, steady_clock::now() + kEarlyAnswerLimit));
  }
  AnswerReader reader(*stream, *options, answers_head);
  auto answer = co_await reader.read();
  const bool reusable = answer.has_value() && reader.reusable() && !sent.error;
  co_return Exchange{std::move(answer), false, reusable};
}

Awaitable<Result<HttpResponse>> PooledClient::run(std::shared_ptr<ConnectionPool> pool,
                                                  std::string authority, HttpRequest request,
                                                  SteadyTime until) {
  const HttpClientOptions& options = pool->options();
  MILLRACE_CO_TRY(head, write_head(request, authority));
  std::string_view body = request.body;
  if (body.size() <= kCopiedBodyMax) {
    head += body;
    body = {};
  }
  const bool answers_head = request.method == "HEAD";
  MILLRACE_CO_TRY(lease, co_await pool->acquire(until));
  bool pooled = lease.take_idle();
  while (true) {
    if (!pooled) {
      MILLRACE_CO_TRY(stream, co_await pool->open(until));
      lease.adopt(std::move(stream));
    }
    Exchange done = co_await exchange(&lease.stream(), &options, head, body, answers_head, until);
    // A pooled connection that took no byte was stale; a fresh one tells what is the matter.
    const bool stale =
        pooled && done.nothing_sent && done.answer.error().code == Errc::not_connected;
    if (!stale) {
      if (done.reusable) lease.keep();
      co_return std::move(done.answer);
    }
    lease.discard();
    pooled = false;
  }
}

}  // namespace

Result<std::unique_ptr<HttpClient>> make_http_client(Shard& shard, HttpClientOptions options,
                                                     const EgressGate& gate) {
  if (options.url.host.empty() || options.connections_max == 0) {
    return fail(Errc::invalid_argument, "a client needs a host and at least one connection");
  }
  if (options.url.tls && !options.tls) {
    MILLRACE_TRY(tls, make_tls_client_context({}));
    options.tls = std::move(tls);
  }
  auto pool = std::make_shared<ConnectionPool>(shard, std::move(options), gate);
  return std::make_unique<PooledClient>(std::move(pool));
}

HttpClientFactory make_http_client_factory(Shard& shard, const EgressGate& gate) {
  return [&shard, &gate](HttpClientSettings settings) -> Result<std::unique_ptr<HttpClient>> {
    HttpClientOptions options;
    if (settings.url.tls) {
      MILLRACE_TRY(tls, make_tls_client_context(
                            {settings.ca_file, settings.certificate_file, settings.key_file}));
      options.tls = std::move(tls);
    }
    options.url = std::move(settings.url);
    options.connections_max = settings.connections_max;
    options.connect_limit = settings.connect_timeout;
    options.answer_bytes_max = settings.answer_bytes_max;
    return make_http_client(shard, std::move(options), gate);
  };
}

}  // namespace millrace
