// Which paths are reported, and that nothing is reported or inferred that evaluation contradicts.
#include "expr/path_check.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "expression_test_support.hpp"

namespace millrace::expr {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The shape that has this value and no other; a list's items may be any of those it has.
ShapePtr exactly(const Json& value, const std::string& name = "") {
  if (value.is_null()) return shape_of_types(Shape::kNull);
  if (value.is_bool()) return shape_of_types(Shape::kBoolean);
  if (value.is_string()) return shape_of_types(Shape::kString);
  if (value.is_number()) return shape_of_types(Shape::kNumber);
  if (const JsonArray* array = value.if_array()) {
    ShapePtr items = no_shape();
    for (const Json& item : *array) items = either(items, exactly(item, name + "[]"));
    return array_shape(items);
  }
  auto made = std::make_shared<Shape>();
  made->types = Shape::kObject;
  made->name = name;
  made->names = Names::closed;
  for (const auto& member : value.get_object()) {
    made->members[std::string(member.key())] =
        exactly(member.value(), name + "." + std::string(member.key()));
  }
  return made;
}

ShapePtr shape(std::string_view json) {
  return exactly(*parse_json(json), "order");
}

constexpr std::string_view kOrder =
    R"({"number":"S1","state":"draft","customer":{"code":"C","name":"N"},
        "lines":[{"id":1,"sku":"A","quantity":{"value":1,"uom":"U"}}],"free":null})";

/// "column path" of each finding.
std::vector<std::string> found(std::string_view text, std::string_view input = kOrder,
                               std::string_view functions = "") {
  std::vector<std::string> places;
  const auto checked = check_paths(text, functions, shape(input),
                                   {{"before", shape(input)}, {"now", shape("\"\"")}});
  for (const PathFinding& finding : checked.findings) {
    places.push_back(std::to_string(finding.column) + " " + finding.path);
  }
  return places;
}

TEST(PathCheck, ReportsAMemberThatCannotBeThere) {
  EXPECT_THAT(found(".customer.nmae"), ElementsAre("10 .customer.nmae"));
  EXPECT_THAT(found(".customer[\"nmae\"]"), ElementsAre("10 .customer.nmae"));
  EXPECT_THAT(found(".customer.\"nmae\""), ElementsAre("10 .customer.nmae"));
  EXPECT_THAT(found("$before.stat"), ElementsAre("8 $before.stat"));
  EXPECT_THAT(found("{ number, stat }"), ElementsAre("11 .stat"));
  EXPECT_THAT(found("\"no \\(.nmber)\""), ElementsAre("7 .nmber"));
  EXPECT_THAT(found(".customer.name"), IsEmpty());
  EXPECT_THAT(found(".free.anything"), IsEmpty()) << "null has every member, and it is null";
}

TEST(PathCheck, SaysWhatIsThereInstead) {
  const auto checked = check_paths(".lines\n| .[0].quantity.valeu", "", shape(kOrder), {});
  ASSERT_EQ(checked.findings.size(), 1U);
  const PathFinding& finding = checked.findings[0];
  EXPECT_EQ(finding.kind, PathFinding::Kind::no_member);
  EXPECT_EQ(finding.line, 2U);
  EXPECT_EQ(finding.column, 16U);
  EXPECT_EQ(finding.owner, "order.lines[].quantity");
  EXPECT_THAT(finding.known, ElementsAre("uom", "value"));
}

TEST(PathCheck, ReportsMembersOfWhatHasNone) {
  const auto checked = check_paths(".lines.sku", "", shape(kOrder), {});
  ASSERT_EQ(checked.findings.size(), 1U);
  EXPECT_EQ(checked.findings[0].kind, PathFinding::Kind::not_an_object);
  EXPECT_NE(checked.findings[0].types & Shape::kArray, 0U);
  EXPECT_THAT(found(".number.x"), ElementsAre("8 .number.x"));
  EXPECT_THAT(found(".number.x?"), IsEmpty()) << "the author expects it";
  EXPECT_THAT(found("try .number.x"), IsEmpty());
  EXPECT_THAT(found(".number.x // 1"), IsEmpty());
}

TEST(PathCheck, FollowsValuesThroughTheLanguage) {
  EXPECT_THAT(found(".customer | .nmae"), ElementsAre("13 .nmae"));
  EXPECT_THAT(found(".lines[] | .suk"), ElementsAre("12 .suk"));
  EXPECT_THAT(found(".lines[1:] | .[0] | .suk"), ElementsAre("21 .suk"));
  EXPECT_THAT(found(".customer as $c | $c.nmae"), ElementsAre("21 $c.nmae"));
  EXPECT_THAT(found("[ .lines[] | select(.id > 1) | .suk ]"), ElementsAre("32 .suk"));
  EXPECT_THAT(found(".lines | map(.suk)"), ElementsAre("14 .suk"));
  EXPECT_THAT(found(".lines | sort_by(.suk)"), ElementsAre("18 .suk"));
  EXPECT_THAT(found(".lines | group_by(.sku) | map(.[0].suk)"), ElementsAre("35 .suk"));
  EXPECT_THAT(found(".lines | any(.suk == 1)"), ElementsAre("14 .suk"));
  EXPECT_THAT(found("any(.lines[]; .suk == 1)"), ElementsAre("15 .suk"));
  EXPECT_THAT(found("first(.lines[]) | .suk"), ElementsAre("19 .suk"));
  EXPECT_THAT(found(".lines | max_by(.id) | .suk"), ElementsAre("24 .suk"));
  EXPECT_THAT(found("if .state then .customer else .lines[0] end | .nmae"),
              ElementsAre("47 .nmae"));
  EXPECT_THAT(found("(.customer // .lines[0]).nmae"), ElementsAre("25 .nmae"));
  EXPECT_THAT(found("{ a: .customer } | .a.nmae"), ElementsAre("22 .a.nmae"));
  EXPECT_THAT(found("{ a: 1 } + { b: 2 } | .c"), ElementsAre("23 .c"));
  EXPECT_THAT(found("reduce .lines[] as $l (0; . + $l.suk)"), ElementsAre("33 $l.suk"));
  EXPECT_THAT(found("foreach .lines[] as $l (0; 1; $l.suk)"), ElementsAre("33 $l.suk"));
  EXPECT_THAT(found("def f(g): .lines | map(g); f(.suk)"), ElementsAre("30 .suk"));
  EXPECT_THAT(found("def f($x): $x; f(.stat)"), ElementsAre("18 .stat"));
  EXPECT_THAT(found(".customer | to_entries | map(.vlaue)"), ElementsAre("30 .vlaue"));
  EXPECT_THAT(found("lookup(\"uom\"; .stat)"), ElementsAre("15 .stat"));
}

TEST(PathCheck, IsSilentWhereItCannotKnow) {
  EXPECT_THAT(found(".[\"nu\" + \"mber\"].x"), IsEmpty());
  EXPECT_THAT(found(".lines | from_entries | .x"), IsEmpty());
  EXPECT_THAT(found(".. | .x?"), IsEmpty());
  EXPECT_THAT(found("recurse(.lines[]?) | .sku"), IsEmpty());
  EXPECT_THAT(found("reduce .lines[] as $l ({}; .total += $l.id) | .total"), IsEmpty());
  EXPECT_THAT(found(".customer.vat = 1 | .customer.vat"), IsEmpty()) << "it is made here";
  EXPECT_THAT(found(".customer.count += 1"), IsEmpty());
  EXPECT_THAT(found("del(.customer.vat)"), IsEmpty());
  EXPECT_THAT(found("[ path(.customer.vat) ]"), IsEmpty());
  EXPECT_THAT(found(".number | sub(\"(?<x>S)\"; .x)"), IsEmpty());
  EXPECT_THAT(found("(.customer, .lines[0]) | .code, .sku"), IsEmpty()) << "one of the two has it";
  EXPECT_THAT(found("def name: .name // .sku; (.customer, .lines[0]) | name"), IsEmpty());
  EXPECT_THAT(found("def either: .code // .sku; (.customer | either), (.lines[0] | either)"),
              IsEmpty())
      << "what fails on one value and not on another is meant for the other";
}

TEST(PathCheck, DoesNotReportWhatStandsInSharedFunctions) {
  EXPECT_THAT(found(".customer | vat", kOrder, "def vat: .vat;\ndef on(f): map(f);"), IsEmpty());
  EXPECT_THAT(found(".lines | on(.suk)", kOrder, "def vat: .vat;\ndef on(f): map(f);"),
              ElementsAre("13 .suk"));
}

TEST(PathCheck, GivesUpOnProgramsThatGrow) {
  std::string text = "def f0: .nope;";
  for (int i = 1; i < 40; ++i) {
    const std::string last = std::to_string(i - 1);
    text += " def f" + std::to_string(i) + ": f" + last + ", f" + last + ";";
  }
  EXPECT_THAT(found(text + " .nope, f39"), IsEmpty());
}

bool contains(const Shape& shape, const Json& value) {
  const ShapePtr own = exactly(value);
  if ((shape.types & own->types) == 0) return false;
  if (const JsonArray* array = value.if_array()) {
    return !shape.items || std::ranges::all_of(*array, [&](const Json& item) {
      return contains(*shape.items, item);
    });
  }
  if (!value.is_object()) return true;
  for (const auto& member : value.get_object()) {
    const auto known = shape.members.find(member.key());
    if (known == shape.members.end() && shape.names == Names::closed) return false;
    if (known != shape.members.end() && !contains(*known->second, member.value())) return false;
  }
  return true;
}

// The corpus that is compared with jq: whatever an expression yields lies within its shape.
TEST(PathCheck, InfersShapesThatHoldWhatEvaluationYields) {
  int compared = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(MILLRACE_SOURCE_DIR) / "tests/unit/expr/corpus")) {
    if (entry.path().extension() != ".tsv") continue;
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      const std::size_t tab = line.find('\t');
      if (line.empty() || line[0] == '#' || tab == line.npos) continue;
      const std::string text = line.substr(0, tab);
      const auto input = parse_json(line.substr(tab + 1, line.find('\t', tab + 1) - tab - 1));
      const auto expression = Expression::compile(text);
      if (!expression || !input) continue;
      const auto checked = check_paths(text, "", exactly(*input), {});
      (void)expression->for_each(*input, {}, [&](const Json& output) {
        EXPECT_TRUE(contains(*checked.result, output)) << line << "\nyields " << write_json(output);
        return ++compared < 100'000;
      });
    }
  }
  EXPECT_GT(compared, 700);
}

}  // namespace
}  // namespace millrace::expr
