// Header lookup, URL parsing and percent encoding of millrace/http.hpp. A host is either a plain
// DNS name or one unambiguous IP literal: the other spellings resolvers accept (0x7f.1,
// 017700000001) exist to slip past checks.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>

#include "millrace/http.hpp"
#include "net/ascii.hpp"

namespace millrace {

namespace {

constexpr std::size_t kUrlBytesMax = 4096;
constexpr std::size_t kHostBytesMax = 253;
constexpr std::size_t kLabelBytesMax = 63;

Result<void> check_bytes(std::string_view text) {
  if (text.empty()) return fail(Errc::invalid_argument, "the URL is empty");
  if (text.size() > kUrlBytesMax) {
    return fail(Errc::invalid_argument, fmt::format("a URL may have {} bytes", kUrlBytesMax));
  }
  for (const char c : text) {
    if (c <= 0x20 || c >= 0x7f || c == '\\') {
      return fail(Errc::invalid_argument,
                  "a URL holds visible ASCII characters without backslashes; write other host "
                  "names in their xn-- form and percent-encode other paths");
    }
  }
  return {};
}

/// The last label tells a resolver that the whole host is a number.
bool looks_numeric(std::string_view host) {
  const auto dot = host.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? host : host.substr(dot + 1);
  if (std::ranges::all_of(last, is_digit)) return true;
  return last.size() >= 2 && last[0] == '0' && last[1] == 'x' &&
         std::ranges::all_of(last.substr(2), is_hex_digit);
}

Result<void> check_dns_name(std::string_view host) {
  const auto refuse = [&](std::string_view why) {
    return fail(Errc::invalid_argument, fmt::format("\"{}\" is not a host name: {}", host, why));
  };
  if (host.size() > kHostBytesMax) return refuse("it is longer than 253 characters");
  std::size_t label = 0;
  for (const char c : host) {
    if (c == '.') {
      if (label == 0) return refuse("it has an empty label");
      label = 0;
      continue;
    }
    if (!is_alnum(c) && c != '-' && c != '_')
      return refuse("letters, digits, '-', '_' and '.' only");
    if (++label > kLabelBytesMax) return refuse("a label is longer than 63 characters");
  }
  if (label == 0) return refuse("leave out the dot at its end");
  return {};
}

Result<std::string> parse_host(std::string_view text) {
  if (text.empty()) return fail(Errc::invalid_argument, "the URL names no host");
  boost::system::error_code error;
  if (text.front() == '[') {
    const std::string_view literal = text.substr(1, text.size() - 2);
    if (literal.contains('%')) {
      return fail(Errc::invalid_argument, "an IPv6 host has no zone (the part after '%')");
    }
    const auto address = boost::asio::ip::make_address_v6(literal, error);
    if (error) {
      return fail(Errc::invalid_argument, fmt::format("\"{}\" is not an IPv6 address", literal));
    }
    return address.to_string();
  }
  std::string host = ascii_lower(text);
  if (looks_numeric(host)) {
    const auto address = boost::asio::ip::make_address_v4(host, error);
    if (error || address.to_string() != host) {
      return fail(Errc::invalid_argument,
                  fmt::format("\"{}\" is not an IPv4 address of four decimal numbers", host));
    }
    return host;
  }
  MILLRACE_CHECK_OK(check_dns_name(host));
  return host;
}

Result<std::uint16_t> parse_port(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || text.size() > 5 || value == 0 || value > 65535) {
    return fail(
        Errc::invalid_argument,
        fmt::format("\"{}\" is not a port: write 1 to 65535, or leave the colon out", text));
  }
  return static_cast<std::uint16_t>(value);
}

}  // namespace

std::optional<std::string_view> header(const HttpHeaders& headers, std::string_view name) {
  for (const auto& [field, value] : headers) {
    if (equal_ignoring_case(field, name)) return value;
  }
  return std::nullopt;
}

std::string Url::authority() const {
  std::string text = host.contains(':') ? "[" + host + "]" : host;
  const std::uint16_t usual = tls ? 443 : 80;
  if (port != usual) text += ":" + std::to_string(port);
  return text;
}

Result<Url> parse_url(std::string_view text) {
  MILLRACE_CHECK_OK(check_bytes(text));
  Url url;
  const auto scheme_end = text.find("://");
  const std::string scheme =
      scheme_end == std::string_view::npos ? "" : ascii_lower(text.substr(0, scheme_end));
  if (scheme != "http" && scheme != "https") {
    return fail(Errc::invalid_argument,
                fmt::format("\"{}\" is not an address Millrace calls: write http:// or https://",
                            text.substr(0, 64)));
  }
  url.tls = scheme == "https";
  url.port = url.tls ? 443 : 80;
  const std::string_view rest = text.substr(scheme_end + 3);
  if (rest.contains('#')) return fail(Errc::invalid_argument, "leave out the fragment (from '#')");
  if (rest.contains('?')) {
    return fail(Errc::invalid_argument,
                "leave out the query (from '?'): it belongs to the path of a request");
  }
  const auto path_start = std::min(rest.find('/'), rest.size());
  std::string_view authority = rest.substr(0, path_start);
  if (authority.contains('@')) {
    return fail(Errc::invalid_argument,
                "leave out user and password (before '@'): write them under `auth:`");
  }
  const auto bracket = authority.rfind(']');
  if (authority.starts_with('[') && bracket == std::string_view::npos) {
    return fail(Errc::invalid_argument, "the IPv6 address lacks its closing bracket");
  }
  const auto colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    MILLRACE_TRY(port, parse_port(authority.substr(colon + 1)));
    url.port = port;
    authority = authority.substr(0, colon);
  }
  if (authority.starts_with('[') && !authority.ends_with(']')) {
    return fail(Errc::invalid_argument, "only a port may follow the IPv6 address's bracket");
  }
  MILLRACE_TRY(host, parse_host(authority));
  url.host = std::move(host);
  url.base_path = rest.substr(path_start);
  while (url.base_path.ends_with('/')) url.base_path.pop_back();
  return url;
}

}  // namespace millrace
