#include <gtest/gtest.h>

#include "millrace/http.hpp"

namespace millrace {
namespace {

TEST(Url, TakesAnAddressApart) {
  const auto url = parse_url("https://MES.example.com:8443/api/v1/");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "mes.example.com");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->base_path, "/api/v1");
  EXPECT_EQ(url->authority(), "mes.example.com:8443");
}

TEST(Url, KnowsTheUsualPorts) {
  EXPECT_EQ(parse_url("http://a")->port, 80);
  EXPECT_EQ(parse_url("https://a")->port, 443);
  EXPECT_EQ(parse_url("http://a:80/")->authority(), "a");
  EXPECT_EQ(parse_url("http://a:443")->authority(), "a:443");
  EXPECT_EQ(parse_url("HTTPS://a/")->base_path, "");
}

TEST(Url, WritesIpv6WithBracketsInTheAuthorityOnly) {
  const auto url = parse_url("http://[0:0::0:1]:8069/x");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->authority(), "[::1]:8069");
  EXPECT_EQ(parse_url("http://[fd00::1]")->port, 80);
}

TEST(Url, RefusesWhatIsNoPlainTarget) {
  for (const std::string_view text : {"",
                                      "mes.example.com",
                                      "ftp://a",
                                      "file:///etc/passwd",
                                      "http:/a",
                                      "http://",
                                      "http:///x",
                                      "http://:80",
                                      "http://u:p@a",
                                      "http://u@a",
                                      "http://a@b@c",
                                      "http://a/#x",
                                      "http://a?x=1",
                                      "http://a/x?y",
                                      "http://a:0",
                                      "http://a:65536",
                                      "http://a:",
                                      "http://a:x",
                                      "http://a:8 0",
                                      "http://a b",
                                      "http://a\r\nHost: b",
                                      "http://a\\b",
                                      "http://[::1",
                                      "http://[::1]x",
                                      "http://[::1%25eth0]",
                                      "http://[1.2.3.4]",
                                      "http://[]",
                                      "http://a..b",
                                      "http://a.",
                                      "http://.a",
                                      "http://\xc3\xa9.example",
                                      "http://a%2eb",
                                      "http://a,b",
                                      "gopher://a",
                                      "javascript:alert(1)",
                                      "http://a:80:80"}) {
    const auto url = parse_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, Errc::invalid_argument) << text;
  }
  EXPECT_FALSE(parse_url("http://" + std::string(254, 'a')));
  EXPECT_FALSE(parse_url("http://" + std::string(64, 'a') + ".example"));
}

TEST(Url, RefusesOtherSpellingsOfIpv4Addresses) {
  for (const std::string_view text :
       {"http://2130706433", "http://0x7f000001", "http://017700000001", "http://127.1",
        "http://0x7f.0.0.1", "http://0177.0.0.1", "http://127.0.0.0x1", "http://127.0.1",
        "http://127.0.0.01", "http://256.0.0.1", "http://1.2.3.4.5", "http://1.2.3.4.", "http://0",
        "http://0x", "http://example.0x7f"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
  EXPECT_EQ(parse_url("http://127.0.0.1")->host, "127.0.0.1");
}

TEST(Url, EncodesOnePathSegment) {
  EXPECT_EQ(percent_encode("AZaz09-._~"), "AZaz09-._~");
  EXPECT_EQ(percent_encode("a/b ?#%\xc3\xa9"), "a%2Fb%20%3F%23%25%C3%A9");
  EXPECT_EQ(percent_encode(std::string_view("\0\n", 2)), "%00%0A");
}

TEST(Headers, AreFoundWithoutCase) {
  const HttpHeaders headers = {{"Retry-After", "1"}, {"retry-after", "2"}};
  EXPECT_EQ(header(headers, "RETRY-AFTER"), "1");
  EXPECT_EQ(header(headers, "Retry"), std::nullopt);
}

}  // namespace
}  // namespace millrace
