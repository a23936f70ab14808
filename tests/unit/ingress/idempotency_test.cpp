#include "ingress/idempotency.hpp"

#include <gtest/gtest.h>

namespace millrace::ingress {
namespace {

using Found = IdempotencyKeys::Found;
const WallTime start{seconds(1'000'000)};

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

TEST(IdempotencyKeys, RepeatConflictAndMismatchAreToldApart) {
  IdempotencyKeys keys({});
  EXPECT_EQ(keys.begin("a\n1", "h1", start), Found::fresh);
  EXPECT_EQ(keys.begin("a\n1", "h1", start), Found::in_flight);
  EXPECT_EQ(keys.begin("a\n1", "h2", start), Found::other_body);
  keys.finish("a\n1");
  EXPECT_EQ(keys.begin("a\n1", "h1", start), Found::done);
  EXPECT_EQ(keys.begin("a\n1", "h2", start), Found::other_body);
  EXPECT_EQ(keys.begin("b\n1", "h2", start), Found::fresh) << "another credential's key";
  keys.forget("b\n1");
  EXPECT_EQ(keys.begin("b\n1", "h3", start), Found::fresh);
}

TEST(IdempotencyKeys, AreForgottenAfterTheWindowAndBeyondTheBound) {
  IdempotencyKeys keys({2, seconds(100)});
  for (const char* key : {"1", "2", "3"}) {
    ASSERT_EQ(keys.begin(key, "h", start), Found::fresh);
    keys.finish(key);
  }
  EXPECT_EQ(keys.begin("3", "h", start + seconds(100)), Found::done);
  EXPECT_EQ(keys.begin("1", "h", start + seconds(100)), Found::fresh);
  keys.forget("1");
  EXPECT_EQ(keys.begin("3", "h", start + seconds(101)), Found::fresh);
}

}  // namespace
}  // namespace millrace::ingress
