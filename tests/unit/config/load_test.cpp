#include "config/load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <random>
#include <set>

#include "support.hpp"

namespace millrace::config {
namespace {

using ::testing::AllOf;
using testing::Directory;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kInstallation;
using testing::kObjects;
using testing::load_directory;
using testing::load_text;

constexpr std::string_view kRoute = R"(route: order-to-mes
from: order
to: mes
requests:
  confirmed:
    path: /orders/${ .data.number }
    body: .data
)";

std::string problems_of(std::string_view text) {
  return render(load_text(text).problems);
}

std::string fixture(const std::string& name) {
  return std::string(MILLRACE_SOURCE_DIR) + "/tests/unit/config/fixtures/" + name;
}

TEST(Load, AcceptsTheSamplesOfTheLanguage) {
  const LoadReport report = load_directory(fixture("design_sample_1"));
  EXPECT_THAT(render(report.problems), IsEmpty());
  ASSERT_TRUE(report.config);
  const Config& config = *report.config;
  EXPECT_EQ(config.installation.name, "plant-lyon");
  EXPECT_EQ(config.installation.data_directory, "/var/lib/millrace");
  EXPECT_EQ(config.connections.at("mes").url, "https://mes.example.com");
  EXPECT_EQ(config.connections.at("odoo").companies.size(), 2U);
  EXPECT_EQ(config.connections.at("acme_carrier").verify->standard_webhooks.size(), 1U);
  const Entity& order = config.entities.at("sales_order");
  EXPECT_EQ(order.events.front().name, "confirmed");
  EXPECT_EQ(order.from.front().read.fields.size(), 5U);
  EXPECT_EQ(order.from.front().map.compiled->tables(), std::vector<std::string>{"uom"});
  const Route& route = config.routes.at("order-to-mes");
  ASSERT_EQ(route.requests.size(), 2U);
  EXPECT_EQ(route.requests[1].path.literals, (std::vector<std::string>{"/work-orders/", ""}));
  EXPECT_EQ(route.requests[1].missing, Missing::skip);
  EXPECT_EQ(route.slo_within, std::chrono::seconds(30));
  EXPECT_EQ(config.tests.size(), 1U);
}

TEST(Load, AnswersNotSupportedYetToEveryDocumentOfTheSecondSample) {
  const LoadReport report = load_directory(fixture("design_sample_2"));
  EXPECT_FALSE(report.config);
  std::set<int> lines;
  for (const Problem& problem : report.problems) {
    EXPECT_THAT(problem.message, HasSubstr("is not supported yet")) << render_line(problem);
    lines.insert(problem.place.line);
  }
  EXPECT_THAT(render(report.problems), Not(HasSubstr("unknown")));
  // Each document begins at its leading key and has a problem before the next one begins.
  std::ifstream file(fixture("design_sample_2/later.yaml"));
  int number = 0;
  int begin = 1;
  const auto refused_between = [&](int from, int to) {
    const auto found = lines.lower_bound(from);
    return found != lines.end() && *found < to;
  };
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line != "---") continue;
    EXPECT_TRUE(refused_between(begin, number)) << "document at line " << begin;
    begin = number;
  }
  EXPECT_TRUE(refused_between(begin, number + 1));
}

TEST(Load, ShipsAConfigurationThatLintsClean) {
  const LoadReport report = load_directory(std::string(MILLRACE_SOURCE_DIR) + "/config");
  EXPECT_THAT(render(report.problems), IsEmpty());
  ASSERT_TRUE(report.config);
  EXPECT_EQ(report.config->entities.size(), 9U);
  for (const auto& [name, entity] : report.config->entities) EXPECT_FALSE(entity.schema.is_null());
  for (const auto& [name, route] : report.config->routes) {
    const bool tested = std::ranges::any_of(report.config->tests, [&](const ConfigTest& test) {
      return write_json(test.expect).find('"' + name + '"') != std::string::npos;
    });
    EXPECT_TRUE(tested) << name << " has no test";
  }
}

TEST(Load, ReportsAllProblemsOfADirectoryInOneGo) {
  Directory directory;
  directory.write("millrace.yaml", kInstallation).write("a.yaml", "connection: a\ntyp: http\n");
  directory.write("b.yaml", "table: b\nmissing: prak\nrows: { x: y }\n");
  directory.write("c.yaml", "a: 1\na: 2\n").write("d.yaml", "route:\n");
  const LoadReport report = load_directory(directory.path());
  EXPECT_FALSE(report.config);
  EXPECT_THAT(render(report.problems),
              AllOf(HasSubstr("a.yaml:2:1: error: connection a: unknown key `typ`"),
                    HasSubstr("did you mean `type`?"),
                    HasSubstr("b.yaml:2:10: error: table b / missing: `prak` is not one of park, "
                              "error and null; did you mean `park`?\n    missing: prak\n"
                              "             ^\n"),
                    HasSubstr("c.yaml:2:1: error: duplicate key `a`"), HasSubstr("d.yaml")));
}

TEST(Load, NamesTheNearestEventRouteAndConnection) {
  EXPECT_THAT(problems_of("route: r\nfrom: order\nto: mse\nrequests:\n  confirmd: { path: /a }\n"),
              AllOf(HasSubstr("more.yaml:5:3: error: route r / requests / confirmd: unknown event "
                              "`confirmd`; order has confirmed and changed; did you mean "
                              "`confirmed`?"),
                    HasSubstr("more.yaml:3:5: error: route r / to: unknown connection `mse`; there "
                              "are mes and shop; did you mean `mes`?")));
  EXPECT_THAT(problems_of("route: r\nfrom: odrer\nto: mes\nrequests: { changed: { path: /a } }\n"),
              HasSubstr("unknown entity `odrer`; there are order; did you mean `order`?"));
  EXPECT_THAT(problems_of("route: r\nfrom: order.conformed\nto: mes\n"
                          "requests: { confirmed: { path: /a } }\n"),
              HasSubstr("unknown event `conformed`"));
  EXPECT_THAT(
      problems_of("entity: e\nevents: { changed: true }\nfrom:\n"
                  "  - { connection: shp, map: . }\n"),
      HasSubstr("4:19: error: entity e / from / [1] / connection: unknown connection `shp`"));
}

TEST(Load, PlacesExpressionProblemsInTheirLine) {
  const std::string text = problems_of(
      "route: r\nfrom: order\nto: mes\nrequests:\n  changed:\n    path: /a\n    body: |\n"
      "      { number: .data.number,\n        wrong: $nope }\n");
  EXPECT_THAT(text, HasSubstr("more.yaml:9:16: error: route r / requests / changed / body: "));
}

TEST(Load, SaysThatYamlCutAnExpression) {
  EXPECT_THAT(problems_of("route: r\nfrom: order\nto: mes\nwhen: .data.a == \"x #1\"\n"
                          "requests: { changed: { path: /a } }\n"),
              HasSubstr("put `|` after the key and the expression on a new line"));
  EXPECT_THAT(problems_of("route: r\nfrom: order\nto: mes\nwhen: { a: .b }\n"
                          "requests: { changed: { path: /a } }\n"),
              HasSubstr("expected an expression, found a mapping: put `|`"));
}

TEST(Load, GivesEachExpressionItsOwnNames) {
  EXPECT_THAT(problems_of("entity: e\nkey: $before\nevents: { changed: true }\n"),
              HasSubstr("entity e / key"));
  EXPECT_THAT(problems_of("entity: e\nevents: { changed: $event }\n"),
              HasSubstr("entity e / events / changed"));
  EXPECT_THAT(problems_of("entity: e\nevents: { changed: $before == null }\n"), IsEmpty());
  EXPECT_THAT(
      problems_of("route: r\nfrom: order\nto: mes\nwhen: $now != $record and $event\n"
                  "requests: { changed: { path: /a, treat: { again: .answer.status } } }\n"),
      IsEmpty());
}

TEST(Load, NamesTablesThatAreNotThere) {
  EXPECT_THAT(problems_of("table: uom\nrows: { a: b }\n---\nentity: e\nevents: { changed: true }\n"
                          "from:\n  - connection: shop\n    map: lookup(\"uon\"; .a)\n"),
              HasSubstr("there is no table `uon`; there are uom; did you mean `uom`?"));
}

TEST(Load, RefusesSecretsInRequests) {
  const std::string text = problems_of(
      "route: r\nfrom: order\nto: mes\nrequests:\n  changed:\n"
      "    path: /a/${secret.shop}\n    body: \"${secret.shop}\"\n"
      "    headers: { X-Key: \"${secret.shop}\" }\n");
  EXPECT_THAT(text, AllOf(HasSubstr("changed / path: a secret in a request"),
                          HasSubstr("changed / body: a secret in an expression"),
                          HasSubstr("headers / X-Key: a secret in a request")));
}

TEST(Load, ReadsTemplatesWithBracesAndStrings) {
  const LoadReport report = load_text(
      "route: r\nfrom: order\nto: mes\nrequests:\n  changed:\n"
      "    path: '/a/${ {x: \"}\"} | .x }/b/${ \"\\({y: 1}.y)\" }'\n");
  ASSERT_TRUE(report.config) << render(report.problems);
  const Template& path = report.config->routes.at("r").requests[0].path;
  EXPECT_EQ(path.literals, (std::vector<std::string>{"/a/", "/b/", ""}));
  EXPECT_EQ(path.programs[0].text, " {x: \"}\"} | .x ");
  EXPECT_EQ(path.programs[1].text, " \"\\({y: 1}.y)\" ");
  EXPECT_THAT(problems_of("route: r\nfrom: order\nto: mes\nrequests:\n"
                          "  changed: { path: \"/a/${ .b\" }\n"),
              HasSubstr("`${` is not closed"));
}

TEST(Load, ChecksHooks) {
  EXPECT_THAT(problems_of("connection: h\ntype: hook\n"),
              AllOf(HasSubstr("a hook needs `record:`"), HasSubstr("anyone could post here")));
  const LoadReport report =
      load_text("connection: h\ntype: hook\nrecord: .id\nhook_tokens: [ \"${secret.h}\" ]\n");
  EXPECT_TRUE(report.config);
  EXPECT_THAT(render(report.problems), HasSubstr("warning: connection h: no `version:`"));
  EXPECT_THAT(problems_of("connection: h\ntype: hook\nrecord: .id\nverify: {}\n"),
              HasSubstr("exactly one of standard_webhooks and hmac"));
}

TEST(Load, ChecksConnectionsThatBringEvents) {
  constexpr std::string_view kConnection = "connection: lab\ntype: kafka\n";
  constexpr std::string_view kEvents = "events: { sources: [ \"/lab/*\" ], types: [ \"*\" ] }\n";
  const LoadReport report = load_text(fmt::format("{}{}", kConnection, kEvents));
  ASSERT_TRUE(report.config) << render(report.problems);
  EXPECT_THAT(report.problems, IsEmpty()) << "nothing has to read it";
  const auto& events = report.config->connections.at("lab").events;
  ASSERT_TRUE(events);
  EXPECT_EQ(events->sources, std::vector<std::string>{"/lab/*"});
  EXPECT_THAT(problems_of(fmt::format("{}{}version: .v\n", kConnection, kEvents)),
              HasSubstr("`version` has no meaning beside `events:`"));
  EXPECT_THAT(problems_of(fmt::format("{}events: {{ sources: [], types: [ a ] }}\n", kConnection)),
              HasSubstr("name what is taken in"));
  EXPECT_THAT(problems_of(fmt::format(
                  "connection: h\ntype: hook\nrecord: .id\nhook_tokens: [ t ]\n{}", kEvents)),
              HasSubstr("`events` has no meaning for type hook"));
  EXPECT_THAT(
      problems_of(fmt::format("{}{}---\nentity: lot\nversion: 1\nfrom:\n"
                              "  - {{ connection: lab, map: . }}\nevents: {{ made: true }}\n",
                              kConnection, kEvents)),
      HasSubstr("`lab` brings CloudEvents"));
}

TEST(Load, WarnsWhenTwoRoutesShareATarget) {
  std::string second(kRoute);
  second.replace(second.find("order-to-mes"), 12, "order-again");
  const LoadReport report = load_text(std::string(kRoute) + "---\n" + second);
  EXPECT_TRUE(report.config);
  EXPECT_THAT(render(report.problems), HasSubstr("also sends order to mes"));
}

TEST(Load, RefusesWhatHasNoMeaningForAType) {
  EXPECT_THAT(problems_of("connection: c\ntype: http\n"), HasSubstr("`url:` is missing"));
  EXPECT_THAT(problems_of("connection: c\ntype: http\nurl: http://a\nrecord: .a\n"),
              HasSubstr("`record` has no meaning for type http"));
  EXPECT_THAT(problems_of("connection: c\ntype: mqtt\n"), HasSubstr("`mqtt` is not supported yet"));
  EXPECT_THAT(problems_of("connection: c\ntype: htp\nurl: http://a\n"),
              HasSubstr("did you mean `http`?"));
  EXPECT_THAT(problems_of("connection: c\ntype: http\nurl: http://a\nauth: { oauth2: {} }\n"),
              AllOf(HasSubstr("`oauth2` is not supported yet"), Not(HasSubstr("unknown"))));
  EXPECT_THAT(problems_of("entity: e\nevents: { changed: true }\nfrom:\n"
                          "  - { connection: mes, map: . }\n"),
              HasSubstr("type http, which is no source"));
  EXPECT_THAT(problems_of("route: r\nfrom: order\nto: shop\nrequests: { changed: { path: /a } }\n"),
              HasSubstr("type hook, which only takes in"));
}

TEST(Load, RefusesAnAdminAddressThatOthersCanReach) {
  Directory directory;
  directory.write("a.yaml", std::string(kInstallation) + "admin: 0.0.0.0:8481\nlisten: \"8480\"\n");
  EXPECT_THAT(render(load_directory(directory.path()).problems),
              AllOf(HasSubstr("not a loopback address"), HasSubstr("not supported yet"),
                    HasSubstr("listen")));
}

TEST(Load, RefusesTwoObjectsOfOneName) {
  EXPECT_THAT(problems_of("connection: mes\ntype: http\nurl: http://b\n"),
              AllOf(HasSubstr("two with the name `mes`"), HasSubstr("objects.yaml")));
  EXPECT_THAT(problems_of("name: other\nlog: { files: a }\nstate: { sqlite: b }\n"),
              HasSubstr("second installation"));
}

TEST(Load, NeedsTheVarsFileWhenAVariableIsUsed) {
  Directory directory;
  directory.write("a.yaml", std::string(kInstallation) + "environment: prod\n")
      .write("b.yaml", "connection: c\ntype: http\nurl: \"${var.c_url}\"\n");
  EXPECT_THAT(render(load_directory(directory.path()).problems),
              HasSubstr("there is no vars/prod.yaml"));
  directory.write("vars/prod.yaml", "c_uri: http://a\n");
  EXPECT_THAT(render(load_directory(directory.path()).problems),
              HasSubstr("vars/prod.yaml has no `c_url`; did you mean `c_uri`?"));
  directory.write("vars/prod.yaml", "c_url: http://${env.HOST_NAME}\n");
  const LoadReport report = load_directory(directory.path(), false, {{"HOST_NAME", "h"}});
  ASSERT_TRUE(report.config) << render(report.problems);
  EXPECT_EQ(report.config->connections.at("c").url, "http://h");
}

TEST(Load, RefusesSecretsThatOthersMayRead) {
  Directory directory;
  directory.write("a.yaml", std::string(kInstallation) + "secrets: { directory: s }\n")
      .write("b.yaml",
             "connection: h\ntype: hook\nrecord: .id\nversion: .v\n"
             "hook_tokens: [ \"${secret.token}\" ]\n")
      .write("s/token", "hunter2\n");
  const std::string file = directory.path() + "/s/token";
  for (const mode_t mode : {0644, 0620, 0601}) {
    ::chmod(file.c_str(), mode);
    const std::string text = render(load_directory(directory.path(), false).problems);
    EXPECT_THAT(text, AllOf(HasSubstr("chmod 0600"), Not(HasSubstr("hunter2"))));
  }
  ::chmod(file.c_str(), 0640);
  const LoadReport report = load_directory(directory.path(), false);
  ASSERT_TRUE(report.config) << render(report.problems);
  EXPECT_EQ(report.config->connections.at("h").hook_tokens.front(), "hunter2");
}

TEST(Load, NeverShowsALineThatHoldsASecret) {
  const std::string text = problems_of(
      "connection: o\ntype: odoo\nurl: http://a\ndatabase: d\nlogin: l\n"
      "api_key: hunter2\n");
  EXPECT_THAT(text, AllOf(HasSubstr("a secret stands in the configuration itself"),
                          Not(HasSubstr("hunter2"))));
}

TEST(Load, CompilesFunctionsAndPlacesTheirProblems) {
  Directory directory;
  directory.write("a.yaml", kInstallation)
      .write("objects.yaml", kObjects)
      .write("functions/a.jq", "def twice: . * 2;\n")
      .write("r.yaml",
             "route: r\nfrom: order\nto: mes\nwhen: .rev | twice | . > 1\n"
             "requests: { changed: { path: /a } }\n");
  EXPECT_THAT(render(load_directory(directory.path()).problems), IsEmpty());
  directory.write("functions/b.jq", "def ok: 1;\ndef broken: $nope;\n");
  EXPECT_THAT(render(load_directory(directory.path()).problems),
              HasSubstr("functions/b.jq:2:13: error: functions: "));
}

TEST(Load, ReadsAndRefusesSchemas) {
  Directory directory;
  directory.write("a.yaml", kInstallation)
      .write("e.yaml", "entity: e\nevents: { changed: true }\nschema: schemas/e.json\n");
  EXPECT_THAT(render(load_directory(directory.path()).problems), HasSubstr("schemas/e.json"));
  directory.write("schemas/e.json", R"({"type":"objekt"})");
  EXPECT_THAT(render(load_directory(directory.path()).problems), HasSubstr("/type: expected null"));
  directory.write("schemas/e.json", R"({"type":"object"})");
  EXPECT_TRUE(load_directory(directory.path()).config);
}

TEST(Load, FingerprintsChangeWithWhatTheyCover) {
  Directory directory;
  const auto write = [&](std::string_view unit, std::string_view text) {
    directory.write("a.yaml", kInstallation).write("o.yaml", kObjects).write("r.yaml", text);
    directory.write("t.yaml", "table: uom\nrows: { a: " + std::string(unit) + " }\n---\n" +
                                  "entity: part\nevents: { changed: true }\nfrom:\n"
                                  "  - { connection: shop, map: 'lookup(\"uom\"; .u)' }\n");
    auto report = load_directory(directory.path());
    EXPECT_TRUE(report.config) << render(report.problems);
    return report.config;
  };
  const auto first = write("x", kRoute);
  const auto same = write("x", "# a comment\n" + std::string(kRoute));
  const auto table = write("y", kRoute);
  const auto route = write("x", std::string(kRoute) + "summary: s\n");
  EXPECT_NE(first->content_hash, same->content_hash);
  EXPECT_EQ(first->routes.at("order-to-mes").fingerprint,
            same->routes.at("order-to-mes").fingerprint);
  EXPECT_EQ(first->entities.at("order").fingerprint, table->entities.at("order").fingerprint);
  EXPECT_NE(first->entities.at("part").from[0].program, table->entities.at("part").from[0].program);
  EXPECT_NE(first->routes.at("order-to-mes").fingerprint,
            route->routes.at("order-to-mes").fingerprint);
  EXPECT_EQ(first->entities.at("part").fingerprint, route->entities.at("part").fingerprint);
}

TEST(Load, SaysProblemsInJson) {
  const Json json = problems_to_json(load_text("table: t\nrows: 1\n").problems);
  ASSERT_EQ(json.as_array().size(), 1U);
  EXPECT_EQ(string_or(json.as_array()[0], "level", ""), "error");
  EXPECT_EQ(int_or(json.as_array()[0], "line", 0), 2);
  EXPECT_EQ(string_or(json.as_array()[0], "path", ""), "table t / rows");
}

// Whatever stands in the files, load ends with a config or with problems.
TEST(Load, SurvivesMutatedConfigurations) {
  const auto seed = static_cast<std::uint32_t>(std::random_device{}());
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  std::ifstream file(fixture("design_sample_1/millrace.yaml"));
  const std::string sample(std::istreambuf_iterator<char>(file), {});
  const std::string alphabet = "\n :#-[]{}&*!|'\"$.\\~0(";
  Directory directory;
  for (int round = 0; round < 150; ++round) {
    std::string text = sample;
    for (std::uint32_t edits = 1 + random() % 6; edits > 0; --edits) {
      const std::size_t at = random() % text.size();
      if (random() % 3 == 0) {
        text.erase(at, random() % 20);
      } else {
        text.insert(at, 1, alphabet[random() % alphabet.size()]);
      }
    }
    directory.write("millrace.yaml", text);
    const LoadReport report = load_directory(directory.path());
    EXPECT_EQ(report.config == nullptr, has_errors(report.problems));
    EXPECT_FALSE(render(report.problems).empty());  // schemas and vars are missing in any case
  }
}

}  // namespace
}  // namespace millrace::config
