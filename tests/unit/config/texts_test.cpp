#include "config/texts.hpp"

#include <gtest/gtest.h>

#include "config/host.hpp"
#include "support.hpp"

namespace millrace::config {
namespace {

using testing::Directory;

constexpr std::string_view kRoute = R"(
route: order-to-mes
from: order
to: mes
when: .data.state != "draft"
requests:
  confirmed:
    method: PUT
    path: /v${var.version}/${ .data.number }
    headers: { X-Site: "${ env.SITE } \u2028 é" }
    body: |
      { unit: lookup("uom"; .data.unit), size: lookup("size"; "l"),
        twice: twice(21), quoted: "a\"b\\" }
    treat: { delivered: .answer.status == 409 }
retry: { initial: 10ms, max_interval: 1s, give_up_after: 7d }
---
table: uom
missing: park
rows: { Units: C62, 1: 1.50, 0x10: null, kg: [ 1, { a: true } ] }
---
table: size
missing: null
file: size.csv
---
table: unused
rows: { a: b }
)";

class Texts : public ::testing::Test {
 protected:
  Texts() {
    directory_.write(
        "millrace.yaml",
        "name: plant\nenvironment: prod\nlog: { files: log }\nstate: { sqlite: s.db }\n"
        "secrets: { directory: secrets }\n");
    directory_.write("objects.yaml", testing::kObjects).write("routes.yaml", kRoute);
    directory_.write("vars/prod.yaml", "version: 2\n");
    directory_.write("functions/a.jq", "def two: 2;\ndef twice($x): $x * two;\ndef other: 3;\n");
    directory_.write("size.csv", "l,\"large, \"\"x\"\"\"\n");
    for (const char* name : {"shop"}) {
      directory_.write(std::string("secrets/") + name, "s3cret");
      std::filesystem::permissions(std::filesystem::path(directory_.path()) / "secrets" / name,
                                   std::filesystem::perms::owner_read);
    }
  }
  ConfigPtr load() {
    auto report = testing::load_directory(directory_.path(), false, {{"SITE", "lyon"}});
    EXPECT_TRUE(report.config) << render(report.problems);
    return report.config;
  }
  TextOptions options(const Config& config) {
    return {config.installation, directory_.path(), testing::fake_connectors()};
  }

  Directory directory_;
};

TEST_F(Texts, CompileToTheSameRoute) {
  const auto config = load();
  const Route& route = config->routes.at("order-to-mes");
  const std::string text = text_of(*config, route);
  directory_.write("vars/prod.yaml", "version: 3\n").write("functions/a.jq", "");
  directory_.write("size.csv", "");
  const auto compiled = compile_text(text, config->connections.at("mes"), options(*config));
  ASSERT_TRUE(compiled) << compiled.error().message;
  const Route& again = (*compiled)->routes.at("order-to-mes");
  EXPECT_EQ(again.text, route.text);
  EXPECT_EQ(text_of(**compiled, again), text);
  EXPECT_EQ(again.requests.front().path.literals, route.requests.front().path.literals);
  EXPECT_EQ(again.requests.front().headers.front().second.literals,
            route.requests.front().headers.front().second.literals);
  EXPECT_EQ(again.retry.give_up_after, route.retry.give_up_after);
  EXPECT_EQ((*compiled)->tables.at("uom").rows, config->tables.at("uom").rows);
  EXPECT_FALSE((*compiled)->tables.contains("unused"));

  Json input = *parse_json(R"({"data":{"number":"S1","unit":"Units"}})");
  const ConfigHost host(**compiled, nullptr);
  const ExpressionContext context{nullptr, &host, {}};
  const auto body = again.requests.front().body->compiled->evaluate(input, context);
  ASSERT_TRUE(body) << body.error().message;
  EXPECT_EQ(write_json(*body),
            R"({"unit":"C62","size":"large, \"x\"","twice":42,"quoted":"a\"b\\"})");
}

TEST_F(Texts, ChangeWithWhatTheRouteUsesAndWithNothingElse) {
  const std::string before = load()->routes.at("order-to-mes").text;
  directory_.write("more.yaml", "table: third\nrows: { a: b }\n");
  EXPECT_EQ(load()->routes.at("order-to-mes").text, before);
  directory_.write("vars/prod.yaml", "version: 3\n");
  const std::string variable = load()->routes.at("order-to-mes").text;
  EXPECT_NE(variable, before);
  directory_.write("functions/b.jq", "def another: 3;\n");
  EXPECT_EQ(load()->routes.at("order-to-mes").text, variable);
  directory_.write("functions/a.jq", "def twice($x): $x + $x;\n");
  const std::string function = load()->routes.at("order-to-mes").text;
  EXPECT_NE(function, variable);
  directory_.write("size.csv", "l,small\n");
  EXPECT_NE(load()->routes.at("order-to-mes").text, function);
}

TEST_F(Texts, OfAConnectionHoldNoSecret) {
  directory_.write("objects.yaml", std::string(testing::kObjects) +
                                       "---\nconnection: wms\ntype: http\n"
                                       "url: \"http://${var.version}.example\"\n"
                                       "auth: { bearer: \"${secret.shop}\" }\n");
  const auto config = load();
  const std::string text = text_of(config->connections.at("wms"));
  EXPECT_EQ(text.find("s3cret"), std::string::npos) << text;
  const auto compiled = compile_connection(text, options(*config));
  ASSERT_TRUE(compiled) << compiled.error().message;
  EXPECT_EQ(compiled->url, "http://2.example");
  EXPECT_EQ(compiled->fingerprint, config->connections.at("wms").fingerprint);
  std::filesystem::remove(std::filesystem::path(directory_.path()) / "secrets" / "shop");
  EXPECT_FALSE(compile_connection(text, options(*config)));
}

TEST_F(Texts, ThatAreBrokenAreRefused) {
  const auto config = load();
  const Connection& mes = config->connections.at("mes");
  EXPECT_FALSE(compile_text("no json", mes, options(*config)));
  EXPECT_FALSE(compile_text(R"({"format":2})", mes, options(*config)));
  EXPECT_FALSE(compile_text(R"({"format":1,"route":"{}"})", mes, options(*config)));
}

}  // namespace
}  // namespace millrace::config
