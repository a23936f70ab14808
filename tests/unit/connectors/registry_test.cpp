#include <gtest/gtest.h>

#include "connectors/all_connectors.hpp"
#include "connectors/http/http_options.hpp"
#include "connectors/odoo/odoo_options.hpp"
#include "fake_http.hpp"

namespace millrace {
namespace {

class RegistryTest : public testing::Test {
 protected:
  RegistryTest() {
    register_all_connectors(registry_);
    fake_.handler = [](const HttpRequest&) { return HttpResponse{}; };
  }
  ConnectionContext context(std::string url) {
    return {"peer", std::move(url), {{1, "lyon"}, {3, "turin"}}, 4, fake_.factory()};
  }
  static std::any parse(const ConnectorType& type, std::string_view yaml) {
    auto options = type.spec().parse_yaml(yaml);
    EXPECT_TRUE(options) << options.error().message;
    return options.value_or(std::any());
  }

  test::FakeHttp fake_;
  ConnectorRegistry registry_;
};

TEST_F(RegistryTest, KnowsEveryFolder) {
  for (const auto* name : {"hook", "http", "odoo"})
    ASSERT_NE(registry_.find(name), nullptr) << name;
  EXPECT_EQ(registry_.find("telex"), nullptr);
}

TEST_F(RegistryTest, MakesSinksForHttpAndReadersForOdooOnly) {
  const auto& http = *registry_.find("http");
  const auto& odoo = *registry_.find("odoo");
  const auto& hook = *registry_.find("hook");
  const std::any http_options = parse(http, "timeout: 5s");
  const std::any odoo_options = parse(odoo, "{ database: prod, login: b, api_key: k }");
  const std::any hook_options = parse(hook, "{}");
  EXPECT_TRUE(http.make_sink(http_options, context("https://mes.example/api")));
  EXPECT_EQ(fake_.settings.back().url.host, "mes.example");
  EXPECT_EQ(fake_.settings.back().connections_max, 4U);
  EXPECT_TRUE(odoo.make_reader(odoo_options, context("https://odoo.example")));
  const auto refused = [](const auto& made) {
    return !made && made.error().code == Errc::not_supported;
  };
  EXPECT_TRUE(refused(http.make_reader(http_options, context("https://mes.example"))));
  EXPECT_TRUE(refused(odoo.make_sink(odoo_options, context("https://odoo.example"))));
  EXPECT_TRUE(refused(hook.make_sink(hook_options, context(""))));
  EXPECT_TRUE(refused(hook.make_reader(hook_options, context(""))));
}

TEST_F(RegistryTest, RefusesAUrlItCannotCall) {
  const auto& http = *registry_.find("http");
  const auto made = http.make_sink(parse(http, "{}"), context("ftp://mes.example"));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::invalid_argument);
}

TEST(HttpOptionsSpec, TakesExactlyOneKindOfAuthentication) {
  using connectors::http_spec;
  EXPECT_EQ(http_spec().from_yaml("auth: { bearer: t }")->auth->bearer, "t");
  EXPECT_EQ(http_spec().from_yaml("auth: { basic: { user: u, password: p } }")->auth->basic->user,
            "u");
  EXPECT_EQ(http_spec().from_yaml("auth: { hmac: { secret: s } }")->auth->hmac->secret, "s");
  EXPECT_FALSE(http_spec().from_yaml("auth: { bearer: t, hmac: { secret: s } }"));
  EXPECT_FALSE(http_spec().from_yaml("auth: {}"));
  EXPECT_FALSE(http_spec().from_yaml("auth: { oauth2: { token_url: x } }"));
}

TEST(HttpOptionsSpec, NeverShowsASecret) {
  const auto options = connectors::http_spec().from_yaml("auth: { bearer: hush }");
  ASSERT_TRUE(options);
  const std::string shown = write_json(connectors::http_spec().redacted(std::any(*options)));
  EXPECT_EQ(shown.find("hush"), std::string::npos) << shown;
}

TEST(OdooOptionsSpec, ReadsTheDesignsSampleAndRequiresALogin) {
  const auto options = connectors::odoo_spec().from_yaml(
      "{ database: prod, login: broker@example.com, api_key: k, pace: odoo_online }");
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->pace, connectors::OdooPace::odoo_online);
  EXPECT_EQ(options->language, "en_US");
  EXPECT_FALSE(connectors::odoo_spec().from_yaml("{ database: prod }"));
  EXPECT_FALSE(
      connectors::odoo_spec().from_yaml("{ database: d, login: l, api_key: k, pace: fast }"));
}

}  // namespace
}  // namespace millrace
