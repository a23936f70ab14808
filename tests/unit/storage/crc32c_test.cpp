#include "storage/crc32c.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace millrace {
namespace {

// RFC 3720, appendix B.4.
TEST(Crc32c, GivesTheKnownValues) {
  std::string rising;
  std::string falling;
  for (int i = 0; i < 32; ++i) {
    rising.push_back(static_cast<char>(i));
    falling.push_back(static_cast<char>(31 - i));
  }
  for (auto* function : {crc32c, crc32c_software}) {
    EXPECT_EQ(function("", 0), 0u);
    EXPECT_EQ(function("123456789", 0), 0xe3069283u);
    EXPECT_EQ(function(std::string(32, '\0'), 0), 0x8a9136aau);
    EXPECT_EQ(function(std::string(32, '\xff'), 0), 0x62a8ab43u);
    EXPECT_EQ(function(rising, 0), 0x46dd794eu);
    EXPECT_EQ(function(falling, 0), 0x113fdb5cu);
  }
}

TEST(Crc32c, HardwareAndTablesAgreeAndContinueAnywhere) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    std::string bytes(random() % 300, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    const std::size_t cut = random() % (bytes.size() + 1);
    const std::string_view whole = bytes;
    EXPECT_EQ(crc32c(whole), crc32c_software(whole));
    EXPECT_EQ(crc32c(whole.substr(cut), crc32c(whole.substr(0, cut))), crc32c(whole));
  }
}

}  // namespace
}  // namespace millrace
