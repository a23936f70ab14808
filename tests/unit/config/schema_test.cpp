#include "config/schema.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace millrace::config {
namespace {

using ::testing::HasSubstr;

Json json(std::string_view text) {
  return *parse_json(text);
}

SchemaValidator compile(std::string_view text) {
  return *SchemaValidator::compile(json(text));
}

/// "" when the data fits.
std::string violation(std::string_view schema, std::string_view data) {
  const auto result = compile(schema).validate(json(data));
  return result ? "" : result.error().message;
}

TEST(Schema, NamesThePlaceAndWhatWasExpected) {
  const std::string_view schema = R"({"type":"object","required":["lines"],
    "properties":{"lines":{"type":"array","items":{"type":"object",
      "properties":{"sku":{"type":"string"},"qty":{"type":"number","exclusiveMinimum":0}}}}},
    "additionalProperties":false})";
  EXPECT_EQ(violation(schema, R"({"lines":[{"sku":"A","qty":1.5}]})"), "");
  EXPECT_EQ(violation(schema, R"({"lines":[{"sku":"A"},{"sku":null}]})"),
            "/lines/1/sku: expected a string, found null");
  EXPECT_EQ(violation(schema, R"({"lines":[{"qty":0}]})"), "/lines/0/qty: 0 is not more than 0");
  EXPECT_EQ(violation(schema, "{}"), "/: `lines` is missing");
  EXPECT_EQ(violation(schema, R"({"lines":[],"x":1})"), "/: `x` is not known here");
  EXPECT_EQ(violation(schema, "[]"), "/: expected an object, found a list");
}

struct Case {
  std::string_view schema;
  std::string_view good;
  std::string_view bad;
};

TEST(Schema, KnowsTheKeywordsOfDraft7) {
  const std::vector<Case> cases{
      {R"({"type":"integer"})", "3.0", "3.5"},
      {R"({"type":["number","null"]})", "null", "\"x\""},
      {R"({"const":{"a":1}})", R"({"a":1.0})", R"({"a":2})"},
      {R"({"enum":["a",1]})", "1", "\"b\""},
      {R"({"minimum":2,"maximum":3})", "3", "3.1"},
      {R"({"exclusiveMaximum":3})", "2", "3"},
      {R"({"multipleOf":0.01})", "19.99", "19.995"},
      {R"({"minLength":2,"maxLength":3})", "\"\u00e9\u00e9\"", "\"\u00e9\""},
      {R"({"pattern":"^a+$"})", "\"aaa\"", "\"ab\""},
      {R"({"format":"date"})", "\"2024-02-29\"", "\"2023-02-29\""},
      {R"({"format":"date-time"})", "\"2026-11-21T22:05:48Z\"", "\"2026-11-21 22:05:48\""},
      {R"({"format":"time"})", "\"22:05:48Z\"", "\"25:00:00Z\""},
      {R"({"format":"ipv4"})", "\"10.0.0.255\"", "\"10.0.0.256\""},
      {R"({"format":"uuid"})", "\"123e4567-e89b-12d3-a456-426614174000\"", "\"123\""},
      {R"({"items":[{"type":"string"}],"additionalItems":false})", R"(["a"])", R"(["a",1])"},
      {R"({"contains":{"const":1},"uniqueItems":true})", "[1,2]", "[1,2,2.0]"},
      {R"({"contains":{"const":1}})", "[1]", "[2]"},
      {R"({"minItems":1,"maxItems":2})", "[1]", "[]"},
      {R"({"patternProperties":{"^x":{"type":"string"}},"additionalProperties":false})",
       R"({"xa":"b"})", R"({"ya":"b"})"},
      {R"({"propertyNames":{"maxLength":2}})", R"({"ab":1})", R"({"abc":1})"},
      {R"({"minProperties":1,"maxProperties":1})", R"({"a":1})", "{}"},
      {R"({"dependencies":{"a":["b"]}})", R"({"a":1,"b":2})", R"({"a":1})"},
      {R"({"dependencies":{"a":{"required":["b"]}}})", R"({"b":2})", R"({"a":1})"},
      {R"({"allOf":[{"minimum":1},{"maximum":2}]})", "2", "3"},
      {R"({"anyOf":[{"type":"string"},{"minimum":5}]})", "5", "4"},
      {R"({"oneOf":[{"multipleOf":2},{"multipleOf":3}]})", "4", "6"},
      {R"({"not":{"type":"null"}})", "1", "null"},
      {R"({"if":{"properties":{"t":{"const":"a"}}},"then":{"required":["x"]},
           "else":{"required":["y"]}})",
       R"({"t":"b","y":1})", R"({"t":"a","y":1})"},
      {R"({"definitions":{"n":{"type":"object","properties":{"next":{"$ref":"#/definitions/n"}},
           "additionalProperties":false}},"$ref":"#/definitions/n"})",
       R"({"next":{"next":{}}})", R"({"next":{"nxt":{}}})"},
      {R"({"properties":{"a":false}})", R"({"b":1})", R"({"a":1})"},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(violation(one.schema, one.good), "") << one.schema;
    EXPECT_NE(violation(one.schema, one.bad), "") << one.schema;
  }
}

TEST(Schema, RefusesWhatItCannotKeep) {
  const auto refusal = [](std::string_view text) {
    const auto made = SchemaValidator::compile(json(text));
    return made ? std::string() : made.error().message;
  };
  EXPECT_THAT(refusal(R"({"type":"strnig"})"), HasSubstr("/type: expected null, boolean"));
  EXPECT_THAT(refusal(R"({"properties":{"a":{"pattern":"(a"}}})"),
              HasSubstr("/properties/a/pattern: the pattern cannot be used"));
  EXPECT_THAT(refusal(R"({"$ref":"http://example.com/x.json"})"), HasSubstr("outside the file"));
  EXPECT_THAT(refusal(R"({"$ref":"#/definitions/none"})"), HasSubstr("leads nowhere"));
  EXPECT_THAT(refusal("[]"), HasSubstr("a schema is an object"));
}

TEST(Schema, EndsWhereASchemaRefersToItself) {
  const auto made = SchemaValidator::compile(json(R"({"$ref":"#"})"));
  ASSERT_TRUE(made);
  EXPECT_THAT(made->validate(json("1")).error().message, HasSubstr("without end"));
}

// std::regex needs stack for every character and dies on such strings.
TEST(Schema, MatchesLongStringsWithoutStack) {
  const std::string text = "\"" + std::string(500'000, 'a') + "\"";
  EXPECT_EQ(violation(R"({"pattern":"^(a|b)*$","not":{"format":"date-time"}})", text), "");
}

TEST(Schema, KeepsClassifiedValuesOutOfMessages) {
  EXPECT_EQ(violation(R"({"x-class":"personal","pattern":"^[0-9]+$"})", "\"Jane Doe\""),
            "/: the value does not match ^[0-9]+$");
}

TEST(Schema, ValidatesOnSeveralThreadsAtOnce) {
  const SchemaValidator schema = compile(R"({"items":{"pattern":"^[a-z]+$","format":"email"}})");
  const Json bad = json(R"(["x","A"])");
  std::vector<std::jthread> threads;
  std::atomic<int> refused = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) refused += schema.validate(bad) ? 0 : 1;
    });
  }
  threads.clear();
  EXPECT_EQ(refused, 800);
}

}  // namespace
}  // namespace millrace::config
