#include "ingress/body_picker.hpp"

#include <gtest/gtest.h>

namespace millrace::ingress {
namespace {

Picked pick(std::string_view body, MemberPath path) {
  Picked out;
  const std::vector<MemberPath> paths{std::move(path)};
  const auto ok = pick_values(body, paths, std::span(&out, 1));
  EXPECT_TRUE(ok.has_value()) << body;
  return out;
}

Errc refusal_of(std::string_view body, MemberPath path = {"a"}) {
  Picked out;
  const std::vector<MemberPath> paths{std::move(path)};
  const auto ok = pick_values(body, paths, std::span(&out, 1));
  EXPECT_FALSE(ok.has_value()) << body;
  return ok ? Errc::internal : ok.error().code;
}

TEST(BodyPicker, TakesStringsAsTheyAreAndWholeNumbersInDecimal) {
  EXPECT_EQ(pick(R"({"a":"x\u00f6\ud83d\ude00"})", {"a"}).text, "xö😀");
  EXPECT_EQ(pick(R"({"a":-42})", {"a"}).text, "-42");
  EXPECT_EQ(pick(R"({"a":18446744073709551615})", {"a"}).text, "18446744073709551615");
  EXPECT_EQ(pick(R"({"a":{"b":"deep"},"c":1})", {"a", "b"}).text, "deep");
  EXPECT_EQ(pick(R"("root")", {}).text, "root");
}

TEST(BodyPicker, TellsAbsentFromWhatNamesNothing) {
  EXPECT_EQ(pick(R"({"a":null})", {"a"}).kind, Picked::Kind::absent);
  EXPECT_EQ(pick(R"({"b":1})", {"a"}).kind, Picked::Kind::absent);
  EXPECT_EQ(pick(R"([1])", {"a"}).kind, Picked::Kind::absent);
  EXPECT_EQ(pick(R"({"a":3.0})", {"a"}).kind, Picked::Kind::other);
  EXPECT_EQ(pick(R"({"a":true})", {"a"}).kind, Picked::Kind::other);
  EXPECT_EQ(pick(R"({"a":{}})", {"a"}).kind, Picked::Kind::other);
}

TEST(BodyPicker, RefusesWhatIsNotJsonAsAWhole) {
  for (const char* body : {"", "{", R"({"a":1}x)", R"({"a":1,})", R"({"a":1e999})",
                           "{\"a\":\"\xff\"}", R"({"a":123456789012345678901234567890})",
                           R"({"a":NaN})", R"({"a":1,"a":2})", R"({"z":[1,2,}, "a":1})"}) {
    EXPECT_EQ(refusal_of(body), Errc::malformed) << body;
  }
}

TEST(BodyPicker, RefusesTheSameDepthAsTheTree) {
  const auto nested = [](std::size_t depth, std::string_view leaf = "") {
    return std::string(depth, '[').append(leaf) + std::string(depth, ']');
  };
  for (const std::size_t depth : {1u, 127u, 128u, 129u, 130u, 100'000u}) {
    for (const char* leaf : {"", "1", "{}", R"({"a":1})"}) {
      const std::string body = nested(depth, leaf);
      Picked out;
      const std::vector<MemberPath> paths{MemberPath{}};
      const auto picked = pick_values(body, paths, std::span(&out, 1));
      EXPECT_EQ(picked.has_value(), parse_json(body).has_value()) << depth << leaf;
    }
  }
  EXPECT_EQ(refusal_of(nested(129)), Errc::too_deep);
}

TEST(BodyPicker, ReadsASmallBodyAfterALargeOne) {
  const std::string large = R"({"a":")" + std::string(3'000'000, 'x') + R"("})";
  EXPECT_EQ(pick(large, {"a"}).text.size(), 3'000'000u);
  EXPECT_EQ(pick(R"({"a":"y"})", {"a"}).text, "y");
}

}  // namespace
}  // namespace millrace::ingress
