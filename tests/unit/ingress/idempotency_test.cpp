#include "ingress/idempotency.hpp"

#include <gtest/gtest.h>

namespace millrace::ingress {
namespace {

using Found = IdempotencyKeys::Found;

TEST(IdempotencyKey, IsAStructuredStringOrABareWord) {
  EXPECT_EQ(parse_idempotency_key(R"("8e03978e-40d5")"), "8e03978e-40d5");
  EXPECT_EQ(parse_idempotency_key(R"("a \"b\" \\")"), R"(a "b" \)");
  EXPECT_EQ(parse_idempotency_key("bare-word_1"), "bare-word_1");
  for (const std::string& bad :
       {std::string(), std::string("\"\""), std::string("\"open"), std::string("\"a\"b"),
        std::string("two words"), std::string("\"\\n\""), std::string("h\xc3\xa4"),
        std::string(256, 'k')}) {
    EXPECT_EQ(parse_idempotency_key(bad), std::nullopt) << bad;
  }
  EXPECT_TRUE(parse_idempotency_key(std::string(255, 'k')));
}

TEST(IdempotencyKeys, ConflictAndMismatchAreToldApart) {
  IdempotencyKeys keys;
  const auto first = RequestIds::of("a", "1", "body");
  const auto other = RequestIds::of("a", "1", "another body");
  EXPECT_EQ(keys.begin(first), Found::fresh);
  EXPECT_EQ(keys.begin(first), Found::in_flight);
  EXPECT_EQ(keys.begin(other), Found::other_body);
  EXPECT_EQ(keys.begin(RequestIds::of("b", "1", "another body")), Found::fresh)
      << "another credential's key";
  keys.end(first);
  EXPECT_EQ(keys.begin(other), Found::fresh);
}

TEST(RequestIds, AreReadBackFromTheirText) {
  const auto ids = RequestIds::of("a", "1", "body");
  const auto read = RequestIds::parse(ids.text());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->key, ids.key);
  EXPECT_EQ(read->same, ids.same);
  EXPECT_EQ(ids.key, RequestIds::of("a", "1", "another body").key);
  EXPECT_NE(ids.same, RequestIds::of("a", "1", "another body").same);
  EXPECT_FALSE(RequestIds::parse(ids.text().substr(1)));
  EXPECT_FALSE(RequestIds::parse(std::string(64, 'x')));
}

}  // namespace
}  // namespace millrace::ingress
