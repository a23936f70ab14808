// functions/*.jq: who gets which function, where their problems are shown, what a change touches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

constexpr std::string_view kRoutes = R"(table: uom
rows: { Units: C62 }
---
entity: part
key: KEY
from:
  - { connection: shop, map: '{ sku, unit: (.unit | unit) }' }
events: { changed: true }
---
route: orders
from: order
to: mes
requests: { changed: { path: "/orders/${ .data.number | padded }" } }
---
route: parts
from: part
to: mes
requests: { changed: { path: "/parts/${ .data.sku }" } }
)";
constexpr std::string_view kUnits = R"(# Units of measure.
def code(f): lookup("uom"; f);
def unit:
  code(.);   # as the MES calls it
)";
constexpr std::string_view kText = R"(def spaces: "      ";
# six wide
def padded: (spaces + .)[-6:];
)";

LoadReport load_functions(std::string_view units, std::string_view text,
                          const std::string& key = ".sku") {
  std::string routes(kRoutes);
  routes.replace(routes.find("KEY"), 3, key);
  Directory directory;
  directory.write("a.yaml", kInstallation).write("o.yaml", kObjects).write("r.yaml", routes);
  directory.write("functions/text.jq", text).write("functions/units.jq", units);
  return load_directory(directory.path());
}

std::string problems(std::string_view units, std::string_view text,
                     const std::string& key = ".sku") {
  return render(load_functions(units, text, key).problems);
}

TEST(Functions, AreUsableInEveryExpression) {
  EXPECT_THAT(problems(kUnits, kText), IsEmpty());
  EXPECT_THAT(problems(kUnits, kText, ".sku | padded"), IsEmpty());
}

TEST(Functions, ProblemsStandInTheirFile) {
  EXPECT_THAT(problems(kUnits, "def ok: 1;\n\ndef padded: . +\n  $nope;\n"),
              HasSubstr("functions/text.jq:4:3: error: functions: $nope is not defined"));
  const std::string broken = problems(kUnits, "def padded: if . then 1;\n");
  EXPECT_THAT(broken, AllOf(HasSubstr("functions/text.jq:1:24: error: functions: "),
                            Not(HasSubstr("is not defined"))));
  EXPECT_THAT(
      problems(kUnits, "def padded: 1;\n.data\n"),
      HasSubstr("functions/text.jq:3:1: error: functions: unexpected `.` (a functions file holds "
                "`def name: ...;`)"));
  EXPECT_THAT(problems("def unit: lookup(\"uon\"; .);\n", kText),
              HasSubstr("functions/units.jq:1:18: error: functions: lookup: there is no table `uon`"
                        "; there are uom; did you mean `uom`?"));
}

TEST(Functions, RefuseRecursion) {
  EXPECT_THAT(problems(kUnits, "def padded:\n  if . > 1 then . - 1 | padded else . end;\n"),
              HasSubstr("functions/text.jq:2:25: error: functions: the recursive function padded/0 "
                        "is not supported"));
  EXPECT_THAT(problems(kUnits, "def padded: later;\ndef later: padded;\n"),
              HasSubstr("functions/text.jq:1:13: error: functions: "));
}

TEST(Functions, AreDefinedOnce) {
  EXPECT_THAT(problems("def padded: .;\n" + std::string(kUnits), kText),
              HasSubstr("functions/units.jq:1:1: error: functions: padded/0 is defined twice; the "
                        "first stands in functions/text.jq:3"));
  EXPECT_THAT(problems("def padded(f): f;\n" + std::string(kUnits), kText), IsEmpty());
}

TEST(Functions, WhatAPlaceForbidsIsForbiddenInsideThemToo) {
  const std::string text = problems(kUnits, kText, ".sku | unit");
  EXPECT_THAT(text, AllOf(HasSubstr("functions/units.jq:2:14: error: entity part / key: lookup "
                                    "cannot be used in this place"),
                          HasSubstr("the expression at r.yaml:5:6 calls it")));
}

TEST(Functions, AChangeTouchesWhatUsesThem) {
  const auto first = load_functions(kUnits, kText).config;
  const auto comment = load_functions("# c\n" + std::string(kUnits) + "# d\n", kText).config;
  const auto units = load_functions("def unit: \"x\" + .;\n", kText).config;
  const auto text = load_functions(kUnits, "def padded: .;\n").config;
  ASSERT_TRUE(first && comment && units && text);
  const auto route = [](const ConfigPtr& config, const char* name) {
    return config->routes.at(name).fingerprint;
  };
  const auto program = [](const ConfigPtr& config) {
    return config->entities.at("part").from[0].program;
  };
  EXPECT_EQ(program(first), program(comment));
  EXPECT_NE(program(first), program(units));
  EXPECT_EQ(program(first), program(text));
  EXPECT_EQ(first->entities.at("part").fingerprint, text->entities.at("part").fingerprint);
  EXPECT_EQ(route(first, "orders"), route(units, "orders"));
  EXPECT_NE(route(first, "orders"), route(text, "orders"));
  EXPECT_EQ(route(first, "parts"), route(text, "parts"));
}

TEST(Functions, ATableInsideThemIsATableOfTheExpression) {
  const auto config = load_functions(kUnits, kText).config;
  ASSERT_TRUE(config);
  EXPECT_EQ(config->entities.at("part").from[0].map.compiled->tables(),
            std::vector<std::string>{"uom"});
}

}  // namespace
}  // namespace millrace::config
