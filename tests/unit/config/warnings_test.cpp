// What is allowed and is hardly meant: `lint` warns, `--strict` makes it a finding.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace millrace::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::load_text;

std::string warnings(std::string_view text) {
  const LoadReport report = load_text(text);
  EXPECT_TRUE(report.config) << "a warning refuses nothing";
  return render(report.problems);
}

std::string route(std::string_view requests, std::string_view more = "") {
  return "route: r\nfrom: order\nto: mes\nrequests:\n" + std::string(requests) + std::string(more);
}

constexpr std::string_view kConfirmed = "  confirmed: { path: /a }\n";
constexpr std::string_view kChanged = "  changed: { path: /b }\n";
constexpr std::string_view kDeleted = "  deleted: { path: /c }\n";

TEST(Warnings, AHookThatNoEntityReads) {
  EXPECT_THAT(warnings("connection: idle\ntype: hook\nhook_tokens: [ \"${secret.a}\" ]\n"
                       "record: .id\nversion: .v\n"),
              HasSubstr("more.yaml:1:1: warning: connection idle: no entity reads this"));
  EXPECT_THAT(warnings(""), IsEmpty()) << "the shop's is read";
}

TEST(Warnings, ARequestBehindOneThatEveryChangeHas) {
  EXPECT_THAT(warnings(route(std::string(kConfirmed) + std::string(kChanged))), IsEmpty());
  EXPECT_THAT(warnings(route(std::string(kChanged) + std::string(kDeleted))), IsEmpty());
  EXPECT_THAT(warnings(route(std::string(kChanged) + std::string(kConfirmed))),
              AllOf(HasSubstr("more.yaml:6:3: warning: route r / requests / confirmed: never sent: "
                              "every change is `changed`"),
                    HasSubstr("put `changed` last")));
}

TEST(Warnings, ARouteThatNothingMatches) {
  EXPECT_THAT(warnings(route(kChanged, "when: false\n")),
              HasSubstr("more.yaml:6:7: warning: route r / when: no event ever matches"));
  EXPECT_THAT(warnings(route(kChanged, "when: .data.state != false\n")), IsEmpty());
}

TEST(Warnings, TwoRoutesThatSendOneEntityToOneConnection) {
  EXPECT_THAT(warnings(route(kChanged) + "---\nroute: s\nfrom: order\nto: mes\nrequests:\n" +
                       std::string(kConfirmed)),
              HasSubstr("warning: route s: route r (more.yaml:1) also sends order to mes"));
}

}  // namespace
}  // namespace millrace::config
