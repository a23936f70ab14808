#include "net/egress.hpp"

#include <gtest/gtest.h>

namespace millrace {
namespace {

boost::asio::ip::address ip(std::string_view text) {
  return boost::asio::ip::make_address(text);
}

constexpr std::string_view kNever[] = {
    "0.0.0.0", "0.1.2.3", "169.254.0.1", "169.254.169.254", "169.254.255.255", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255", "100.100.100.200", "168.63.129.16",
    "192.0.0.192", "::", "fe80::1", "fe80::a9fe:a9fe", "febf::1", "fec0::1", "ff02::1", "ff0e::1",
    "fd00:ec2::254", "fd20:ce::254",
    // IPv4 inside IPv6: mapped, compatible, translated, 6to4, NAT64, Teredo, ISATAP
    "::ffff:169.254.169.254", "::ffff:0.0.0.0", "::ffff:255.255.255.255", "::ffff:224.0.0.1",
    "::169.254.169.254", "::127.0.0.1", "::ffff:0:169.254.169.254",
    "2002:a9fe:a9fe::", "2002:7f00:1::1", "2002:a00:1::", "2002:c0a8:101::1",
    "2002:e000:1::", "64:ff9b::169.254.169.254", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1",
    "64:ff9b::192.168.0.1", "64:ff9b::172.16.0.1", "64:ff9b::0.0.0.0", "64:ff9b:1::1",
    "64:ff9b:1:a9fe:a9:fe00::", "2001:0:1:2:3:4:5:6", "fd00::5efe:10.0.0.1",
    "2001:db8::200:5efe:169.254.169.254"};

TEST(EgressGate, NeverAllowsForbiddenAddressesEvenForAConfiguredHost) {
  const EgressGate gate({*parse_url("http://mes:8080")});
  std::uint64_t denials = 0;
  for (const std::string_view address : kNever) {
    const auto verdict = gate.check("mes", 8080, ip(address));
    ASSERT_FALSE(verdict) << address;
    EXPECT_EQ(verdict.error().code, Errc::egress_denied);
    EXPECT_EQ(gate.denials(), ++denials);
  }
}

TEST(EgressGate, AllowsAConfiguredHostWhereverItLives) {
  const EgressGate gate({*parse_url("http://mes:8080"), *parse_url("https://odoo.example.com")});
  for (const std::string_view address :
       {"127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "93.184.216.34", "::1",
        "fd12:3456::1", "2606:4700::1111", "::ffff:10.0.0.1", "64:ff9b::93.184.216.34",
        "2002:5db8:d822::1", "100.100.100.201", "169.253.255.255", "169.255.0.0"}) {
    EXPECT_TRUE(gate.check("mes", 8080, ip(address))) << address;
    EXPECT_TRUE(gate.check("odoo.example.com", 443, ip(address))) << address;
  }
  EXPECT_EQ(gate.denials(), 0u);
}

TEST(EgressGate, AllowsExactlyTheConfiguredHostAndPort) {
  const EgressGate gate({*parse_url("http://mes:8080")});
  EXPECT_FALSE(gate.check("mes", 8081, ip("10.0.0.1")));
  EXPECT_FALSE(gate.check("mes.", 8080, ip("10.0.0.1")));
  EXPECT_FALSE(gate.check("xmes", 8080, ip("10.0.0.1")));
  EXPECT_FALSE(gate.check("10.0.0.1", 8080, ip("10.0.0.1")));
  EXPECT_FALSE(gate.check("", 8080, ip("127.0.0.1")));
  EXPECT_EQ(gate.denials(), 5u);
}

TEST(EgressGate, FollowsAChangedConfiguration) {
  EgressGate gate({*parse_url("http://old")});
  gate.configure({*parse_url("http://new")});
  EXPECT_FALSE(gate.check("old", 80, ip("10.0.0.1")));
  EXPECT_TRUE(gate.check("new", 80, ip("10.0.0.1")));
}

}  // namespace
}  // namespace millrace
