#include "config/yaml.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "config/problems.hpp"

namespace millrace::config {
namespace {

using ::testing::HasSubstr;

std::string problems_of(std::string_view text) {
  std::vector<Problem> problems;
  parse_yaml(text, "a.yaml", problems);
  std::string out;
  for (const Problem& problem : problems) out += render_line(problem) + "\n";
  return out;
}

Node parse_one(std::string_view text) {
  std::vector<Problem> problems;
  auto documents = parse_yaml(text, "a.yaml", problems);
  EXPECT_EQ(problems.size(), 0U) << problems_of(text);
  EXPECT_EQ(documents.size(), 1U);
  return documents.empty() ? Node() : std::move(documents.front());
}

TEST(Yaml, KnowsTheScalarsOfYaml12) {
  const Node root = parse_one(
      "a: yes\nb: true\nc: 12\nd: 1.5e3\ne: ~\nf: \"12\"\ng: 0x1F\nh: 0o17\ni: .inf\nj: 1.2.3\n");
  using Kind = Node::Kind;
  const std::vector<Kind> expected{Kind::string, Kind::boolean, Kind::integer, Kind::number,
                                   Kind::null,   Kind::string,  Kind::integer, Kind::integer,
                                   Kind::number, Kind::string};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(root.members[i].value.kind, expected[i]) << root.members[i].key;
  }
}

TEST(Yaml, TellsWhereKeysAndValuesStand) {
  const Node root = parse_one("first: 1\nsecond:\n  inner: \"x\"\ntext: |\n  one\n    two\n");
  EXPECT_EQ(root.members[1].line, 2);
  const auto& inner = root.members[1].value.members[0];
  EXPECT_EQ(inner.line, 3);
  EXPECT_EQ(inner.column, 3);
  EXPECT_EQ(inner.value.column, 10);
  EXPECT_EQ(inner.value.text_column, 11);
  const Node& text = root.members[2].value;
  EXPECT_EQ(text.text, "one\n  two\n");
  EXPECT_EQ(text.text_line, 5);
  EXPECT_EQ(text.text_column, 3);
}

TEST(Yaml, ReadsSeveralDocumentsAndSkipsEmptyOnes) {
  std::vector<Problem> problems;
  EXPECT_EQ(parse_yaml("a: 1\n---\n---\n# nothing\n---\nb: 2\n", "a.yaml", problems).size(), 2U);
  EXPECT_TRUE(problems.empty());
}

TEST(Yaml, RefusesWhatSilentlyMeansSomethingElse) {
  EXPECT_THAT(problems_of("a: 1\nb: 2\na: 3\n"),
              HasSubstr("a.yaml:3:1: error: duplicate key `a`; it stands on line 1 already"));
  EXPECT_THAT(problems_of("a:\n\tb: 1\n"), HasSubstr("a.yaml:2:1: error: a tab"));
  EXPECT_THAT(problems_of("a: &x 1\n"), HasSubstr("1:4: error: anchors (`&x`)"));
  EXPECT_THAT(problems_of("a: *x\n"), HasSubstr("1:4: error: aliases (`*x`)"));
  EXPECT_THAT(problems_of("a:\n  <<: { b: 1 }\n"), HasSubstr("2:3: error: merge keys"));
  EXPECT_THAT(problems_of("a: !!python/object:os.system x\n"), HasSubstr("1:4: error: tags"));
  EXPECT_THAT(problems_of("a: !!str 1\n"), HasSubstr("1:4: error: tags"));
  EXPECT_THAT(problems_of("? [ a, b ]\n: 1\n"), HasSubstr("error: a key must be"));
  EXPECT_THAT(problems_of("a: \xFF\n"), HasSubstr("1:4: error: invalid UTF-8"));
  EXPECT_THAT(problems_of(std::string_view("a: \0\n", 5)), HasSubstr("1:4: error: a control"));
  EXPECT_THAT(problems_of("%TAG ! tag:x,2000:\n---\na: 1\n"), HasSubstr("`%TAG` is not allowed"));
}

TEST(Yaml, AdvisesABlockWhereAColonCutsAnExpression) {
  const std::string text = problems_of("map: { a: .b } | { c: .d }\n");
  EXPECT_THAT(text, HasSubstr("put `|` after the key"));
  EXPECT_THAT(problems_of("when: .a == \"x: y\" and .b: 1\n"),
              HasSubstr("put `|` after the key and the expression on a new line"));
}

TEST(Yaml, KnowsThatACommentFollowsAPlainValue) {
  EXPECT_TRUE(parse_one("a: .b == \"x # y\"\n").members[0].value.cut_by_comment);
  EXPECT_FALSE(parse_one("a: .b\n# c\n").members[0].value.cut_by_comment);
  EXPECT_TRUE(parse_one("a: gr\xC3\xB6\xC3\x9F"
                        "er # c\n")
                  .members[0]
                  .value.cut_by_comment);
}

TEST(Yaml, BoundsDepthValuesAndBytes) {
  EXPECT_THAT(problems_of(std::string(200'000, '[')), HasSubstr("nested deeper than 32"));
  std::string many = "a: [";
  for (std::size_t i = 0; i < kYamlNodesMax; ++i) many += "1,";
  EXPECT_THAT(problems_of(many + "1]\n"), HasSubstr("more than 100000 values"));
  EXPECT_THAT(problems_of(std::string(kYamlBytesMax + 1, 'a')), HasSubstr("at most 1048576"));
}

// A line may hold the whole file; looking for what follows a value must not walk it each time.
TEST(Yaml, ReadsALineOfAMegabyte) {
  std::string text = "a: { ";
  for (std::size_t i = 0; i < 40'000; ++i) text += fmt::format("k{}: \u00e9 , ", i);
  EXPECT_EQ(parse_one(text + "}\n").members[0].value.members.size(), 40'000U);
}

TEST(Yaml, RefusesBillionLaughsAtTheFirstAnchor) {
  std::string text = "a: &a [ lol, lol ]\n";
  for (char c = 'b'; c < 'n'; ++c) {
    text += fmt::format("{0}: &{0} [ *{1}, *{1}, *{1} ]\n", c, static_cast<char>(c - 1));
  }
  EXPECT_THAT(problems_of(text), HasSubstr("1:4: error: anchors"));
}

// Whatever the bytes, the parser ends with documents or problems.
TEST(Yaml, SurvivesMutatedInputs) {
  const std::string seed_text =
      "name: plant\nlist: [ 1, \"two\", { three: 3 } ]\nblock: |\n  .a | { b: .c } # d\n"
      "folded: >-\n  x\n  y\nquoted: 'it''s'\n---\nroute: r\nwhen: .a == \"b\"\nnested:\n"
      "  - a: 1\n    b: [ ~, true ]\n  - \"\\u00e9\\n\"\n";
  const std::string alphabet = "\n :#-[]{}&*!|>'\"%@`,?\\\t\r$abc019~<.\xC3\xFF";
  const auto seed = static_cast<std::uint32_t>(std::random_device{}());
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  std::size_t refused = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string text = seed_text;
    for (std::uint32_t edits = 1 + random() % 12; edits > 0; --edits) {
      const std::size_t at = random() % (text.size() + 1);
      const char c = alphabet[random() % alphabet.size()];
      switch (random() % 4) {
        case 0:
          text.insert(at, 1, c);
          break;
        case 1:
          text.erase(at, random() % 8);
          break;
        case 2:
          if (at < text.size()) text[at] = c;
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 40));
      }
    }
    std::vector<Problem> problems;
    const auto documents = parse_yaml(text, "a.yaml", problems);
    for (const Problem& problem : problems) {
      EXPECT_FALSE(problem.message.empty());
      EXPECT_GE(problem.place.line, 1);
    }
    refused += problems.empty() ? 0 : 1;
  }
  EXPECT_GT(refused, 0U);
}

}  // namespace
}  // namespace millrace::config
