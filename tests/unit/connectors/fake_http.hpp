// An HttpClient in memory, a clock that tests own, and a way to run a coroutine to its end.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "millrace/connector.hpp"
#include "millrace/http.hpp"

namespace millrace::test {

/// Answers every request with `handler`; what was asked is kept.
struct FakeHttp {
  using Handler = std::function<Result<HttpResponse>(const HttpRequest&)>;
  Handler handler;
  std::vector<HttpRequest> requests;
  std::vector<milliseconds> timeouts;
  std::vector<HttpClientSettings> settings;

  std::unique_ptr<HttpClient> client();
  HttpClientFactory factory();
};

class FakeClock final : public Clock {
 public:
  WallTime wall{std::chrono::seconds(1'795'298'744)};  // 2026-11-21 22:05:44 UTC
  BootTime boot{std::chrono::seconds(1000)};
  WallTime wall_now() const override { return wall; }
  BootTime boot_now() const override { return boot; }
};

/// Runs the coroutine on an event loop of its own; fails the program when it never ends.
void run_to_end(Awaitable<void> task);

template <typename T>
Awaitable<void> store_result(Awaitable<T> task, std::optional<T>* out) {
  *out = co_await std::move(task);
}

template <typename T>
T run(Awaitable<T> task) {
  std::optional<T> out;
  run_to_end(store_result(std::move(task), &out));
  return *std::move(out);
}

}  // namespace millrace::test
