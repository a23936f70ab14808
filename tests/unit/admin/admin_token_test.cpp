#include "admin/admin_token.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "millrace/ids.hpp"

namespace millrace::admin {
namespace {

class AdminToken : public ::testing::Test {
 protected:
  AdminToken() { std::filesystem::create_directory(directory); }
  ~AdminToken() override { std::filesystem::remove_all(directory); }
  const std::filesystem::path directory =
      std::filesystem::temp_directory_path() / ("millrace-token-" + random_hex(8));
  const std::filesystem::path file = directory / kAdminTokenFile;
};

TEST_F(AdminToken, IsMadeOnceForItsOwnerOnly) {
  const auto made = ensure_admin_token(directory);
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->size(), 64u);
  struct stat status{};
  ASSERT_EQ(stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(*ensure_admin_token(directory), *made);
  EXPECT_EQ(*read_admin_token(file), *made);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    (void)entry;
    ++files;
  }
  EXPECT_EQ(files, 1u);
}

TEST_F(AdminToken, IsRefusedWhenOthersMayReadItOrItIsShort) {
  ASSERT_TRUE(ensure_admin_token(directory).has_value());
  ASSERT_EQ(chmod(file.c_str(), 0640), 0);
  auto refused = ensure_admin_token(directory);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::config);
  std::ofstream(file) << "short\n";
  ASSERT_EQ(chmod(file.c_str(), 0600), 0);
  refused = ensure_admin_token(directory);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::config);
}

TEST_F(AdminToken, SaysWhenThereIsNone) {
  const auto missing = read_admin_token(file);
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, Errc::not_found);
}

}  // namespace
}  // namespace millrace::admin
