#include "fake_http.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>

namespace millrace::test {
namespace {

class Client final : public HttpClient {
 public:
  explicit Client(FakeHttp& fake) : fake_(fake) {}
  Awaitable<Result<HttpResponse>> send(HttpRequest request, milliseconds timeout) override {
    fake_.requests.push_back(request);
    fake_.timeouts.push_back(timeout);
    co_return fake_.handler(request);
  }

 private:
  FakeHttp& fake_;
};

}  // namespace

std::unique_ptr<HttpClient> FakeHttp::client() {
  return std::make_unique<Client>(*this);
}

HttpClientFactory FakeHttp::factory() {
  return [this](HttpClientSettings wanted) -> Result<std::unique_ptr<HttpClient>> {
    settings.push_back(std::move(wanted));
    return client();
  };
}

void run_to_end(Awaitable<void> task) {
  boost::asio::io_context context;
  bool ended = false;
  boost::asio::co_spawn(context, std::move(task), [&ended](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
    ended = true;
  });
  context.run();
  MILLRACE_INVARIANT(ended);
}

}  // namespace millrace::test
