#include "deliver/repeat.hpp"

#include <gtest/gtest.h>

namespace millrace::deliver {
namespace {

config::RouteRequest request(std::string method,
                             config::UnknownPolicy unknown = config::UnknownPolicy::by_method) {
  config::RouteRequest made;
  made.method = std::move(method);
  made.unknown = unknown;
  return made;
}

TEST(Repeat, OnlyWhatIsHarmlessIsSentAgain) {
  EXPECT_EQ(repeat_of(request("POST"), true), Repeat::send);
  EXPECT_EQ(repeat_of(request("POST"), false), Repeat::ask);
  EXPECT_EQ(repeat_of(request("PATCH"), false), Repeat::ask);
  EXPECT_EQ(repeat_of(request("PUT"), false), Repeat::send);
  EXPECT_EQ(repeat_of(request("DELETE"), false), Repeat::send);
}

TEST(Repeat, TheRouteHasTheLastWord) {
  EXPECT_EQ(repeat_of(request("POST", config::UnknownPolicy::retry), false), Repeat::send);
  EXPECT_EQ(repeat_of(request("PUT", config::UnknownPolicy::ask), true), Repeat::ask);
}

TEST(Repeat, WhoCanBeAskedIsAsked) {
  auto probed = request("POST");
  probed.probe = std::make_shared<const config::Probe>();
  EXPECT_EQ(repeat_of(probed, true), Repeat::probe);
}

}  // namespace
}  // namespace millrace::deliver
