// Whatever the text or the data: an evaluation ends, and nothing brings the process down.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <iostream>
#include <random>

#include "expr/eval_command.hpp"
#include "expression_test_support.hpp"

namespace millrace {
namespace {

using testing::HasSubstr;

std::string repeated(std::string_view part, std::size_t times) {
  std::string text;
  text.reserve(part.size() * times);
  for (std::size_t i = 0; i < times; ++i) text += part;
  return text;
}

TEST(ExpressionBudget, EndsWhatWouldNotEnd) {
  for (const std::string_view text :
       {"last(range(1000000000000))", "[range(1000000000000)]", "[repeat(1)]", "\"a\" * 1e9",
        "\"ab\" * 1e300", "[recurse(.)]", "last(recurse(. + 1))", "[recurse([.])]",
        "reduce range(1e9) as $i (0; . + 1)", "reduce range(1e9) as $i (0; [.])",
        "reduce range(1e9) as $i ([0]; .[0] |= [.])", "reduce range(1e9) as $i (\"a\"; . + .)",
        "reduce range(1e9) as $i ({}; .[\"k\\($i)\"] = $i)", "until(false; . + 1)",
        "[while(true; [.])]", "last(while(true; . + (1,2)))", "until(false; .,.)",
        "[range(1000) | range(1000) | range(1000)] | length", "null | .[100000000] = 1",
        "[limit(1000000000; repeat(1))] | length", "last(foreach range(1e12) as $x (0; . + $x))",
        "reduce range(100) as $i ([0]; . + .)", "reduce range(40) as $i (\"x\"; \"\\(.)\\(.)\")",
        "[range(1000)] | reduce range(1e6) as $i (.; sort)", "[recurse(., .)]",
        "last(range(1e18; 1e18 + 1000; 0.001))",
        "def a(f): f | f; def b(f): a(a(a(f))); def c(f): b(b(b(f))); c(c(. + 1))",
        "reduce range(1e7) as $i ([]; setpath([$i]; 1))",
        "[range(300000)] | tojson | tojson | tojson",
        "reduce range(1e6) as $i ([0]; [.[0] |= [.]])", "[limit(1e9; repeat(\"a\" * 1000))]",
        // Errors about large values are caught again and again: showing one may not cost its size.
        "(\"ab\" * 400000) as $s | last(range(1e9) | ($s | tonumber)?)",
        "(\"ab\" * 400000) as $s | last(range(1e9) | ($s + 1)?)",
        "(\"ab\" * 400000) as $s | last(range(1e9) | ($s | date(\"%Y\"; \"UTC\"))?)",
        "[range(9000)] as $s | last(range(1e9) | ($s | error)?)",
        "[range(9000)] as $s | last(range(1e9) | $s == $s)",
        "(\"ab\" * 400000) as $s | last(range(1e9) | $s | test(\"b{3}\"))"}) {
    const auto result = evaluate_in(text, "0", {});
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, Errc::budget_exceeded) << text << ": " << result.error().message;
  }
}

TEST(ExpressionBudget, IsNotCaught) {
  for (const std::string_view text :
       {"try last(range(1e12)) catch 1", "(last(range(1e12)))?", "last(range(1e12)) // 1",
        "[.[]?, (try ([range(1e12)]) catch 2)]", "any(repeat(false); .)",
        "isempty(repeat(empty))"}) {
    const auto result = evaluate_in(text, "0", {});
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, Errc::budget_exceeded) << text;
  }
}

TEST(ExpressionBudget, CountsStepsBytesAndDepthOfTheContext) {
  ExpressionContext few;
  few.budget.steps_max = 100;
  EXPECT_TRUE(evaluate_in("[range(20)]", "null", few));
  EXPECT_THAT(evaluate_in("[range(200)]", "null", few).error().message, HasSubstr("100 steps"));
  ExpressionContext small;
  small.budget.output_bytes_max = 1000;
  EXPECT_TRUE(evaluate_in("\"a\" * 900", "null", small));
  EXPECT_THAT(evaluate_in("\"a\" * 1100", "null", small).error().message, HasSubstr("1000 bytes"));
  EXPECT_EQ(evaluate_in("{a: [\"a\" * 600, \"a\" * 600]}", "null", small).error().code,
            Errc::budget_exceeded);
  ExpressionContext flat;
  flat.budget.depth_max = 3;
  EXPECT_TRUE(evaluate_in("def a: 1; def b: a; def c: b; c", "null", flat));
  EXPECT_EQ(evaluate_in("def a: 1; def b: a; def c: b; def d: c; d", "null", flat).error().code,
            Errc::budget_exceeded);
}

TEST(ExpressionBudget, ShowsTheBeginningOfALargeValueOnly) {
  EXPECT_EQ(failure("\"é\" * 1000 | -(.)").message, "string (\"ééééé...) cannot be negated");
  EXPECT_EQ(failure("[range(1000)] | -(.)").message, "array ([0,1,2,3,4,...) cannot be negated");
  EXPECT_EQ(failure("{a: [{b: \"some text\"}]} | -(.)").message,
            "object ({\"a\":[{\"b\":...) cannot be negated");
}

TEST(ExpressionBudget, LetsOrdinaryFoldsGrow) {
  // 2,000 lines appended one by one: in place, or the copies alone would break the budget.
  EXPECT_EQ(evaluated("reduce range(2000) as $i ([]; . + [{id: $i}]) | length"), "2000");
  EXPECT_EQ(evaluated("reduce range(2000) as $i ({}; .[\"k\\($i % 50)\"] += $i) | length"), "50");
  EXPECT_EQ(evaluated("reduce range(2000) as $i (\"\"; . + \"x\") | length"), "2000");
}

TEST(ExpressionBudget, RefusesTextsThatAreTooDeepOrTooLong) {
  for (const auto& [open, close] :
       std::vector<std::pair<std::string_view, std::string_view>>{{"(", ")"},
                                                                  {"[", "]"},
                                                                  {"{a:", "}"},
                                                                  {"\"\\(", ")\""},
                                                                  {"-", ""},
                                                                  {"try ", ""},
                                                                  {"1 as $x | ", ""},
                                                                  {"def f: ", ""},
                                                                  {"if ", ""},
                                                                  {"1 + (", ")"},
                                                                  {"map(", ")"},
                                                                  {"1 // ", ""},
                                                                  {"reduce ", ""},
                                                                  {".[", "]"}}) {
    const auto found = problem(repeated(open, 10'000) + "1" + repeated(close, 10'000));
    EXPECT_THAT(found.message, testing::AnyOf(HasSubstr("deeper"), HasSubstr("longer")));
  }
  EXPECT_THAT(problem(repeated("1+", 10'000) + "1").message, HasSubstr("deeper"));
  EXPECT_THAT(problem("." + repeated("[0]", 10'000)).message, HasSubstr("deeper"));
  EXPECT_THAT(problem(repeated(" ", 65'537)).message, HasSubstr("longer"));
  EXPECT_EQ(evaluated(repeated(".|", 10'000) + ".", "7"), "7");
  EXPECT_EQ(evaluated("[" + repeated("1,", 10'000) + "1] | length"), "10001");
  EXPECT_EQ(evaluated(repeated("(", 90) + "1" + repeated(")", 90)), "1");
}

TEST(ExpressionBudget, SurvivesInputsAtTheDepthLimit) {
  const std::string deep = repeated("[", 128) + repeated("]", 128);
  EXPECT_EQ(evaluated("[..] | length", deep), "128");
  EXPECT_EQ(evaluated("flatten", deep), "[]");
  EXPECT_EQ(evaluated(". == .", deep), "true");
  EXPECT_EQ(evaluated("[paths] | length", deep), "127");
}

std::string token_soup(std::mt19937_64& random) {
  static const std::vector<std::string> kTokens = {
      ".",        "..",       ".a",         ".b?",      "[]",
      "[0]",      "[",        "]",          "{",        "}",
      "(",        ")",        "|",          ",",        "//",
      "+",        "-",        "*",          "/",        "%",
      "==",       "<",        "and",        "or",       "not",
      "if",       "then",     "else",       "elif",     "end",
      "as",       "$x",       "reduce",     "foreach",  "try",
      "catch",    "def f:",   ";",          "f",        "1",
      "2.5",      "\"s\"",    "\"\\(",      "\"",       "null",
      "true",     "map(",     "select(",    "first(",   "range(3)",
      "empty",    "error",    "@base64",    "@csv",     "a:",
      "?",        "|=",       "=",          "+=",       "test(\"a\")",
      "sort_by(", "limit(1;", "to_entries", "$__loc__", "label",
      "?//",      ":",        "\xff",       "#c\n",     "1e9",
      "path(",    "del(",     "tojson",     "add",      "keys",
      "length",   "[.[]",     "\\",         "'",        "99999999999999999999"};
  std::string text;
  const std::size_t count = 1 + random() % 14;
  for (std::size_t i = 0; i < count; ++i) {
    text += kTokens[random() % kTokens.size()];
    if (random() % 3 != 0) text += ' ';
  }
  return text;
}

TEST(ExpressionRobustness, NeverCrashesOnTokenSoup) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::cout << "seed " << seed << '\n';
  std::mt19937_64 random(seed);
  const Json input = *parse_json(R"({"a":[1,{"b":"x"},null,2.5],"b":{"a":true}})");
  ExpressionContext context;
  context.budget.steps_max = 5000;
  std::size_t compiled = 0;
  std::size_t ended = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto expression = Expression::compile(token_soup(random));
    if (!expression) {
      ASSERT_FALSE(expression.error().message.empty());
      continue;
    }
    ++compiled;
    const auto done = expression->for_each(
        input, context, [](const Json& value) { return !write_json(value).empty(); });
    ended += done || !done.error().message.empty() ? 1 : 0;
  }
  EXPECT_GT(compiled, 100U);
  EXPECT_EQ(ended, compiled);
}

TEST(EvalCommand, PrintsOneOutputALine) {
  std::istringstream in("{\"a\":[1,\n2.0]}");
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(expr::run_eval(".a[]", "", in, out, err), 0);
  EXPECT_EQ(out.str(), "1\n2.0\n");
  EXPECT_EQ(err.str(), "");
}

TEST(EvalCommand, ReadsOneDocumentALine) {
  std::istringstream in("1\n\n{\"a\":2}\n");
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(expr::run_eval(".a? // .", "", in, out, err), 0);
  EXPECT_EQ(out.str(), "1\n2\n");
}

TEST(EvalCommand, TellsARunTimeErrorAndGoesOn) {
  std::istringstream in("1\n{\"a\":2}\n");
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(expr::run_eval(".a", "", in, out, err), 1);
  EXPECT_EQ(out.str(), "2\n");
  EXPECT_EQ(err.str(), "error: Cannot index number with \"a\"\n");
}

TEST(EvalCommand, PointsAtWhatDoesNotCompile) {
  std::istringstream in("1");
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(expr::run_eval(".a\n  | input", "", in, out, err), 2);
  EXPECT_EQ(out.str(), "");
  EXPECT_EQ(err.str(),
            "not supported: 2:5: `input` is not supported; an expression sees one value; batches "
            "are in $batch\n  | input\n    ^\n");
}

TEST(EvalCommand, TellsUnreadableInput) {
  std::istringstream in("{\"a\":");
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(expr::run_eval(".", "", in, out, err), 1);
  EXPECT_THAT(err.str(), HasSubstr("input line 1"));
}

}  // namespace
}  // namespace millrace
