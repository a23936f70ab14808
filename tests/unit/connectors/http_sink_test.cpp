#include "connectors/http/http_sink.hpp"

#include <gtest/gtest.h>

#include "connectors/http/http_answer.hpp"
#include "connectors/http/http_auth.hpp"
#include "fake_http.hpp"

namespace millrace::connectors {
namespace {

using Kind = Outcome::Kind;
using Scope = Outcome::Scope;
using test::FakeClock;
using test::FakeHttp;

class HttpSinkTest : public testing::Test {
 protected:
  Outcome deliver(HttpOptions options = {}, std::string url = "http://mes.example:8080/api") {
    HttpSink sink(fake_.client(), parse_url(url).value(), std::move(options), clock_);
    return test::run(sink.deliver(delivery_));
  }
  Outcome check(HttpOptions options = {}) {
    HttpSink sink(fake_.client(), parse_url("http://mes.example/api").value(), std::move(options),
                  clock_);
    return test::run(sink.check());
  }
  void answer(int status, std::string body = "", HttpHeaders headers = {}) {
    fake_.handler = [=](const HttpRequest&) { return HttpResponse{status, headers, body}; };
  }
  void fail_with(Errc code) {
    fake_.handler = [=](const HttpRequest&) -> Result<HttpResponse> {
      return fail(code, "the peer did this");
    };
  }
  std::string sent(std::string_view name) {
    const auto value = header(fake_.requests.back().headers, name);
    return value ? std::string(*value) : "(none)";
  }

  FakeHttp fake_;
  FakeClock clock_;
  Delivery delivery_{HttpRequest{"POST", "/orders", {}, R"({"a":1})"}, "key-1", "event-1"};
};

TEST_F(HttpSinkTest, SendsBelowTheBasePathWithKeyTypeAndAgent) {
  answer(201, R"({"id":"M1"})");
  const Outcome outcome = deliver();
  EXPECT_EQ(outcome.kind, Kind::delivered);
  EXPECT_EQ(outcome.answer->body, R"({"id":"M1"})");
  EXPECT_EQ(fake_.requests.back().target, "/api/orders");
  EXPECT_EQ(sent("idempotency-key"), "key-1");
  EXPECT_EQ(sent("content-type"), "application/json");
  EXPECT_TRUE(sent("user-agent").starts_with("millrace/"));
  EXPECT_EQ(sent("authorization"), "(none)");
}

TEST_F(HttpSinkTest, KeepsARoutesOwnHeadersButNotItsAuthorization) {
  answer(200);
  delivery_.request.headers = {{"content-type", "text/csv"}, {"authorization", "Bearer stolen"}};
  HttpOptions options;
  options.auth = HttpAuth{.bearer = "token"};
  deliver(options);
  EXPECT_EQ(sent("content-type"), "text/csv");
  EXPECT_EQ(sent("authorization"), "Bearer token");
  EXPECT_EQ(fake_.requests.back().headers.size(), 4U);
}

TEST_F(HttpSinkTest, LeavesOutTheContentTypeWithoutABody) {
  answer(200);
  delivery_.request.body.clear();
  deliver();
  EXPECT_EQ(sent("content-type"), "(none)");
}

TEST_F(HttpSinkTest, AuthenticatesWithBasicOrAHeader) {
  answer(200);
  HttpOptions options;
  options.auth = HttpAuth{.basic = BasicAuth{"Aladdin", "open sesame"}};
  deliver(options);
  EXPECT_EQ(sent("authorization"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  options.auth = HttpAuth{.header = HeaderAuth{"X-Api-Key", "k"}};
  deliver(options);
  EXPECT_EQ(sent("x-api-key"), "k");
}

// The example of the Standard Webhooks specification's own libraries.
TEST_F(HttpSinkTest, SignsAsStandardWebhooksSays) {
  EXPECT_EQ(standard_webhooks_signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                        "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
                                        R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  answer(200);
  HttpOptions options;
  options.auth = HttpAuth{.hmac = HmacAuth{"plain secret"}};
  deliver(options);
  EXPECT_EQ(sent("webhook-id"), "key-1");
  EXPECT_EQ(sent("webhook-timestamp"), "1795298744");
  EXPECT_EQ(sent("webhook-signature"),
            standard_webhooks_signature("plain secret", "key-1", "1795298744", R"({"a":1})"));
}

TEST_F(HttpSinkTest, PausesTheTargetWhenItRefusesOurCredential) {
  for (const int status : {401, 407}) {
    answer(status);
    const Outcome outcome = deliver();
    EXPECT_EQ(outcome.kind, Kind::again) << status;
    EXPECT_EQ(outcome.scope, Scope::target) << status;
    EXPECT_EQ(outcome.answer->status, status);
  }
}

TEST_F(HttpSinkTest, TriesAgainWhatIsTemporary) {
  for (const int status : {408, 425, 429, 500, 502, 503, 504}) {
    answer(status, "busy", {{"Retry-After", "7"}});
    const Outcome outcome = deliver();
    EXPECT_EQ(outcome.kind, Kind::again) << status;
    EXPECT_EQ(outcome.scope, Scope::record) << status;
    EXPECT_EQ(outcome.retry_after, seconds(7)) << status;
  }
}

TEST_F(HttpSinkTest, RejectsOtherRefusalsAndQuotesTheAnswer) {
  answer(422, "line 1\n\"sku\" unknown\x01 \xff" + std::string(500, 'x'));
  const Outcome outcome = deliver();
  EXPECT_EQ(outcome.kind, Kind::rejected);
  EXPECT_TRUE(outcome.reason.starts_with("the target answered 422: line 1 \"sku\" unknown  ?xxx"));
  EXPECT_LT(outcome.reason.size(), 300U);
  answer(403);
  EXPECT_EQ(deliver().kind, Kind::rejected);
  EXPECT_EQ(deliver().answer->status, 403);
}

TEST_F(HttpSinkTest, NeverFollowsARedirect) {
  answer(302, "", {{"Location", "http://elsewhere.example/"}});
  const Outcome outcome = deliver();
  EXPECT_EQ(outcome.kind, Kind::rejected);
  EXPECT_NE(outcome.reason.find("redirects are not followed"), std::string::npos);
  EXPECT_EQ(fake_.requests.size(), 1U);
}

TEST_F(HttpSinkTest, BlamesTheTargetForWhatNeverReachedIt) {
  for (const Errc code : {Errc::not_connected, Errc::name_resolution, Errc::tls,
                          Errc::egress_denied, Errc::timeout_before_send}) {
    fail_with(code);
    const Outcome outcome = deliver();
    EXPECT_EQ(outcome.kind, Kind::again) << to_string(code);
    EXPECT_EQ(outcome.scope, Scope::target) << to_string(code);
    EXPECT_FALSE(outcome.answer);
  }
}

TEST_F(HttpSinkTest, CallsSentAndUnansweredUnknown) {
  for (const Errc code : {Errc::unanswered, Errc::too_large}) {
    fail_with(code);
    EXPECT_EQ(deliver().kind, Kind::unknown) << to_string(code);
  }
}

TEST_F(HttpSinkTest, KeepsAtMost64KilobytesOfTheAnswer) {
  answer(200, std::string(100'000, 'x'));
  EXPECT_EQ(deliver().answer->body.size(), kAnswerKeptBytesMax);
}

TEST_F(HttpSinkTest, TakesTheShorterOfBothTimeouts) {
  answer(200);
  delivery_.timeout = seconds(20);
  HttpOptions options;
  options.timeout = seconds(5);
  deliver(options);
  EXPECT_EQ(fake_.timeouts.back(), seconds(5));
  delivery_.timeout = seconds(2);
  deliver(options);
  EXPECT_EQ(fake_.timeouts.back(), seconds(2));
}

TEST_F(HttpSinkTest, ChecksByAskingAndTakesAnyAnswerOfTheApplication) {
  answer(404);
  EXPECT_EQ(check().kind, Kind::delivered);
  EXPECT_EQ(fake_.requests.back().method, "GET");
  EXPECT_EQ(fake_.requests.back().target, "/api");
  HttpOptions options;
  options.check_path = "/health";
  answer(500);
  EXPECT_EQ(check(options).kind, Kind::delivered);
  EXPECT_EQ(fake_.requests.back().target, "/api/health");
  for (const int status : {401, 502, 503, 504}) {
    answer(status);
    EXPECT_EQ(check().kind, Kind::again) << status;
    EXPECT_EQ(check().scope, Scope::target) << status;
  }
  fail_with(Errc::unanswered);
  EXPECT_EQ(check().kind, Kind::again);
}

TEST(RetryAfter, ReadsSecondsAndDatesWithinAnHour) {
  const FakeClock clock;
  const auto parse = [&](std::string_view text) { return parse_retry_after(text, clock.wall); };
  EXPECT_EQ(parse("0"), seconds(0));
  EXPECT_EQ(parse(" 120 "), seconds(120));
  EXPECT_EQ(parse("86400"), kRetryAfterMax);
  EXPECT_EQ(parse("99999999999999999999"), kRetryAfterMax);
  EXPECT_EQ(parse("Sat, 21 Nov 2026 22:06:44 GMT"), seconds(60));
  EXPECT_EQ(parse("Sat, 21 Nov 2026 21:00:00 GMT"), seconds(0));
  EXPECT_EQ(parse("Sat, 21 Nov 2037 21:00:00 GMT"), kRetryAfterMax);
  for (const auto* bad : {"", "-1", "1.5", "soon", "Sat, 21 Nov 2026 22:06:44 GMT+1"}) {
    EXPECT_EQ(parse(bad), std::nullopt) << bad;
  }
}

TEST(Printable, KeepsUtf8AndCutsBetweenCharacters) {
  EXPECT_EQ(printable("M\xC3\xB6"
                      "bel"),
            "M\xC3\xB6"
            "bel");
  EXPECT_EQ(printable("a\xC3\xB6", 2), "a");
  EXPECT_EQ(printable("\xED\xA0\x80 \xC0\xAF"), "??? ??");
  EXPECT_EQ(printable("a\r\n\tb\n"), "a b");
}

}  // namespace
}  // namespace millrace::connectors
