#include "connectors/http/http_sink.hpp"

#include <algorithm>
#include <utility>

#include "connectors/http/http_answer.hpp"
#include "connectors/http/http_auth.hpp"

namespace millrace::connectors {
namespace {

constexpr std::string_view kUserAgent = "millrace/" MILLRACE_VERSION;
constexpr milliseconds kCheckTimeout{10'000};

void add_header(HttpHeaders& headers, std::string_view name, std::string_view value) {
  if (!header(headers, name)) headers.emplace_back(name, value);
}

std::string below(const Url& url, std::string_view path) {
  if (path.empty()) return url.base_path.empty() ? "/" : url.base_path;
  return url.base_path + (path.front() == '/' ? "" : "/") + std::string(path);
}

}  // namespace

HttpRequest prepare_request(Delivery delivery, const Url& url, const HttpOptions& options,
                            WallTime now) {
  HttpRequest request = std::move(delivery.request);
  request.target = below(url, request.target);
  if (!request.body.empty()) add_header(request.headers, "Content-Type", "application/json");
  add_header(request.headers, "User-Agent", kUserAgent);
  if (!delivery.idempotency_key.empty()) {
    add_header(request.headers, "Idempotency-Key", delivery.idempotency_key);
  }
  if (options.auth) authenticate(request, *options.auth, delivery.idempotency_key, now);
  return request;
}

HttpSink::HttpSink(std::unique_ptr<HttpClient> client, Url url, HttpOptions options,
                   const Clock& clock)
    : client_(std::move(client)),
      url_(std::move(url)),
      options_(std::move(options)),
      clock_(clock) {}

milliseconds HttpSink::limit(milliseconds asked) const {
  return options_.timeout ? std::min(*options_.timeout, asked) : asked;
}

Awaitable<Outcome> HttpSink::deliver(Delivery delivery) {
  const milliseconds timeout = limit(delivery.timeout);
  HttpRequest request = prepare_request(std::move(delivery), url_, options_, clock_.wall_now());
  auto answer = co_await client_->send(std::move(request), timeout);
  if (!answer) co_return judge_failure(answer.error());
  co_return judge_answer(*std::move(answer), clock_.wall_now());
}

Awaitable<Outcome> HttpSink::check() {
  Delivery probe;
  probe.request.target = options_.check_path;
  probe.idempotency_key = "check";
  HttpRequest request = prepare_request(std::move(probe), url_, options_, clock_.wall_now());
  auto answer = co_await client_->send(std::move(request), limit(kCheckTimeout));
  if (!answer) {
    // A check changes nothing, so silence is a target that is not there, not an unknown outcome.
    Outcome outcome = judge_failure(answer.error());
    outcome.kind = Outcome::Kind::again;
    outcome.scope = Outcome::Scope::target;
    co_return outcome;
  }
  co_return judge_check(*std::move(answer), clock_.wall_now());
}

}  // namespace millrace::connectors
