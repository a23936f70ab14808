#include "core/byte_scan.hpp"

#include <gtest/gtest.h>

#include <string>

namespace millrace {
namespace {

std::size_t byte_by_byte(std::string_view text, std::size_t from, bool utf8) {
  for (std::size_t at = from; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x20 || byte == 0x7F || byte == '"' || byte == '\\') return at;
    if (utf8 && byte > 0x7F) return at;
  }
  return std::max(from, text.size());
}

// Every byte at every place of texts around the width of a step, alone and with another after it.
TEST(FindSpecial, AgreesWithTheLoopOverBytes) {
  for (std::size_t size = 0; size <= 20; ++size) {
    for (std::size_t place = 0; place < size; ++place) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(size, 'x');
        text[place] = static_cast<char>(byte);
        for (const char after : {'x', '"', '\x01', '\x80'}) {
          if (place + 1 < size) text[place + 1] = after;
          for (const std::size_t from : {std::size_t{0}, place, size}) {
            ASSERT_EQ((find_special<false, '"', '\\'>(text, from)), byte_by_byte(text, from, false))
                << size << ' ' << place << ' ' << byte << ' ' << from;
            ASSERT_EQ((find_special<true, '"', '\\'>(text, from)), byte_by_byte(text, from, true))
                << size << ' ' << place << ' ' << byte << ' ' << from;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace millrace
