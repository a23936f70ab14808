#include "admin/admin_api.hpp"

#include <gtest/gtest.h>

#include <future>

namespace millrace::admin {
namespace {

const std::string kToken(64, 'a');

Awaitable<Result<Json>> echo(Json args) {
  co_return args;
}
Awaitable<Result<Json>> refuse(Json) {
  co_return fail(Errc::conflict, "superseded \"by\" rev 7");
}

Awaitable<void> run_into(Awaitable<HttpResponse> task, std::promise<HttpResponse>& promise) {
  HttpResponse response = co_await std::move(task);
  promise.set_value(std::move(response));
}

class AdminApiTest : public ::testing::Test {
 protected:
  AdminApiTest() {
    AdminApi::Options options;
    options.token = kToken;
    options.probes.ready = [this]() -> Result<std::string> {
      if (ready) return note;
      return fail(Errc::stopping, "starting: 3 journals to read");
    };
    options.probes.metrics = []() -> Awaitable<std::string> { co_return "millrace_x_total 1\n"; };
    api = std::make_unique<AdminApi>(std::move(options));
    for (const char* name : {"status", "where", "dead.show", "routes.pause", "keys.list",
                             "keys.create", "keys.revoke"}) {
      api->add(operation(name, echo));
    }
    api->add(operation("dead.resubmit", refuse));
    shard.start();
  }
  ~AdminApiTest() override { shard.stop(seconds(10)); }

  HttpResponse send(std::string method, std::string target, std::string body = "",
                    HttpHeaders headers = {{"authorization", "Bearer " + kToken},
                                           {"content-type", "application/json"}}) {
    IncomingRequest request;
    request.method = std::move(method);
    request.target = target;
    request.path = target.substr(0, target.find('?'));
    if (target.find('?') != target.npos) request.query = target.substr(target.find('?') + 1);
    request.headers = std::move(headers);
    request.body = std::move(body);
    request.shard = &shard;
    std::promise<HttpResponse> promise;
    shard.spawn("request", run_into(api->handler()(std::move(request)), promise));
    return promise.get_future().get();
  }

  std::string note;
  bool ready = true;
  std::unique_ptr<AdminApi> api;
  Shard shard{"test"};
};

TEST_F(AdminApiTest, MergesPathQueryAndBodyIntoOneObject) {
  const auto paused = send("POST", "/admin/v1/routes/order%2Fto%20mes/pause", R"({"reason":"r"})");
  EXPECT_EQ(paused.status, 200);
  EXPECT_EQ(paused.body, "{\"name\":\"order/to mes\",\"reason\":\"r\"}\n");
  EXPECT_EQ(header(paused.headers, "content-type"), "application/json");
  EXPECT_EQ(send("GET", "/admin/v1/where?key=a%2Fb+c%2B").body, "{\"key\":\"a/b c+\"}\n");
  EXPECT_EQ(send("GET", "/admin/v1/status").body, "{}\n");
}

TEST_F(AdminApiTest, RefusesAnArgumentGivenTwiceAndBodiesThatAreNoObject) {
  EXPECT_EQ(send("POST", "/admin/v1/routes/a/pause", R"({"name":"b"})").status, 400);
  EXPECT_EQ(send("GET", "/admin/v1/where?key=a&key=b").status, 400);
  EXPECT_EQ(send("GET", "/admin/v1/where?key=%zz").status, 400);
  EXPECT_EQ(send("POST", "/admin/v1/routes/a/pause", "[]").status, 400);
  EXPECT_EQ(send("POST", "/admin/v1/routes/a/pause", "{").status, 400);
  EXPECT_EQ(send("POST", "/admin/v1/routes/a/pause", "{}",
                 {{"authorization", "Bearer " + kToken}, {"content-type", "text/plain"}})
                .status,
            415);
}

TEST_F(AdminApiTest, NeedsTheTokenForEverythingUnderAdmin) {
  for (const char* target : {"/admin/v1/status", "/admin", "/admin/", "/admin/v1/nothing"}) {
    for (const std::string& given :
         {std::string(), "Bearer " + std::string(64, 'b'), "Bearer " + kToken + "x",
          "Basic " + kToken, kToken, "Bearer " + kToken.substr(1)}) {
      const auto refused = send("GET", target, "", {{"authorization", given}});
      EXPECT_EQ(refused.status, 401) << target << given;
      EXPECT_EQ(header(refused.headers, "www-authenticate"), "Bearer");
      EXPECT_EQ(header(refused.headers, "content-type"), "application/problem+json");
    }
  }
  EXPECT_EQ(send("GET", "/admin/v1/status", "", {{"authorization", "bearer " + kToken}}).status,
            200);
}

TEST_F(AdminApiTest, TellsUnknownFromNotAllowed) {
  EXPECT_EQ(send("GET", "/admin/v1/nothing").status, 404);
  EXPECT_EQ(send("GET", "/admin/v1/status/").status, 404);
  EXPECT_EQ(send("GET", "/admin/v1/dead//").status, 404);
  const auto refused = send("DELETE", "/admin/v1/keys");
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(header(refused.headers, "allow"), "GET, POST");
}

TEST_F(AdminApiTest, AnswersErrorsAsProblemsWithTheirCode) {
  const auto refused = send("POST", "/admin/v1/dead/7/resubmit", "{}");
  EXPECT_EQ(refused.status, 409);
  const auto body = parse_json(refused.body);
  ASSERT_TRUE(body.has_value()) << refused.body;
  EXPECT_EQ(string_or(*body, "code", ""), "conflict");
  EXPECT_EQ(string_or(*body, "detail", ""), "superseded \"by\" rev 7");
  EXPECT_EQ(int_or(*body, "status", 0), 409);
}

TEST_F(AdminApiTest, AnswersProbesWithoutAToken) {
  EXPECT_EQ(send("GET", "/healthz", "", {}).body, "ok\n");
  EXPECT_EQ(send("GET", "/readyz", "", {}).status, 200);
  ready = false;
  const auto waiting = send("GET", "/readyz", "", {});
  EXPECT_EQ(waiting.status, 503);
  EXPECT_EQ(waiting.body, "starting: 3 journals to read\n");
  const auto metrics = send("GET", "/metrics", "", {});
  EXPECT_EQ(metrics.body, "millrace_x_total 1\n");
  EXPECT_EQ(send("POST", "/metrics", "", {}).status, 405);
  EXPECT_EQ(send("GET", "/", "", {}).status, 404);
  EXPECT_EQ(send("GET", "/administrator", "", {}).status, 401);
}

TEST(AdminOperations, AreUniqueAndFitTheirOwnPaths) {
  for (const OperationSpec& one : operations()) {
    std::vector<std::pair<std::string, std::string>> values;
    EXPECT_TRUE(match_path(one.path, one.path, values)) << one.name;
    EXPECT_EQ(values.size(), path_parameters(one.path).size()) << one.name;
    for (const OperationSpec& other : operations()) {
      if (&one == &other) continue;
      EXPECT_NE(one.name, other.name);
      EXPECT_FALSE(one.method == other.method && one.path == other.path) << one.name;
    }
  }
  EXPECT_EQ(find_operation("nothing"), nullptr);
}

}  // namespace
}  // namespace millrace::admin
