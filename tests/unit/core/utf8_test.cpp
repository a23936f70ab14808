#include "millrace/utf8.hpp"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(Utf8, KeepsWhatIsText) {
  const std::string text = "S1 \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x93\xA6";
  EXPECT_EQ(valid_utf8(text), text);
}

TEST(Utf8, ReplacesWhatIsNot) {
  EXPECT_EQ(valid_utf8("caf\xE9!"), "caf\xEF\xBF\xBD!");
  for (const char* bad : {"\x80", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF5\x80\x80\x80",
                          "\xF4\x90\x80\x80", "\xE2\x82"}) {
    EXPECT_EQ(utf8_length(bad, 0), 0U) << bad;
    EXPECT_EQ(valid_utf8(bad).substr(0, 3), "\xEF\xBF\xBD");
  }
}

TEST(Utf8, EndsWithAWholeCharacter) {
  EXPECT_EQ(valid_utf8("a\xC3\xA9\xC3\xA9", 4), "a\xC3\xA9");
  EXPECT_EQ(valid_utf8("a\xFF", 3), "a");
  EXPECT_EQ(valid_utf8("abc", 3), "abc");
}

}  // namespace
}  // namespace millrace
