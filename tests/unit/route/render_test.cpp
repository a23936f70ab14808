#include "route/render.hpp"

#include <gtest/gtest.h>

namespace millrace::route {
namespace {

config::Program program(const std::string& text) {
  ExpressionScope scope;
  scope.variables = {"event", "record", "now"};
  auto compiled = Expression::compile(text, scope);
  EXPECT_TRUE(compiled) << compiled.error().message;
  return {text, {}, *compiled};
}

DecodedEvent event_of(const std::string& type, std::vector<std::string> types, const Json& data) {
  DecodedEvent decoded;
  decoded.event.type = type;
  decoded.event.types = std::move(types);
  decoded.event.record = "odoo/sale.order/1";
  decoded.event.data = data;
  decoded.input = to_expression_input(decoded.event);
  return decoded;
}

config::RouteRequest request_with_path(const std::string& expression) {
  config::RouteRequest request;
  request.event = "confirmed";
  request.path = {"", {}, {"/orders/", ""}, {program(expression)}};
  return request;
}

class Render : public testing::Test {
 protected:
  Result<HttpRequest> rendered(const config::RouteRequest& request, const Json& data) {
    const config::ConfigHost host(config_, nullptr);
    return render(request, host, event_of("o.confirmed", {"o.confirmed"}, data), WallTime{});
  }
  config::Config config_;
};

TEST_F(Render, EncodesWhatEntersAPath) {
  const auto request = rendered(request_with_path(".data.id"), *parse_json(R"({"id":"a/b ?ö"})"));
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->target, "/orders/a%2Fb%20%3F%C3%B6");
}

TEST_F(Render, NeverSendsNullOrEmptyInAPath) {
  for (const char* data : {R"({"id":null})", R"({"id":""})", R"({})", R"({"id":[1]})"}) {
    const auto request = rendered(request_with_path(".data.id"), *parse_json(data));
    ASSERT_FALSE(request) << data;
    EXPECT_EQ(request.error().code, Errc::invalid_argument);
  }
}

TEST_F(Render, RefusesALineBreakInAHeader) {
  config::RouteRequest request = request_with_path("1");
  request.headers.emplace_back("x-name",
                               config::Template{"", {}, {"", ""}, {program(".data.name")}});
  EXPECT_FALSE(rendered(request, *parse_json(R"({"name":"a\r\nx-admin: 1"})")));
  EXPECT_TRUE(rendered(request, *parse_json(R"({"name":"a"})")));
}

TEST_F(Render, AsksForAnIdentityItDoesNotHave) {
  const config::RouteRequest request = request_with_path(R"(xref("o"; "mes"; $record))");
  config::ConfigHost host(config_, nullptr);
  const auto event = event_of("o.confirmed", {"o.confirmed"}, *parse_json("{}"));
  auto first = render(request, host, event, WallTime{});
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code, Errc::needs_lookup);
  config::FetchedReferences fetched{{host.wanted(), std::nullopt}};
  host.set_fetched(&fetched);
  EXPECT_EQ(render(request, host, event, WallTime{}).error().code, Errc::missing_reference);
  fetched[host.wanted()] = "WO-7";
  EXPECT_EQ(render(request, host, event, WallTime{})->target, "/orders/WO-7");
}

TEST(Selection, OnOneChangeSendsTheFirstRequestItNames) {
  config::Config config;
  const config::ConfigHost host(config, nullptr);
  config::Route route;
  route.requests.resize(2);
  route.requests[0].event = "cancelled";
  route.requests[1].event = "changed";
  const std::vector<std::string> types{"o.changed", "o.cancelled"};
  const auto changed = select(route, host, event_of("o.changed", types, {}));
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->verdict, Verdict::covered);
  const auto cancelled = select(route, host, event_of("o.cancelled", types, {}));
  ASSERT_TRUE(cancelled);
  EXPECT_EQ(cancelled->verdict, Verdict::act);
  EXPECT_EQ(cancelled->request, &route.requests[0]);
  const auto other = select(route, host, event_of("o.archived", {"o.archived"}, {}));
  EXPECT_EQ(other->verdict, Verdict::unnamed);
}

TEST(Treat, TheFirstRuleThatIsTrueWins) {
  config::Config config;
  const config::ConfigHost host(config, nullptr);
  config::Treat rules;
  rules.rules.emplace_back("delivered", program(".answer.status == 409"));
  rules.rules.emplace_back("rejected", program(".answer.body.code == 7"));
  const auto event = event_of("o.confirmed", {"o.confirmed"}, {});
  HttpResponse answer;
  answer.status = 409;
  answer.body = R"({"code":7})";
  EXPECT_EQ(*treat(rules, host, event, answer, {}), "delivered");
  answer.status = 400;
  EXPECT_EQ(*treat(rules, host, event, answer, {}), "rejected");
  answer.body = "not JSON";
  EXPECT_FALSE(treat(rules, host, event, answer, {}).has_value() &&
               treat(rules, host, event, answer, {})->has_value());
}

}  // namespace
}  // namespace millrace::route
