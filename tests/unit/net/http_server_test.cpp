#include "net/http_server.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "http_vectors.hpp"
#include "net/problem.hpp"
#include "net_test_support.hpp"

namespace millrace {
namespace {

using testing_net::RawConnection;

/// What the handlers of these tests do and note; outlives the server.
struct Site {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<IncomingRequest> requests;
  bool held = false;  ///< requests to /hold wait until it is false

  std::size_t count() {
    const std::lock_guard lock(mutex);
    return requests.size();
  }
  IncomingRequest last() {
    const std::lock_guard lock(mutex);
    return requests.back();
  }
  void await_count(std::size_t wanted) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return requests.size() >= wanted; });
  }
  bool is_held() {
    const std::lock_guard lock(mutex);
    return held;
  }
  void hold(bool on) {
    const std::lock_guard lock(mutex);
    held = on;
  }
};

Awaitable<HttpResponse> handle(Site* site, IncomingRequest request) {
  HttpResponse response;
  response.body = request.method + " " + request.target + " " + request.body;
  const std::string path = request.path;
  {
    const std::lock_guard lock(site->mutex);
    site->requests.push_back(std::move(request));
  }
  site->changed.notify_all();
  if (path == "/hold") {
    while (site->is_held()) co_await sleep_for(milliseconds(1));
  }
  if (path == "/throw") throw std::runtime_error("a secret of the inside");
  if (path == "/empty") {
    response.status = 204;
    response.body.clear();
  }
  if (path == "/big") response.body = std::string(3'000'000, 'b');
  if (path == "/split") {
    response.headers.emplace_back("X-Bad", "1\r\nX-Injected: 2");
    response.headers.emplace_back("X-Good", "1");
    response.headers.emplace_back("Content-Length", "5");
  }
  co_return response;
}

class HttpServerTest : public ::testing::Test {
 protected:
  ~HttpServerTest() override {
    site_.hold(false);
    if (server_) server_->stop(seconds(5));
    server_.reset();
  }

  void start(HttpServerOptions options = {}) {
    shards_.start();
    auto server = make_http_server(
        shards_.all(), std::move(options),
        [this](IncomingRequest request) { return handle(&site_, std::move(request)); });
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
    server_->start();
  }
  RawConnection connect() { return RawConnection(server_->port()); }
  std::string ask(std::string_view bytes) {
    auto connection = connect();
    connection.send(bytes);
    const std::string answer = connection.read_to_end();
    EXPECT_FALSE(connection.timed_out()) << "the connection stayed open";
    return answer;
  }

  Site site_;
  ShardSet shards_{1};
  std::unique_ptr<HttpServer> server_;
};

int status_of(std::string_view answer) {
  return answer.starts_with("HTTP/1.1 ") ? std::stoi(std::string(answer.substr(9, 3))) : 0;
}

constexpr std::string_view kSecond = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";

TEST_F(HttpServerTest, RefusesEveryVectorAndExecutesNothingBehindIt) {
  start();
  for (const auto& vector : testing_net::kRefused) {
    const std::string answer = ask(std::string(vector.bytes) + std::string(kSecond));
    EXPECT_GE(status_of(answer), 400) << vector.name << ": " << answer;
    EXPECT_LT(status_of(answer), 600) << vector.name;
    EXPECT_TRUE(answer.contains("Connection: close\r\n")) << vector.name;
    EXPECT_TRUE(answer.contains("application/problem+json")) << vector.name;
    EXPECT_EQ(answer.find("\nHTTP/1.1"), std::string::npos) << vector.name << ": " << answer;
  }
  EXPECT_EQ(site_.count(), 0u);
  EXPECT_EQ(server_->counters().refused + server_->counters().too_large,
            testing_net::kRefused.size());
}

TEST_F(HttpServerTest, AnswersEveryValidVectorAndTheRequestBehindIt) {
  start();
  std::size_t wanted = 0;
  for (const auto& vector : testing_net::kValid) {
    if (vector.bytes.contains("HTTP/1.0")) continue;
    const std::string answer = ask(std::string(vector.bytes) +
                                   "GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_of(answer), 200) << vector.name << ": " << answer;
    EXPECT_TRUE(answer.ends_with("GET /second ")) << vector.name << ": " << answer;
    wanted += 2;
    EXPECT_EQ(site_.count(), wanted) << vector.name;
  }
}

TEST_F(HttpServerTest, HandsOverTheWholeRequest) {
  start();
  const std::string answer =
      ask("POST /a/b?c=d HTTP/1.1\r\nHost: a\r\nX-Y: z\r\nTransfer-Encoding: chunked\r\n"
          "Connection: close\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n");
  EXPECT_EQ(status_of(answer), 200);
  const IncomingRequest request = site_.last();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, "/a/b?c=d");
  EXPECT_EQ(request.path, "/a/b");
  EXPECT_EQ(request.query, "c=d");
  EXPECT_EQ(request.body, "abcde");
  EXPECT_EQ(request.peer, "127.0.0.1");
  EXPECT_EQ(header(request.headers, "X-Y"), "z");
  EXPECT_EQ(header(request.headers, "X-Trailer"), std::nullopt);
  EXPECT_FALSE(request.tls);
  EXPECT_EQ(request.shard, &shards_.at(0));
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrderOnOneConnection) {
  start();
  std::string requests;
  for (int i = 0; i < 100; ++i) {
    requests +=
        "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok";
  }
  requests += "GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  const std::string answer = ask(requests);
  std::size_t at = 0;
  for (int i = 0; i < 100; ++i) {
    at = answer.find("POST /" + std::to_string(i) + " ok", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_EQ(server_->counters().accepted, 1u);
}

TEST_F(HttpServerTest, KeepsTheConnectionAndLeavesItWhenAsked) {
  start();
  auto connection = connect();
  connection.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(connection.read_until("GET /1 ").contains("Content-Length: 7\r\n"));
  connection.send("GET /2 HTTP/1.0\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(connection.read_to_end().contains("Connection: close\r\n"));
}

TEST_F(HttpServerTest, AnswersHeadWithoutABody) {
  start();
  const std::string answer = ask("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(answer.contains("Content-Length: 7\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
  const std::string empty = ask("GET /empty HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(status_of(empty), 204);
  EXPECT_FALSE(empty.contains("Content-Length"));
}

TEST_F(HttpServerTest, SendsALargeAnswerWhole) {
  start();
  const std::string answer = ask("GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 3'000'000u);
}

TEST_F(HttpServerTest, DoesNotLetAHandlerSplitTheAnswer) {
  start();
  const std::string answer = ask("GET /split HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_FALSE(answer.contains("X-Injected"));
  EXPECT_TRUE(answer.contains("X-Good: 1\r\n"));
  EXPECT_EQ(answer.find("Content-Length"), answer.rfind("Content-Length"));
}

TEST_F(HttpServerTest, TurnsAThrowingHandlerInto500WithoutInternals) {
  start();
  auto connection = connect();
  connection.send("GET /throw HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string answer = connection.read_until("}");
  EXPECT_EQ(status_of(answer), 500);
  EXPECT_FALSE(answer.contains("secret"));
  EXPECT_EQ(server_->counters().handler_failures, 1u);
}

TEST_F(HttpServerTest, RefusesABodyBeyondTheLimitBeforeReadingIt) {
  HttpServerOptions options;
  options.body_max = 1000;
  options.body_max_of = [](std::string_view target) {
    return target.starts_with("/large") ? 2000u : 1000u;
  };
  start(options);
  EXPECT_EQ(status_of(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n")), 413);
  EXPECT_EQ(status_of(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000000\r\n"
                          "Expect: 100-continue\r\n\r\n")),
            413);
  EXPECT_EQ(
      status_of(ask("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n")),
      413);
  EXPECT_EQ(site_.count(), 0u);
  EXPECT_EQ(status_of(ask("POST /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                          "Content-Length: 2000\r\n\r\n" +
                          std::string(2000, 'x'))),
            200);
  EXPECT_EQ(site_.last().body.size(), 2000u);
}

TEST_F(HttpServerTest, TellsTheSenderOfAnOversizedBodyEvenWhileItSends) {
  HttpServerOptions options;
  options.body_max = 1000;
  start(options);
  const std::string answer = ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" +
                                 std::string(100'000, 'x'));
  EXPECT_EQ(status_of(answer), 413);
}

TEST_F(HttpServerTest, InvitesTheBodyOfAClientThatAsksFirst) {
  start();
  auto connection = connect();
  connection.send(
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(connection.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  connection.send("abc");
  EXPECT_TRUE(connection.read_until("POST / abc").starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpServerTest, EndsASlowHeaderAndASlowBody) {
  HttpServerOptions options;
  options.header_limit = milliseconds(1000);
  options.request_limit = milliseconds(2000);
  start(options);
  EXPECT_EQ(status_of(ask("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")), 408);
  EXPECT_EQ(status_of(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")), 408);
  EXPECT_EQ(
      status_of(ask("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")),
      408);
  EXPECT_EQ(site_.count(), 0u);
  EXPECT_EQ(server_->counters().timed_out, 3u);
}

TEST_F(HttpServerTest, EndsABodyThatTricklesForEver) {
  HttpServerOptions options;
  options.request_limit = milliseconds(200);
  start(options);
  auto connection = connect();
  connection.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  std::jthread trickle([&](const std::stop_token& stop) {
    while (!stop.stop_requested() && connection.send("1\r\na\r\n")) std::this_thread::yield();
  });
  const std::string answer = connection.read_to_end();
  trickle.request_stop();
  // A sender that never pauses may see the reset before the answer; either way it is over.
  EXPECT_FALSE(connection.timed_out());
  EXPECT_EQ(site_.count(), 0u);
}

TEST_F(HttpServerTest, ClosesIdleConnectionsWithoutAWord) {
  HttpServerOptions options;
  options.header_limit = milliseconds(1000);
  options.idle_limit = milliseconds(100);
  start(options);
  EXPECT_EQ(ask(""), "");
  auto connection = connect();
  connection.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(connection.read_to_end().ends_with("GET /1 "));
  EXPECT_FALSE(connection.timed_out());
  EXPECT_EQ(server_->counters().timed_out, 0u);
}

TEST_F(HttpServerTest, TurnsConnectionsAwayBeyondTheLimit) {
  HttpServerOptions options;
  options.connections_max = 2;
  start(options);
  auto first = connect();
  auto second = connect();
  for (auto* connection : {&first, &second}) {
    connection->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    connection->read_until("GET / ");
  }
  const std::string answer = ask("");
  EXPECT_EQ(status_of(answer), 503);
  EXPECT_TRUE(answer.contains("Retry-After: 1\r\n"));
  EXPECT_EQ(server_->counters().over_connections, 1u);
  first.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(status_of(first.read_to_end()), 200);
}

TEST_F(HttpServerTest, FinishesRunningRequestsAndClosesIdleOnesWhenItStops) {
  start();
  site_.hold(true);
  auto idle = connect();
  idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  idle.read_until("GET / ");
  auto busy = connect();
  busy.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
  site_.await_count(2);
  std::jthread stopper([&] { EXPECT_TRUE(server_->stop(seconds(30))); });
  EXPECT_EQ(idle.read_to_end(), "");
  site_.hold(false);
  const std::string answer = busy.read_to_end();
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_TRUE(answer.contains("Connection: close\r\n"));
}

TEST_F(HttpServerTest, CutsRequestsThatRunBeyondTheDeadlineOfAStop) {
  start();
  site_.hold(true);
  auto busy = connect();
  busy.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
  site_.await_count(1);
  EXPECT_FALSE(server_->stop(milliseconds(50)));
  EXPECT_EQ(busy.read_to_end(), "");
}

TEST(HttpServer, ServesOnEveryShardAndSaysWhenThePortIsTaken) {
  ShardSet shards(2);
  shards.start();
  Site site;
  const auto handler = [&](IncomingRequest request) { return handle(&site, std::move(request)); };
  auto server = make_http_server(shards.all(), {}, handler);
  ASSERT_TRUE(server);
  (*server)->start();
  for (int i = 0; i < 32; ++i) {
    RawConnection connection((*server)->port());
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(status_of(connection.read_until("GET / ")), 200);
  }
  HttpServerOptions same;
  same.port = (*server)->port();
  for (const auto& wanted : {shards.all(), std::vector<Shard*>{&shards.at(0)}}) {
    const auto second = make_http_server(wanted, same, handler);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::conflict);
    EXPECT_TRUE(second.error().message.contains("127.0.0.1 port " + std::to_string(same.port)));
  }
  EXPECT_TRUE((*server)->stop(seconds(5)));
  EXPECT_TRUE(make_http_server(shards.all(), same, handler));
}

TEST(HttpServer, RefusesAnAddressThatIsNone) {
  ShardSet shards(1);
  HttpServerOptions options;
  options.address = "example.com";
  const auto server = make_http_server(shards.all(), options, nullptr);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, Errc::config);
}

TEST_F(HttpServerTest, AcceptsAgainAfterRunningOutOfDescriptors) {
  start();
  std::vector<RawConnection> waiting;
  for (int i = 0; i < 4; ++i) waiting.push_back(RawConnection::unconnected());
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none = {3, before.rlim_max};
  // Nothing may fail, print or open files while no descriptor is to be had.
  bool connected = setrlimit(RLIMIT_NOFILE, &none) == 0;
  for (auto& connection : waiting) connected = connection.connect(server_->port()) && connected;
  const auto& failures = server_->counters().accept_failures;
  while (failures < 2) std::this_thread::yield();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(connected);
  for (auto& connection : waiting) {
    connection.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_of(connection.read_to_end()), 200);
  }
  // Backing off means a handful of attempts, not a spin.
  EXPECT_LT(failures, 100u);
}

TEST(Problem, EscapesWhatItSays) {
  const HttpResponse answer = problem(422, "", "a \"quoted\"\n\\ thing");
  EXPECT_EQ(answer.status, 422);
  EXPECT_EQ(header(answer.headers, "content-type"), "application/problem+json");
  EXPECT_EQ(answer.body,
            "{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\",\"status\":422,"
            "\"detail\":\"a \\\"quoted\\\"\\u000a\\\\ thing\"}\n");
}

}  // namespace
}  // namespace millrace
