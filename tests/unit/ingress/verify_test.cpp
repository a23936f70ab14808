#include "ingress/verify.hpp"

#include <gtest/gtest.h>

namespace millrace::ingress {
namespace {

constexpr std::int64_t kNow = 1'614'265'330;
const WallTime now{seconds(kNow)};
// The example of the Standard Webhooks specification's reference libraries.
const std::string kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const std::string kBody = R"({"test": 2432232314})";

std::string signature(std::string_view key, std::string_view id, std::int64_t at,
                      std::string_view body) {
  const std::string time = std::to_string(at);
  return "v1," + base64_encode(hmac("sha256", key, {id, ".", time, ".", body}));
}

HttpHeaders signed_headers(std::int64_t at, std::string_view list) {
  return {{"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"},
          {"webhook-timestamp", std::to_string(at)},
          {"webhook-signature", std::string(list)}};
}

bool accepts(const HttpHeaders& headers, std::string_view body = kBody,
             std::vector<std::string> secrets = {kSecret}) {
  return verify_standard_webhooks(secrets, headers, body, now);
}

std::string valid_at(std::int64_t at) {
  return signature(base64_decode(kSecret.substr(6)), "msg_p5jXN8AQM9LWM0D4loKWxJek", at, kBody);
}

TEST(StandardWebhooks, AcceptsTheSpecificationsExample) {
  EXPECT_TRUE(accepts(signed_headers(kNow, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")));
}

TEST(StandardWebhooks, AllowsFiveMinutesInBothDirections) {
  EXPECT_TRUE(accepts(signed_headers(kNow - 299, valid_at(kNow - 299))));
  EXPECT_TRUE(accepts(signed_headers(kNow + 299, valid_at(kNow + 299))));
  EXPECT_FALSE(accepts(signed_headers(kNow - 301, valid_at(kNow - 301))));
  EXPECT_FALSE(accepts(signed_headers(kNow + 301, valid_at(kNow + 301))));
}

TEST(StandardWebhooks, RefusesTimestampsThatAreNoSeconds) {
  for (const char* time :
       {"", "NaN", "-5", "1614265330.0", " 1614265330", "0x60", "99999999999999999999"}) {
    HttpHeaders headers = signed_headers(kNow, valid_at(kNow));
    headers[1].second = time;
    EXPECT_FALSE(accepts(headers)) << time;
  }
  HttpHeaders without = signed_headers(kNow, valid_at(kNow));
  without.erase(without.begin() + 1);
  EXPECT_FALSE(accepts(without));
}

TEST(StandardWebhooks, RefusesAnotherBodyIdOrSecret) {
  const HttpHeaders headers = signed_headers(kNow, valid_at(kNow));
  EXPECT_TRUE(accepts(headers));
  EXPECT_FALSE(accepts(headers, R"({"test":2432232314})"));
  EXPECT_FALSE(accepts(headers, kBody, {"whsec_AAAA"}));
  EXPECT_FALSE(accepts(headers, kBody, {"whsec_not base64"}));
  HttpHeaders other_id = headers;
  other_id[0].second = "msg_other";
  EXPECT_FALSE(accepts(other_id));
}

TEST(StandardWebhooks, TakesAnySignatureOfTheListAndAnySecret) {
  const std::string good = valid_at(kNow);
  EXPECT_TRUE(accepts(signed_headers(kNow, "v1,AAAA v2,xyz " + good)));
  EXPECT_FALSE(accepts(signed_headers(kNow, "v1a" + good.substr(2))));
  EXPECT_FALSE(accepts(signed_headers(kNow, "v2" + good.substr(2))));
  EXPECT_TRUE(accepts(signed_headers(kNow, good), kBody, {"whsec_AAAA", kSecret}));
  const std::string plain = signature("plain text", "msg_p5jXN8AQM9LWM0D4loKWxJek", kNow, kBody);
  EXPECT_TRUE(accepts(signed_headers(kNow, plain), kBody, {"plain text"}));
}

config::HmacVerify github_rule() {
  config::HmacVerify rule;
  rule.header = "x-hub-signature-256";
  rule.secrets = {"It's a Secret to Everybody"};
  return rule;
}

TEST(HmacVerification, AcceptsGitHubsExample) {
  // docs.github.com, "Validating webhook deliveries".
  const std::string hex = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  EXPECT_TRUE(
      verify_hmac(github_rule(), {{"x-hub-signature-256", "sha256=" + hex}}, "Hello, World!", now));
  EXPECT_TRUE(verify_hmac(github_rule(), {{"x-hub-signature-256", hex}}, "Hello, World!", now));
  EXPECT_FALSE(verify_hmac(github_rule(), {{"x-hub-signature-256", hex}}, "Hello, World?", now));
  EXPECT_FALSE(verify_hmac(github_rule(), {}, "Hello, World!", now));
}

TEST(HmacVerification, SignsWhatTheRuleSaysAndChecksItsTime) {
  config::HmacVerify rule;
  rule.algorithm = "sha512";
  rule.header = "x-signature";
  rule.encoding = "base64";
  rule.signed_text = "v0:{timestamp}:{body}";
  rule.timestamp_header = "x-timestamp";
  rule.tolerance = seconds(60);
  rule.secrets = {"old", "new"};
  const auto headers = [&](std::int64_t at) {
    const std::string time = std::to_string(at);
    return HttpHeaders{
        {"x-timestamp", time},
        {"x-signature", base64_encode(hmac("sha512", "new", {"v0:", time, ":", "{}"}))}};
  };
  EXPECT_TRUE(verify_hmac(rule, headers(kNow - 59), "{}", now));
  EXPECT_FALSE(verify_hmac(rule, headers(kNow - 61), "{}", now));
  HttpHeaders moved = headers(kNow);
  moved[0].second = std::to_string(kNow - 1);
  EXPECT_FALSE(verify_hmac(rule, moved, "{}", now));
}

TEST(HmacVerification, AcceptsNothingWhenTheBodyIsNotSignedOrNoSecretIsThere) {
  config::HmacVerify rule = github_rule();
  rule.signed_text = "{timestamp}";
  EXPECT_FALSE(verify_hmac(rule, {{"x-hub-signature-256", ""}}, "", now));
  rule = github_rule();
  rule.secrets = {""};
  EXPECT_FALSE(verify_hmac(rule, {{"x-hub-signature-256", ""}}, "", now));
  EXPECT_FALSE(verify_request(config::Verify{}, {}, "", now));
}

}  // namespace
}  // namespace millrace::ingress
