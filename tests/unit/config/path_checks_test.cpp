// Paths of a configuration, against the entity's schema and the source's field plan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/shapes.hpp"
#include "support.hpp"

namespace millrace::config {
namespace {

using testing::Directory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::load_directory;

constexpr std::string_view kEntity = R"(entity: invoice
from:
  - connection: odoo
    model: account.move
    read: { name: , partner_id: { ref: , name: }, line_ids: { price: , product_id: { code: } } }
    map: "{ number: .name, partner: .partner_id }"
events: { changed: true }
schema: schemas/invoice.json
)";
constexpr std::string_view kSchema = R"({"type":"object","additionalProperties":false,
  "properties":{"number":{"type":"string"},
    "partner":{"type":["object","null"],"properties":{"ref":{},"name":{}}},
    "address":{"$ref":"#/definitions/address"},
    "lines":{"type":"array","items":{"type":"object","properties":{"sku":{}},
      "additionalProperties":false}}},
  "definitions":{"address":{"type":"object","allOf":[{"properties":{"city":{}}},
    {"properties":{"zip":{}},"additionalProperties":true}],"additionalProperties":false,
    "properties":{"city":{},"zip":{}}}}})";
constexpr std::string_view kConnections =
    "connection: odoo\ntype: odoo\nurl: http://127.0.0.1:1\ndatabase: d\nlogin: l\n"
    "api_key: \"${secret.k}\"\nhook_tokens: [ \"${secret.t}\" ]\n---\n"
    "connection: mes\ntype: http\nurl: http://127.0.0.1:1\n";

/// "file:line:column: level: message" of each problem.
std::vector<std::string> problems(std::string_view entity, std::string_view more,
                                  std::string_view schema = kSchema) {
  Directory directory;
  directory.write("millrace.yaml", testing::kInstallation).write("connections.yaml", kConnections);
  directory.write("invoice.yaml", entity).write("schemas/invoice.json", schema);
  if (!more.empty()) directory.write("more.yaml", more);
  std::vector<std::string> lines;
  for (const Problem& problem : load_directory(directory.path()).problems) {
    lines.push_back(std::string(problem.level == Problem::Level::error ? "error " : "warning ") +
                    problem.place.file + ":" + std::to_string(problem.place.line) + ":" +
                    std::to_string(problem.place.column) + ": " + problem.message);
  }
  return lines;
}

std::vector<std::string> route_problems(std::string_view when, std::string_view request) {
  return problems(kEntity, "route: r\nfrom: invoice\nto: mes\nwhen: " + std::string(when) +
                               "\nrequests:\n  changed:\n    path: /a\n    " +
                               std::string(request) + "\n");
}

TEST(PathChecks, NamesTheMemberThatWasMeant) {
  EXPECT_THAT(route_problems(".data.partner.nmae == \"x\"", ""),
              ElementsAre("warning more.yaml:4:20: `.data.partner.nmae`: invoice.partner has no "
                          "`nmae`; did you mean `name`?"));
  EXPECT_THAT(route_problems(".data.nmber == \"x\"", ""),
              ElementsAre("error more.yaml:4:12: `.data.nmber`: invoice has no `nmber`; did you "
                          "mean `number`?"));
}

TEST(PathChecks, LooksAtEveryPlaceOfARoute) {
  for (const std::string_view request :
       {"query: { q: \"${ .data.nmber }\" }", "headers: { q: \"${ .data.nmber }\" }",
        "body: .data.nmber", "remember: .data.nmber", "treat: { delivered: .data.nmber }"}) {
    EXPECT_THAT(route_problems("true", request), ElementsAre(HasSubstr("`.data.nmber`: invoice")))
        << request;
  }
  EXPECT_THAT(problems(kEntity,
                       "route: r\nfrom: invoice\nto: mes\nrequests:\n  changed:\n"
                       "    path: /a/${ .data.number }/${ .data.nmber }\n"),
              ElementsAre(HasSubstr("error more.yaml:6:40: `.data.nmber`")));
}

TEST(PathChecks, KnowsTheEventAndTheAnswer) {
  EXPECT_THAT(route_problems(".rev > 1 and .types[0] == .type and .record == $record", ""),
              IsEmpty());
  EXPECT_THAT(route_problems(".datta", ""), ElementsAre(HasSubstr("an event has no `datta`")));
  EXPECT_THAT(route_problems("true", "treat: { again: .answer.status == 1 and .answer.body.x }"),
              IsEmpty());
  EXPECT_THAT(route_problems("true", "remember: .answer.bdoy.id"),
              ElementsAre(HasSubstr("did you mean `body`?")));
  EXPECT_THAT(route_problems("true", "body: .answer.body"),
              ElementsAre(HasSubstr("known in `treat` and `remember` only")));
}

TEST(PathChecks, JudgesOnlyWhatTheSchemaSays) {
  EXPECT_THAT(route_problems(".data.partner.vat == 1", ""), IsEmpty())
      << "the partner may have more members, and no declared name is near";
  EXPECT_THAT(route_problems(".data.address.town == 1", ""),
              ElementsAre(HasSubstr("error more.yaml:4:20: `.data.address.town`: invoice.address "
                                    "has no `town`; it has city and zip")));
  EXPECT_THAT(route_problems(".data.lines.sku == 1", ""),
              ElementsAre(HasSubstr("for each item write `.data.lines[].sku`")));
  EXPECT_THAT(problems(kEntity,
                       "route: r\nfrom: invoice\nto: mes\nwhen: .data.nmber\nrequests:\n  changed:"
                       "\n    path: /a\n",
                       "true"),
              IsEmpty());
}

TEST(PathChecks, LooksAtAnEntitysOwnExpressions) {
  std::string entity(kEntity);
  entity.replace(entity.find("changed: true"), 13, "changed: $before.nmber != .number");
  EXPECT_THAT(problems(entity, ""),
              ElementsAre(HasSubstr("error invoice.yaml:7:27: `$before.nmber`: invoice has no")));
  EXPECT_THAT(problems(std::string(kEntity) + "key: .nmber\n", ""),
              ElementsAre(HasSubstr("error invoice.yaml:9:6: `.nmber`: invoice has no")));
}

TEST(PathChecks, ComparesAMapWithItsFieldPlan) {
  const auto map = [](std::string_view text) {
    std::string entity(kEntity);
    const std::string_view old = "{ number: .name, partner: .partner_id }";
    return problems(entity.replace(entity.find(old), old.size(), text), "");
  };
  EXPECT_THAT(map("{ number: .nmae }"),
              ElementsAre(HasSubstr("error invoice.yaml:6:21: `.nmae`: account.move has no `nmae`; "
                                    "did you mean `name`?")));
  EXPECT_THAT(map("{ number: .partner_id.rfe }"), ElementsAre(HasSubstr("account.move.partner_id "
                                                                        "has no `rfe`")));
  EXPECT_THAT(map("{ number: [ .line_ids[] | .product_id.cod ][0] }"),
              ElementsAre(HasSubstr("account.move.line_ids.product_id has no `cod`")));
  EXPECT_THAT(map("{ number: .id, a: .line_ids[0].id, b: .partner_id.id }"), IsEmpty());
}

TEST(PathChecks, WarnsOfTestsWhoseEventCannotCome) {
  EXPECT_THAT(problems(kEntity,
                       "test: t\ngiven:\n  event: invoice.changed\n"
                       "  data: { number: A, lines: [ { skuu: B } ] }\nexpect: []\n"),
              ElementsAre("warning more.yaml:4:33: such an event cannot come: invoice.lines[] has "
                          "no `skuu`; did you mean `sku`?"));
}

TEST(PathChecks, SchemasThatReferToThemselvesEnd) {
  EXPECT_THAT(
      problems(kEntity,
               "route: r\nfrom: invoice\nto: mes\nwhen: .data.self.self.this\nrequests:\n  changed:"
               "\n    path: /a\n",
               R"({"type":"object","properties":{"self":{"$ref":"#"}}})"),
      IsEmpty());
}

}  // namespace
}  // namespace millrace::config
