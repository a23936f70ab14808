// Tables whose rows stand in a CSV file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/csv.hpp"
#include "support.hpp"

namespace millrace::config {
namespace {

using testing::Directory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kInstallation;
using testing::load_directory;

constexpr std::string_view kTwoColumns = "table: uom\nfile: tables/uom.csv\n";
constexpr std::string_view kNamed = "table: uom\nfile: tables/uom.csv\nkey: odoo\nvalue: unece\n";

LoadReport load_table(std::string_view table, std::string_view csv) {
  Directory directory;
  directory.write("a.yaml", kInstallation).write("t.yaml", table).write("tables/uom.csv", csv);
  return load_directory(directory.path());
}

std::string rows(std::string_view table, std::string_view csv) {
  const LoadReport report = load_table(table, csv);
  if (!report.config) return render(report.problems);
  std::string text;
  for (const auto& [key, value] : report.config->tables.at("uom").rows) {
    text += key + "=" + write_json(value) + " ";
  }
  return text;
}

TEST(Csv, ReadsWhatRfc4180Says) {
  const auto parsed = parse_csv(
      "\xEF\xBB\xBF"
      "a,\"b \"\"c\"\", d\"\r\n\r\n\"x\ny\",\nlast,é",
      ',');
  ASSERT_TRUE(parsed);
  ASSERT_EQ(parsed->size(), 3U);
  EXPECT_THAT((*parsed)[0].fields, ElementsAre("a", "b \"c\", d"));
  EXPECT_THAT((*parsed)[1].fields, ElementsAre("x\ny", ""));
  EXPECT_EQ((*parsed)[1].line, 3);
  EXPECT_THAT((*parsed)[2].fields, ElementsAre("last", "é"));
  EXPECT_EQ((*parsed)[2].line, 5);
  EXPECT_THAT(*parse_csv("", ','), IsEmpty());
}

TEST(Csv, RefusesWhatWouldMoveValuesBetweenColumns) {
  const auto refused = [](std::string_view text) {
    const auto parsed = parse_csv(text, ',');
    return parsed ? std::string() : std::to_string(parsed.error().line) + parsed.error().message;
  };
  EXPECT_THAT(refused("a,b\nc,d\"e\n"), HasSubstr("2a quote stands inside a field"));
  EXPECT_THAT(refused("a,b\n\n\"c\"d,e\n"), HasSubstr("3there is text behind a closing quote"));
  EXPECT_THAT(refused("a,b\n\"c\n\nd,e\n"), HasSubstr("2the quote that begins here"));
  EXPECT_THAT(refused("a,b\rc,d\n"), HasSubstr("1there is text"));
  EXPECT_THAT(refused("a,b\nc,\xE9\n"), HasSubstr("2invalid UTF-8"));
}

TEST(Table, ReadsTwoColumnsOrNamedOnes) {
  EXPECT_EQ(rows(kTwoColumns, "Units,C62\nkg,KGM\n"), "Units=\"C62\" kg=\"KGM\" ");
  EXPECT_EQ(rows(kNamed, "id,unece,odoo\n1,C62,Units\n2,KGM,kg\n"), "Units=\"C62\" kg=\"KGM\" ");
  EXPECT_EQ(rows(std::string(kTwoColumns) + "delimiter: ;\n", "a;\"1;2\"\n"), "a=\"1;2\" ");
  EXPECT_EQ(rows(std::string(kTwoColumns) + "delimiter: tab\n", "a\t007\n"), "a=\"007\" ");
  EXPECT_EQ(rows(kTwoColumns, ""), "");
}

TEST(Table, ProblemsStandInTheFile) {
  EXPECT_THAT(rows(kTwoColumns, "a,b\nc\nd,e,f\n"),
              AllOf(HasSubstr("tables/uom.csv:2:1: error: table uom / file: 1 column, expected 2"),
                    HasSubstr("tables/uom.csv:3:1: error: table uom / file: 3 columns")));
  EXPECT_THAT(
      rows(kTwoColumns, "a,b\n\na,c\n"),
      HasSubstr("tables/uom.csv:3:1: error: table uom / file: the key `a` stands in line 1"));
  EXPECT_THAT(rows(kTwoColumns, "a,b\n,c\n"), HasSubstr("tables/uom.csv:2:1: error: table uom / "
                                                        "file: the key is empty"));
  EXPECT_THAT(rows(kNamed, "odoo,unecce\n"),
              HasSubstr("tables/uom.csv:1:1: error: table uom / file: there is no column `unece`; "
                        "there are odoo and unecce; did you mean `unecce`?"));
  EXPECT_THAT(rows(kNamed, ""), HasSubstr("tables/uom.csv:1:1: error: "));
  EXPECT_THAT(rows(kTwoColumns, "a,\"b\n"), HasSubstr("tables/uom.csv:1:1: error: "));
}

TEST(Table, SaysWhatIsWrongAboutTheFile) {
  EXPECT_THAT(rows("table: uom\nfile: tables/uon.csv\n", ""),
              HasSubstr("t.yaml:2:7: error: table uom / file: tables/uon.csv: cannot read it"));
  EXPECT_THAT(rows("table: uom\nfile: ../uom.csv\n", ""), HasSubstr("inside the configuration"));
  EXPECT_THAT(rows("table: uom\n", ""), HasSubstr("exactly one of rows and file is needed"));
  EXPECT_THAT(rows(std::string(kTwoColumns) + "rows: { a: b }\n", ""), HasSubstr("several are"));
  EXPECT_THAT(rows(std::string(kTwoColumns) + "key: a\n", ""), HasSubstr("write both"));
}

TEST(Table, ItsFingerprintIsThatOfItsRows) {
  const auto fingerprint = [](std::string_view csv) {
    return load_table(kTwoColumns, csv).config->tables.at("uom").fingerprint;
  };
  EXPECT_EQ(fingerprint("a,b\nc,d\n"), fingerprint("\"c\",d\r\n\r\na,b"));
  EXPECT_NE(fingerprint("a,b\n"), fingerprint("a,c\n"));
  EXPECT_NE(fingerprint("a,b\n"), fingerprint("a,b\nc,d\n"));
}

}  // namespace
}  // namespace millrace::config
