#include "millrace/state_keys.hpp"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(StateKeys, AnIdentifierHasAnEndAndNoControlCharacters) {
  EXPECT_FALSE(is_identifier(""));
  EXPECT_TRUE(is_identifier(std::string(kIdentifierBytesMax, 'x')));
  EXPECT_FALSE(is_identifier(std::string(kIdentifierBytesMax + 1, 'x')));
  EXPECT_FALSE(is_identifier(std::string_view("a\0b", 3)));
  EXPECT_FALSE(is_identifier("a\nb"));
  EXPECT_TRUE(is_identifier("caf\u00e9"));
  EXPECT_FALSE(is_identifier("caf\xE9"));
}

TEST(StateKeys, ANameIsCutBetweenCharacters) {
  EXPECT_EQ(indexed_name("WH/MO/00012"), "WH/MO/00012");
  EXPECT_EQ(indexed_name(std::string_view("a\0b", 3)), "a");
  EXPECT_EQ(indexed_name(std::string(512, 'x') + "yz"), std::string(512, 'x'));
  EXPECT_EQ(indexed_name(std::string(511, 'x') + "\u00f6"), std::string(511, 'x'));
  EXPECT_EQ(indexed_name(std::string(510, 'x') + "\u00f6z"), std::string(510, 'x') + "\u00f6");
}

}  // namespace
}  // namespace millrace
