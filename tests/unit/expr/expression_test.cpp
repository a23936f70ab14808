// What corpus lines cannot say: the contract of Expression, our own functions, positions, budgets.
#include "millrace/expression.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "expression_test_support.hpp"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Expression, KeepsIntegersExact) {
  EXPECT_EQ(evaluated(".id + 0", R"({"id":9007199254740993})"), "9007199254740993");
  EXPECT_EQ(evaluated(". * 3", "3074457345618258602"), "9223372036854775806");
  EXPECT_EQ(evaluated(". + 1", "9223372036854775807"), "9223372036854775808");
  EXPECT_EQ(evaluated("-(.)", "-9223372036854775808"), "9223372036854775808");
  EXPECT_THAT(failure(". + 1", "18446744073709551615").message, HasSubstr("integer overflow"));
  EXPECT_THAT(failure(". * .", "9223372036854775807").message, HasSubstr("integer overflow"));
}

TEST(Expression, KeepsTheFractionOfAWholeDouble) {
  EXPECT_EQ(evaluated(".", "3.0"), "3.0");
  EXPECT_EQ(evaluated(". + 1", "3.0"), "4.0");
  EXPECT_EQ(evaluated("\"\\(.)\"", "3.0"), "\"3.0\"");
  EXPECT_EQ(evaluated("6 / 3"), "2");
  EXPECT_EQ(evaluated("7 / 2"), "3.5");
  EXPECT_EQ(evaluated("6.0 / 3"), "2.0");
  EXPECT_EQ(evaluated("3.7 | floor"), "3");
}

TEST(Expression, RefusesResultsThatAreNotFinite) {
  EXPECT_EQ(failure(". * 10", "1e308").code, Errc::expression_failed);
  EXPECT_EQ(failure("-1 | sqrt").code, Errc::expression_failed);
}

TEST(Expression, RoundsDecimalsHalfAwayFromZero) {
  EXPECT_EQ(evaluated("2.5 | decimal(0)"), "3");
  EXPECT_EQ(evaluated("-2.5 | decimal(0)"), "-3");
  EXPECT_EQ(evaluated("2.675 | decimal(2)"), "2.68");
  EXPECT_EQ(evaluated("1.005 | decimal(2)"), "1.01");
  EXPECT_EQ(evaluated("99.995 | decimal(2)"), "100.0");
  EXPECT_EQ(evaluated("9.999 | decimal(0)"), "10");
  EXPECT_EQ(evaluated("1.5 | decimal(3)"), "1.5");
  EXPECT_EQ(evaluated("7 | decimal(2)"), "7");
  EXPECT_EQ(evaluated("-0.001 | decimal(2)"), "0.0");
  EXPECT_EQ(evaluated("0.1 + 0.2 | decimal(10)"), "0.3");
  EXPECT_THAT(failure("1.5 | decimal(-1)").message, HasSubstr("from 0 to 15"));
  EXPECT_THAT(failure("\"x\" | decimal(1)").message, HasSubstr("number required"));
}

TEST(Expression, ShowsDatesInATimeZone) {
  EXPECT_EQ(evaluated(R"(date("%Y%m%d"; "Europe/Paris"))", R"("2026-11-21T23:30:00Z")"),
            "\"20261122\"");
  EXPECT_EQ(evaluated(R"(date("%Y-%m-%d %H:%M:%S %z %Z"; "Europe/Paris"))", "1425599621"),
            "\"2015-03-06 00:53:41 +0100 CET\"");
  EXPECT_EQ(evaluated(R"(date("%H:%M"; "UTC"))", R"("2026-06-01T12:34:56+02:00")"), "\"10:34\"");
  EXPECT_THAT(problem(R"(date("%Y"; "Europe/Pariss"))").message, HasSubstr("Europe/Pariss"));
  EXPECT_THAT(failure(R"(date("%Y"; .z))", R"({"z":"Nowhere"})").message, HasSubstr("RFC 3339"));
  EXPECT_THAT(failure(R"(date("%Y"; "UTC"))", "null").message, HasSubstr("null"));
  EXPECT_THAT(failure(R"(date("%Y"; "UTC"))", "\"soon\"").message, HasSubstr("RFC 3339"));
}

TEST(Expression, AsksTheHost) {
  const TestHost host;
  ExpressionContext context;
  context.host = &host;
  const auto one = [&](std::string_view text, std::string_view input) {
    return evaluate_in(text, input, context);
  };
  EXPECT_EQ(write_json(*one(R"(lookup("uom"; .u))", R"({"u":"Units"})")), "\"C62\"");
  EXPECT_EQ(write_json(*one(R"({u: lookup("uom"; "kg")})", "null")), R"({"u":"KGM"})");
  EXPECT_EQ(write_json(*one(R"(xref("order"; "mes"; .r))", R"({"r":"a/1"})")), "\"order:mes:a/1\"");
  EXPECT_EQ(write_json(*one("company(.c)", R"({"c":1})")), "\"lyon\"");
  EXPECT_EQ(write_json(*one("company(null)", "null")), "null");
  EXPECT_THAT(one("xref(1; 2; 3)", "null").error().message, HasSubstr("entity as text"));
}

TEST(Expression, PassesOnWhatTheHostReportsUnchanged) {
  const TestHost host;
  ExpressionContext context;
  context.host = &host;
  for (const std::string_view text :
       {R"(xref("order"; "mes"; "unread"))", R"(xref("order"; "mes"; "unread")?)",
        R"(xref("order"; "mes"; "unread") // "x")", R"(try xref("order"; "mes"; "unread") catch 1)",
        R"([.[]?, first(xref("order"; "mes"; "unread"))])"}) {
    const auto result = evaluate_in(text, "null", context);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, Errc::needs_lookup) << text;
    EXPECT_EQ(result.error().message, "order unread") << text;
  }
  const auto missing = evaluate_in(R"(try lookup("uom"; "stone") catch "x")", "null", context);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::missing_reference);
  // `missing: error` is an error of the expression, and may be caught like one.
  EXPECT_EQ(write_json(*evaluate_in(R"(try lookup("error"; 1) catch .)", "null", context)),
            "\"no row\"");
}

TEST(Expression, FailsHostFunctionsWithoutAHost) {
  EXPECT_THAT(failure(R"(lookup("uom"; 1))").message, HasSubstr("lookup cannot be used here"));
  ExpressionScope scope;
  scope.host_functions = false;
  EXPECT_THAT(Expression::compile("company(1)", scope).error().message, HasSubstr("company"));
}

TEST(Expression, ReadsTheVariablesOfItsScope) {
  ExpressionScope scope;
  scope.variables = {"event", "before"};
  const auto expression = Expression::compile("$event.a + ($before.a // 0) + .a", scope);
  ASSERT_TRUE(expression);
  const Json event = *parse_json(R"({"a":1})");
  const Json before;
  ExpressionBindings bindings;
  bindings.set("event", &event);
  bindings.set("before", &before);
  ExpressionContext context;
  context.bindings = &bindings;
  EXPECT_EQ(write_json(*expression->evaluate(*parse_json(R"({"a":10})"), context)), "11");
  EXPECT_THAT(expression->evaluate(event, {}).error().message, HasSubstr("$before"));
}

TEST(Expression, NamesTheNearestVariable) {
  ExpressionScope scope;
  scope.variables = {"event", "before"};
  const auto compiled = Expression::compile("$evnt", scope);
  ASSERT_FALSE(compiled);
  EXPECT_EQ(compiled.error().message, "$evnt is not defined; did you mean $event?");
}

TEST(Expression, NamesTheNearestFunction) {
  EXPECT_EQ(problem("map_valeus(1)").message,
            "map_valeus/1 is not defined; did you mean map_values/1?");
  EXPECT_THAT(problem("select").message, HasSubstr("there is select/1"));
  EXPECT_THAT(problem("def total: 1; totl").message, HasSubstr("did you mean total/0?"));
}

TEST(Expression, SaysWhereAProblemIs) {
  const auto unknown = problem("{ a: .x,\n  b: nonsense(.y) }");
  EXPECT_EQ(unknown.line, 2U);
  EXPECT_EQ(unknown.column, 6U);
  const auto open = problem("\"é\" | (.a");
  EXPECT_EQ(open.line, 1U);
  EXPECT_EQ(open.column, 10U);
  EXPECT_THAT(open.message, HasSubstr("`)`"));
  EXPECT_THAT(problem("").message, HasSubstr("empty"));
  EXPECT_THAT(problem("{a: .b + 1}").message, HasSubstr("parentheses"));
  EXPECT_THAT(problem("'a'").message, HasSubstr("double quotes"));
  EXPECT_THAT(problem("1 == 2 == 3").message, HasSubstr("parentheses"));
  EXPECT_THAT(problem("\"abc").message, HasSubstr("not closed"));
  EXPECT_THAT(problem("99999999999999999999").message, HasSubstr("64 bits"));
  EXPECT_FALSE(problem(".a |").not_supported);
}

TEST(Expression, NamesWhatItDoesNotSupport) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases = {
      {"now", "now"},
      {"env.HOME", "env"},
      {"$ENV", "$ENV"},
      {"input", "input"},
      {"[inputs]", "inputs"},
      {"debug", "debug"},
      {"import \"a\" as a; 1", "import"},
      {"include \"a\"; 1", "include"},
      {"label $out | 1", "label"},
      {"$__loc__", "$__loc__"},
      {". as [$a] | $a", "destructuring"},
      {". as {a: $x} | $x", "destructuring"},
      {". as $a ?// $b | 1", "?//"},
      {"def f: f; f", "recursive"},
      {"def f(x): if x then f(x) else 1 end; f(.)", "recursive"},
      {"a::b", "module"},
      {"@base32", "@base32"},
      {"localtime", "localtime"},
      {"nan", "nan"},
      {"test(\"(?=a)\")", "look-around"},
      {"test(\"(a)\\\\1\")", "back references"},
      {"test(\"a b\"; \"x\")", "flag x"},
  };
  for (const auto& [text, name] : cases) {
    const auto found = problem(text);
    EXPECT_TRUE(found.not_supported) << text << ": " << found.message;
    EXPECT_THAT(found.message, HasSubstr(std::string(name))) << text;
  }
}

TEST(Expression, PutsSharedFunctionsBeforeTheText) {
  ExpressionScope scope;
  scope.functions = "def double: . * 2;\ndef pair(f): [f, f];";
  const auto expression = Expression::compile("double | pair(.)", scope);
  ASSERT_TRUE(expression) << expression.error().message;
  EXPECT_EQ(write_json(*expression->evaluate(Json(3), {})), "[6,6]");
  const auto wrong = Expression::compile("1 |\n  dubble", scope);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().line, 2U);
  EXPECT_EQ(wrong.error().column, 3U);
  scope.functions = "def a: 1;\ndef b: nonsense;";
  const auto broken = Expression::compile("a", scope);
  ASSERT_FALSE(broken);
  EXPECT_TRUE(broken.error().in_functions);
  EXPECT_EQ(broken.error().line, 2U);
  EXPECT_EQ(broken.error().column, 8U);
}

TEST(Expression, WantsOneOutput) {
  EXPECT_THAT(failure("empty").message, HasSubstr("no output"));
  EXPECT_THAT(failure("1, 2").message, HasSubstr("several outputs"));
  EXPECT_TRUE(*Expression::compile("1 == 1")->test(Json(), {}));
  EXPECT_FALSE(*Expression::compile(".a")->test(Json(), {}));
  EXPECT_TRUE(*Expression::compile("0")->test(Json(), {}));
  EXPECT_FALSE(Expression::compile("true, true")->test(Json(), {}));
}

TEST(Expression, ReportsOutputsBeforeAFailure) {
  std::vector<std::string> seen;
  const auto expression = Expression::compile("1, 2, error(\"stop\"), 3");
  const auto done = expression->for_each(Json(), {}, [&](const Json& value) {
    seen.push_back(write_json(value));
    return true;
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "stop");
  EXPECT_THAT(seen, ElementsAre("1", "2"));
}

TEST(Expression, StopsWhenToldTo) {
  std::size_t count = 0;
  const auto done =
      Expression::compile("range(1000000000000)")->for_each(Json(), {}, [&](const Json&) {
        return ++count < 3;
      });
  EXPECT_TRUE(done);
  EXPECT_EQ(count, 3U);
}

TEST(Expression, CarriesTheValueOfAnError) {
  EXPECT_EQ(failure("error({code: 7})").message, "(not a string): {\"code\":7}");
  EXPECT_EQ(failure("error(\"plain\")").message, "plain");
  EXPECT_EQ(failure(".a", "1").message, "Cannot index number with \"a\"");
  EXPECT_EQ(failure("1 + \"a\"").message, "number (1) and string (\"a\") cannot be added");
}

TEST(Expression, KnowsItsTables) {
  const auto expression = Expression::compile(
      R"([lookup("uom"; .a), lookup("carrier"; .b), lookup("uom"; .c), lookup(.t; 1)])");
  ASSERT_TRUE(expression);
  EXPECT_THAT(expression->tables(), ElementsAre("uom", "carrier"));
}

TEST(Expression, KnowsAPlainPath) {
  EXPECT_TRUE(Expression::compile(".shipment")->is_plain_path());
  EXPECT_THAT(Expression::compile(R"(.a."b c".d["e"])")->path(), ElementsAre("a", "b c", "d", "e"));
  EXPECT_TRUE(Expression::compile(".")->is_plain_path());
  for (const std::string_view text : {".a?", ".a[0]", ".[]", ".a | .b", "\"x\"", ".[\"a\\(1)\"]"}) {
    EXPECT_FALSE(Expression::compile(text)->is_plain_path()) << text;
    EXPECT_THAT(Expression::compile(text)->path(), IsEmpty()) << text;
  }
}

TEST(Expression, DoesNotChangeItsInput) {
  const Json input = *parse_json(R"({"a":[3,1,2],"b":{"c":1}})");
  const std::string before = write_json(input);
  for (const std::string_view text :
       {".a |= sort", "del(.b)", ".b.c += 1", "[.a[], .b]", ".a + [4]",
        "reduce .a[] as $x (.; .b.c += $x)", ". as $x | .a = 1 | $x", "map_values(empty)",
        "first(.a[], .b)"}) {
    ASSERT_TRUE(Expression::compile(text)->evaluate(input, {})) << text;
    EXPECT_EQ(write_json(input), before) << text;
  }
}

TEST(Expression, KeepsVariablesApartFromWhatChangesInPlace) {
  EXPECT_EQ(evaluated("reduce (1,2) as $i ({a:0}; . as $o | .a = 9 | .b = $o.a)"),
            R"({"a":9,"b":9})");
  EXPECT_EQ(evaluated("reduce range(3) as $i ([1]; . + .)"), "[1,1,1,1,1,1,1,1]");
  EXPECT_EQ(evaluated("reduce range(3) as $i ([1,2]; . + .[0:1])"), "[1,2,1,1,1]");
  EXPECT_EQ(evaluated("reduce range(2) as $i ({a:{}}; .a.b = .a)"), R"({"a":{"b":{"b":{}}}})");
}

}  // namespace
}  // namespace millrace
