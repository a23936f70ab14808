#include "net/http_client.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>

#include "net_test_support.hpp"

namespace millrace {
namespace {

using testing_net::RawConnection;
using testing_net::ScriptedServer;

class HttpClientTest : public ::testing::Test {
 protected:
  ~HttpClientTest() override { stop(); }

  /// Also called by tests whose script uses their locals, so that it ends before them.
  void stop() {
    shard_.stop(seconds(5));
    client_.reset();
    server_.reset();
  }

  /// Serves `script` and makes a client of it.
  void serve(ScriptedServer::Script script, HttpClientOptions options = {}) {
    server_ = std::make_unique<ScriptedServer>(std::move(script));
    make_client(server_->port(), std::move(options));
  }
  void make_client(std::uint16_t port, HttpClientOptions options = {}) {
    options.url = *parse_url("http://127.0.0.1:" + std::to_string(port));
    gate_ = std::make_unique<EgressGate>(std::vector<Url>{options.url});
    auto client = make_http_client(shard_, std::move(options), *gate_);
    ASSERT_TRUE(client);
    client_ = *std::move(client);
    shard_.start();
  }
  Result<HttpResponse> send(HttpRequest request = {}, milliseconds timeout = seconds(10)) {
    return testing_net::send(shard_, *client_, std::move(request), timeout);
  }
  Errc code_of(const Result<HttpResponse>& answer) {
    EXPECT_FALSE(answer) << "an answer with status " << answer->status;
    return answer ? Errc::internal : answer.error().code;
  }

  Shard shard_;
  std::unique_ptr<ScriptedServer> server_;
  std::unique_ptr<EgressGate> gate_;
  std::unique_ptr<HttpClient> client_;
};

HttpRequest post(std::string body) {
  HttpRequest request;
  request.method = "POST";
  request.target = "/orders?x=1";
  request.headers = {{"Content-Type", "application/json"}, {"Host", "evil"}};
  request.body = std::move(body);
  return request;
}

/// A script that reads a whole head and then sends `answer`.
ScriptedServer::Script answering(std::string answer) {
  return [answer = std::move(answer)](RawConnection& connection, int) {
    connection.read_until("\r\n\r\n");
    connection.send(answer);
  };
}

TEST_F(HttpClientTest, SendsOneRequestAndReadsItsAnswer) {
  std::string seen;
  serve([&](RawConnection& connection, int) {
    seen = connection.read_until("{\"a\":1}");
    connection.send(
        "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nX-Id: 7\r\nConnection: close\r\n\r\nok");
  });
  const auto answer = send(post("{\"a\":1}"));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 201);
  EXPECT_EQ(answer->body, "ok");
  EXPECT_EQ(header(answer->headers, "X-Id"), "7");
  const std::string here = "127.0.0.1:" + std::to_string(server_->port());
  stop();
  EXPECT_EQ(seen, "POST /orders?x=1 HTTP/1.1\r\nHost: " + here +
                      "\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}");
}

TEST_F(HttpClientTest, ReadsEveryFormOfBody) {
  const std::vector<std::pair<std::string, std::string>> forms = {
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\nT: "
       "1\r\n\r\n",
       "abc"},
      {"HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end"},
      {"HTTP/1.0 200 OK\r\n\r\n", ""},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
       "x"},
      {"HTTP/1.1 204 No Content\r\n\r\n", ""},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", ""},
      {"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", ""}};
  HttpClientOptions options;
  options.idle_limit = milliseconds(0);  // each form has a connection of its own
  serve(
      [&](RawConnection& connection, int number) {
        connection.read_until("\r\n\r\n");
        connection.send(forms[static_cast<std::size_t>(number)].first);
      },
      options);
  for (std::size_t i = 0; i < forms.size(); ++i) {
    const auto answer = send();
    ASSERT_TRUE(answer) << i << ": " << answer.error().message;
    EXPECT_EQ(answer->body, forms[i].second) << i;
  }
  stop();
}

TEST_F(HttpClientTest, ReadsNoBodyBehindTheAnswerToHead) {
  serve(answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"));
  HttpRequest request;
  request.method = "HEAD";
  const auto answer = send(request);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "");
}

TEST_F(HttpClientTest, ReusesAConnection) {
  serve([](RawConnection& connection, int) {
    while (!connection.read_until("\r\n\r\n").empty()) {
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
  });
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(send());
  EXPECT_EQ(server_->accepted(), 1);
}

TEST_F(HttpClientTest, OpensAFreshConnectionWhenThePooledOneWasClosed) {
  std::promise<void> closed;
  serve([&](RawConnection& connection, int number) {
    connection.read_until("\r\n\r\n");
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + std::to_string(number));
    connection.finish_sending();
    if (number == 0) closed.set_value();
  });
  EXPECT_EQ(send()->body, "0");
  closed.get_future().wait();
  const auto second = send(post("x"));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->body, "1");
  stop();
}

TEST_F(HttpClientTest, NeverReusesAConnectionWithBytesBehindTheAnswer) {
  serve(
      answering("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n"
                "Content-Length: 1\r\n\r\nb"));
  EXPECT_EQ(send()->body, "a");
  EXPECT_EQ(send()->body, "a");
  EXPECT_EQ(server_->accepted(), 2);
}

TEST_F(HttpClientTest, NeverReusesAConnectionWhoseIdlePeerSpoke) {
  std::promise<void> spoke;
  serve([&](RawConnection& connection, int number) {
    connection.read_until("\r\n\r\n");
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
    if (number > 0) return;
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb");
    spoke.set_value();
    connection.read_to_end();
  });
  EXPECT_EQ(send()->body, "a");
  spoke.get_future().wait();
  EXPECT_EQ(send()->body, "a");
  stop();
}

TEST_F(HttpClientTest, CallsACutOrBrokenAnswerUnanswered) {
  const std::vector<std::string> answers = {
      "",
      "HTTP/1.1 200",
      "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab",
      "garbage\r\n\r\n",
      "SSH-2.0-OpenSSH_9.2\r\n",
      std::string("\0\1\2\3", 4),
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
      std::string("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n") +
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"};
  serve([&](RawConnection& connection, int number) {
    connection.read_until("\r\n\r\n");
    connection.send(answers[static_cast<std::size_t>(number)]);
  });
  for (const auto& answer : answers) EXPECT_EQ(code_of(send()), Errc::unanswered) << answer;
  stop();
}

TEST_F(HttpClientTest, CallsAResetAfterTheRequestUnanswered) {
  serve([](RawConnection& connection, int) {
    connection.read_until("\r\n\r\n");
    connection.reset();
  });
  EXPECT_EQ(code_of(send(post("x"))), Errc::unanswered);
}

TEST_F(HttpClientTest, CallsAHangingPeerUnanswered) {
  std::promise<void> over;
  auto done = over.get_future().share();
  serve([done](RawConnection& connection, int number) {
    connection.read_until("\r\n\r\n");
    if (number == 1) connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    connection.read_to_end();
  });
  EXPECT_EQ(code_of(send({}, milliseconds(100))), Errc::unanswered);
  EXPECT_EQ(code_of(send({}, milliseconds(100))), Errc::unanswered);
  over.set_value();
  stop();
}

TEST_F(HttpClientTest, RefusesAnswersBeyondTheLimits) {
  const std::string huge_header = "HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n";
  std::string many_fields = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 201; ++i) many_fields += "X: 1\r\n";
  const std::vector<std::string> answers = {"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
                                            huge_header, many_fields + "\r\n"};
  serve([&](RawConnection& connection, int number) {
    connection.read_until("\r\n\r\n");
    connection.send(answers[static_cast<std::size_t>(number)]);
  });
  for (std::size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(code_of(send()), Errc::too_large) << i;
  stop();
}

TEST_F(HttpClientTest, StopsReadingAnEndlessAnswerAtTheLimit) {
  const std::string chunk = "1000\r\n" + std::string(4096, 'x') + "\r\n";
  std::atomic<std::size_t> sent = 0;
  HttpClientOptions options;
  options.answer_bytes_max = 1 << 20;
  serve(
      [&](RawConnection& connection, int number) {
        connection.read_until("\r\n\r\n");
        connection.send(number == 0 ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                    : "HTTP/1.1 200 OK\r\n\r\n");
        while (connection.send(chunk)) sent += chunk.size();
      },
      options);
  EXPECT_EQ(code_of(send()), Errc::too_large);
  EXPECT_EQ(code_of(send()), Errc::too_large);
  stop();
  EXPECT_GT(sent, 0u);
}

TEST_F(HttpClientTest, TellsThatNobodyListens) {
  std::uint16_t port = 0;
  {
    const ScriptedServer gone([](RawConnection&, int) {});
    port = gone.port();
  }
  make_client(port);
  EXPECT_EQ(code_of(send()), Errc::not_connected);
}

TEST_F(HttpClientTest, WaitsForAConnectionUntilTheDeadline) {
  HttpClientOptions options;
  options.connections_max = 1;
  options.waiting_max = 1;
  std::latch arrived(1);
  std::promise<void> release;
  auto released = release.get_future().share();
  serve(
      [&, released](RawConnection& connection, int) {
        connection.read_until("\r\n\r\n");
        arrived.count_down();
        released.wait();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        while (!connection.read_until("\r\n\r\n").empty()) {
          connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
      },
      options);
  auto first = std::async(std::launch::async, [&] { return send(); });
  arrived.wait();
  EXPECT_EQ(code_of(send({}, milliseconds(50))), Errc::timeout_before_send);
  auto second = std::async(std::launch::async, [&] { return send(); });
  // Whoever of the two comes first waits, the other finds the waiting room full.
  auto third = std::async(std::launch::async, [&] { return send({}, milliseconds(60'000)); });
  while (second.wait_for(seconds(0)) != std::future_status::ready &&
         third.wait_for(seconds(0)) != std::future_status::ready) {
    std::this_thread::yield();
  }
  release.set_value();
  EXPECT_TRUE(first.get());
  const auto two = second.get();
  const auto three = third.get();
  EXPECT_NE(two.has_value(), three.has_value());
  EXPECT_EQ(code_of(two ? three : two), Errc::overloaded);
  EXPECT_EQ(server_->accepted(), 1);
  stop();
}

TEST_F(HttpClientTest, TakesAnAnswerThatComesBeforeTheWholeRequestWasTaken) {
  serve([](RawConnection& connection, int) {
    connection.read_until("\r\n\r\n");
    connection.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
    connection.finish_sending();
    connection.read_to_end();
  });
  const auto answer = send(post(std::string(4'000'000, 'x')));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 413);
}

TEST_F(HttpClientTest, RefusesToWriteWhatWouldBeTwoRequests) {
  serve([](RawConnection&, int) {});
  HttpRequest split;
  split.headers = {{"X", "1\r\nY: 2"}};
  EXPECT_EQ(code_of(send(split)), Errc::invalid_argument);
  HttpRequest name;
  name.headers = {{"X Y", "1"}};
  EXPECT_EQ(code_of(send(name)), Errc::invalid_argument);
  for (const std::string_view target : {"", "x", "/a b", "/a\r\n", "/#x", "/\xc3\xa9", "//a b"}) {
    HttpRequest bad;
    bad.target = target;
    EXPECT_EQ(code_of(send(bad)), Errc::invalid_argument) << target;
  }
  HttpRequest method;
  method.method = "GET / HTTP/1.1";
  EXPECT_EQ(code_of(send(method)), Errc::invalid_argument);
  EXPECT_EQ(server_->accepted(), 0);
}

TEST_F(HttpClientTest, AsksTheGateBeforeItConnects) {
  ScriptedServer canary([](RawConnection&, int) {});
  make_client(canary.port());
  gate_->configure({});
  EXPECT_EQ(code_of(send()), Errc::egress_denied);
  EXPECT_EQ(canary.accepted(), 0);
  EXPECT_EQ(gate_->denials(), 1u);
}

TEST_F(HttpClientTest, GivesUpConnectingToForbiddenAddresses) {
  Url url = *parse_url("http://169.254.169.254");
  gate_ = std::make_unique<EgressGate>(std::vector<Url>{url});
  HttpClientOptions options;
  options.url = url;
  client_ = *make_http_client(shard_, options, *gate_);
  shard_.start();
  EXPECT_EQ(code_of(send()), Errc::egress_denied);
}

TEST_F(HttpClientTest, ResolvesNamesAndReportsUnknownOnes) {
  server_ =
      std::make_unique<ScriptedServer>(answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  const Url here = *parse_url("http://localhost:" + std::to_string(server_->port()));
  const Url nowhere = *parse_url("http://no-such-host.invalid");
  gate_ = std::make_unique<EgressGate>(std::vector<Url>{here, nowhere});
  const auto factory = make_http_client_factory(shard_, *gate_);
  HttpClientSettings settings;
  settings.url = here;
  client_ = *factory(settings);
  shard_.start();
  EXPECT_TRUE(send());
  settings.url = nowhere;
  auto lost = *factory(settings);
  EXPECT_EQ(code_of(testing_net::send(shard_, *lost, {})), Errc::name_resolution);
  stop();
}

TEST_F(HttpClientTest, SurvivesItsShardStoppingInTheMiddle) {
  std::latch arrived(1);
  serve([&](RawConnection& connection, int) {
    connection.read_until("\r\n\r\n");
    arrived.count_down();
    connection.read_to_end();
  });
  auto pending = std::async(std::launch::async, [&] { return send(); });
  arrived.wait();
  EXPECT_TRUE(shard_.stop(seconds(5)));
  EXPECT_EQ(code_of(pending.get()), Errc::unanswered);
  stop();
}

}  // namespace
}  // namespace millrace
