#include "millrace/json.hpp"

#include <gtest/gtest.h>

namespace millrace {
namespace {

std::string round_trip(std::string_view text) {
  auto parsed = parse_json(text);
  return parsed ? write_json(*parsed) : "error: " + parsed.error().message;
}

TEST(Json, KeepsWhatWasSent) {
  for (const std::string_view text :
       {"null", "true", "-0.5", "3.0", "9223372036854775807", "18446744073709551615", R"("é\n")",
        R"({"b":1,"a":[{},[],""]})", R"([1,2.5,"x"])"}) {
    EXPECT_EQ(round_trip(text), text);
  }
}

TEST(Json, RefusesWhatItWouldHaveToChange) {
  for (const std::string_view text : {"",
                                      " ",
                                      "{",
                                      "[1,]",
                                      "{\"a\":1,}",
                                      R"({"a":1,"a":2})",
                                      "01",
                                      "1.",
                                      ".5",
                                      "+1",
                                      "1e",
                                      "tru",
                                      "nul",
                                      "'a'",
                                      "\"\\x\"",
                                      "\"\\ud800\"",
                                      "\"\xff\"",
                                      "\"\xc0\xaf\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"a\nb\"",
                                      "1 2",
                                      "123456789012345678901234567890",
                                      "1e999",
                                      "NaN",
                                      "-",
                                      "[1 2]",
                                      "{1:2}",
                                      "\"abc",
                                      "\xef\xbb\xbf{}"}) {
    EXPECT_EQ(round_trip(text).substr(0, 6), "error:") << text;
  }
}

TEST(Json, RefusesDepthBeyondTheLimitWithoutRecursing) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(parse_json(nested(128)));
  const auto deep = parse_json(nested(100'000));
  ASSERT_FALSE(deep);
  EXPECT_EQ(deep.error().code, Errc::too_deep);
}

TEST(Json, CanonicalTextIsEqualForEqualValues) {
  EXPECT_EQ(canonical_json(*parse_json(R"({"b":1.0,"a":2})")),
            canonical_json(*parse_json(R"({"a":2.0,"b":1})")));
  EXPECT_NE(canonical_json(*parse_json("1.5")), canonical_json(*parse_json("1")));
}

TEST(Json, OrdersAsJqDoes) {
  const char* ordered[] = {
      "null",      "false", "true", "-1", "1",          "1.5",        "\"a\"",
      "\"b\"",     "[]",    "[1]",  "{}", R"({"a":1})", R"({"a":2})", R"({"a":0,"b":1})",
      R"({"b":0})"};
  for (std::size_t i = 0; i + 1 < std::size(ordered); ++i) {
    EXPECT_LT(compare_json(*parse_json(ordered[i]), *parse_json(ordered[i + 1])), 0) << ordered[i];
    EXPECT_GT(compare_json(*parse_json(ordered[i + 1]), *parse_json(ordered[i])), 0) << ordered[i];
  }
  EXPECT_TRUE(equal_json(*parse_json("1"), *parse_json("1.0")));
  EXPECT_FALSE(equal_json(*parse_json("9007199254740993"), *parse_json("9007199254740992.0")));
}

}  // namespace
}  // namespace millrace
