#include "millrace/spec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

struct Login {
  std::string user;
  std::string password;
};
enum class Pace { slow, fast };
struct Options {
  std::string url;
  std::chrono::milliseconds timeout{10'000};
  std::chrono::seconds pause{5};
  std::size_t body = 1024;
  double share = 0.5;
  int count = 3;
  bool strict = false;
  Pace pace = Pace::slow;
  std::optional<Login> login;
  std::vector<Login> logins;
  std::vector<std::string> names;
  std::vector<std::pair<std::int64_t, std::string>> companies;
  std::map<std::string, int> weights;
  Json free;
};

const Spec<Options>& spec() {
  static const auto login = Spec<Login>("login", "Who.")
                                .option("user", &Login::user, "Name.")
                                .required()
                                .option("password", &Login::password, "Password.")
                                .required()
                                .secret();
  static const auto made = Spec<Options>("sample", "A sample.")
                               .option("url", &Options::url, "Where.")
                               .required()
                               .example("http://a")
                               .option("timeout", &Options::timeout, "How long.")
                               .bounds(1s, 5min)
                               .option("pause", &Options::pause, "How long not.")
                               .option("body", &Options::body, "How much.")
                               .bytes()
                               .option("share", &Options::share, "What part.")
                               .percent()
                               .option("count", &Options::count, "How many.")
                               .bounds(1, 9)
                               .option("strict", &Options::strict, "Whether.")
                               .option("pace", &Options::pace, "How fast.",
                                       SpecNames<Pace>{{"slow", Pace::slow}, {"fast", Pace::fast}})
                               .option("login", &Options::login, "Who.", login)
                               .option("logins", &Options::logins, "Who else.", login)
                               .option("names", &Options::names, "Names.")
                               .option("companies", &Options::companies, "Codes.")
                               .option("weights", &Options::weights, "Weights.")
                               .option("free", &Options::free, "Anything.")
                               .not_yet("qos");
  return made;
}

std::string error_of(std::string_view yaml) {
  const auto read = spec().from_yaml(yaml);
  return read ? "" : read.error().message;
}

TEST(Spec, ReadsEveryKindOfOption) {
  const auto read = spec().from_yaml(
      "url: http://a\ntimeout: 1500ms\npause: 2m\nbody: 4KiB\nshare: 80%\ncount: 9\nstrict: true\n"
      "pace: fast\nlogin: { user: u, password: p }\nlogins: [ { user: v, password: q } ]\n"
      "names: [ a, b ]\ncompanies: { 3: c, 1: a }\nweights: { x: 2 }\n"
      "free: { a: [ 1, 2.5, ~, true, text ] }\n");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->timeout, 1500ms);
  EXPECT_EQ(read->pause, 120s);
  EXPECT_EQ(read->body, 4096U);
  EXPECT_DOUBLE_EQ(read->share, 0.8);
  EXPECT_EQ(read->count, 9);
  EXPECT_TRUE(read->strict);
  EXPECT_EQ(read->pace, Pace::fast);
  EXPECT_EQ(read->login->password, "p");
  EXPECT_EQ(read->logins.at(0).user, "v");
  EXPECT_EQ(read->names.size(), 2U);
  EXPECT_EQ(read->companies.front(), (std::pair<std::int64_t, std::string>(3, "c")));
  EXPECT_EQ(read->weights.at("x"), 2);
  EXPECT_EQ(write_json(read->free), R"({"a":[1,2.5,null,true,"text"]})");
}

TEST(Spec, KeepsTheStructsOwnDefaults) {
  const auto read = spec().from_yaml("url: http://a\n");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->timeout, 10s);
  EXPECT_FALSE(read->login);
}

TEST(Spec, ReportsAllProblemsWithTheirPlaces) {
  const std::string text =
      error_of("timeuot: 5s\ncount: 10\nlogin: { user: u, pasword: p }\nstrict: yes\n");
  EXPECT_THAT(text, AllOf(HasSubstr("sample.yaml:1:1: error: unknown key `timeuot`"),
                          HasSubstr("did you mean `timeout`?"),
                          HasSubstr("sample.yaml:2:8: error: count: `10` is out of bounds: from 1 "
                                    "to 9"),
                          HasSubstr("sample.yaml:3:19: error: login: unknown key `pasword`"),
                          HasSubstr("login: `password:` is missing"),
                          HasSubstr("4:9: error: strict: expected true or false, found `yes`"),
                          HasSubstr("`url:` is missing: Where. Write `url: http://a`.")));
}

TEST(Spec, RefusesADurationWithoutItsUnit) {
  EXPECT_THAT(error_of("url: a\ntimeout: 30\n"), HasSubstr("write 30s or 30ms"));
  EXPECT_THAT(error_of("url: a\ntimeout: 30 seconds\n"), HasSubstr("expected a duration"));
  EXPECT_THAT(error_of("url: a\ntimeout: 10m\n"), HasSubstr("from 1s to 5m"));
  EXPECT_THAT(error_of("url: a\npause: 1500ms\n"), HasSubstr("finer than 1s"));
  EXPECT_THAT(error_of("url: a\ntimeout: -5s\n"), HasSubstr("expected a duration"));
}

TEST(Spec, RefusesNumbersWhereTextIsMeant) {
  EXPECT_THAT(error_of("url: 00123\n"), HasSubstr("write \"00123\" in quotes"));
  EXPECT_THAT(error_of("url: a\nfree: { sku: 00123 }\n"), HasSubstr("write \"00123\""));
  EXPECT_THAT(error_of("url: a\nbody: 4096\n"), HasSubstr("expected a size such as"));
  EXPECT_THAT(error_of("url: a\nshare: 0.8\n"), HasSubstr("expected a percentage"));
  EXPECT_THAT(error_of("url: a\ncount: 99999999999\n"), HasSubstr("out of range"));
  EXPECT_THAT(error_of("url: a\npace: fsat\n"), HasSubstr("did you mean `fast`?"));
}

TEST(Spec, AnswersNotSupportedYetForWhatIsDesignedAndNotBuilt) {
  const std::string text = error_of("url: a\nqos: 1\n");
  EXPECT_THAT(text, HasSubstr("2:1: error: `qos` is not supported yet"));
  EXPECT_THAT(text, Not(HasSubstr("unknown")));
}

TEST(Spec, NeverShowsASecret) {
  const auto read = spec().parse_yaml("url: a\nlogin: { user: u, password: hunter2 }\n");
  ASSERT_TRUE(read) << read.error().message;
  const std::string shown = write_json(spec().redacted(*read));
  EXPECT_THAT(shown, HasSubstr(R"("password":"***")"));
  EXPECT_THAT(shown, Not(HasSubstr("hunter2")));
  EXPECT_THAT(error_of("url: a\nlogin: { user: u, password: 4711 }\n"), Not(HasSubstr("4711")));
}

TEST(Spec, PrintsJsonSchemaAndReference) {
  const std::string schema = write_json(spec().json_schema());
  EXPECT_THAT(schema, AllOf(HasSubstr(R"("required":["url"])"),
                            HasSubstr(R"("additionalProperties":false)"),
                            HasSubstr(R"("pace":{"anyOf":[{"enum":["slow","fast"]})"),
                            HasSubstr(R"("default":"slow")")));
  const std::string text = spec().reference_markdown();
  EXPECT_THAT(text, AllOf(HasSubstr("| `timeout` | duration, 1s to 5m | `10s` | How long. |"),
                          HasSubstr("| `url` | string | required | Where. Example: `http://a`. |"),
                          HasSubstr("| `body` | size | `1KiB` |"),
                          HasSubstr("| `pace` | one of `slow`, `fast` | `slow` | How fast. |"),
                          HasSubstr("| `login.user` | string | required | Name. |"),
                          HasSubstr("| `logins[].password` | string | required | Password. A "
                                    "secret: never printed. |"),
                          HasSubstr("Not supported yet: `qos`.")));
}

TEST(Spec, ChecksTheWhole) {
  struct Either {
    std::string a;
    std::string b;
    int low = 1;
    int high = 2;
  };
  const auto either = Spec<Either>("either", "One of two.")
                          .option("a", &Either::a, "A.")
                          .option("b", &Either::b, "B.")
                          .option("low", &Either::low, "L.")
                          .option("high", &Either::high, "H.")
                          .exactly_one_of({"a", "b"})
                          .check([](const Either& value) -> std::string {
                            return value.low > value.high ? "low is above high" : "";
                          });
  EXPECT_TRUE(either.from_yaml("a: x\n"));
  EXPECT_THAT(either.from_yaml("low: 1\n").error().message, HasSubstr("exactly one of a and b"));
  EXPECT_THAT(either.from_yaml("a: x\nb: y\n").error().message, HasSubstr("several are given"));
  EXPECT_THAT(either.from_yaml("a: x\nlow: 5\n").error().message, HasSubstr("low is above high"));
}

}  // namespace
}  // namespace millrace
