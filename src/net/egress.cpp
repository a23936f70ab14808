#include "net/egress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace millrace {

namespace ip = boost::asio::ip;

namespace {

using V4 = ip::address_v4;
using V6 = ip::address_v6;

struct V4Block {
  std::uint32_t base;
  int bits;
  constexpr bool holds(std::uint32_t address) const {
    return (address >> (32 - bits)) == (base >> (32 - bits));
  }
};

constexpr std::uint32_t v4(unsigned a, unsigned b, unsigned c, unsigned d) {
  return (a << 24) | (b << 16) | (c << 8) | d;
}

constexpr std::array kNeverV4 = {
    V4Block{v4(0, 0, 0, 0), 8},           // "this network": 0.0.0.0 reaches the own machine
    V4Block{v4(169, 254, 0, 0), 16},      // link-local; metadata of most clouds
    V4Block{v4(224, 0, 0, 0), 4},         // multicast
    V4Block{v4(240, 0, 0, 0), 4},         // reserved, and broadcast
    V4Block{v4(100, 100, 100, 200), 32},  // metadata of Alibaba Cloud
    V4Block{v4(168, 63, 129, 16), 32},    // the host agent of Azure
    V4Block{v4(192, 0, 0, 192), 32},      // metadata of Oracle Cloud
};

/// Not global: never what a 6to4 or NAT64 address may carry (RFC 3056 2, RFC 6052 3.1).
constexpr std::array kNotGlobalV4 = {
    V4Block{v4(10, 0, 0, 0), 8},    V4Block{v4(127, 0, 0, 0), 8},  V4Block{v4(100, 64, 0, 0), 10},
    V4Block{v4(172, 16, 0, 0), 12}, V4Block{v4(192, 0, 0, 0), 24}, V4Block{v4(192, 168, 0, 0), 16},
    V4Block{v4(198, 18, 0, 0), 15},
};

bool never_v4(std::uint32_t address) {
  return std::ranges::any_of(kNeverV4, [&](V4Block block) { return block.holds(address); });
}
bool not_global_v4(std::uint32_t address) {
  return std::ranges::any_of(kNotGlobalV4, [&](V4Block block) { return block.holds(address); });
}

std::uint32_t embedded(const V6::bytes_type& bytes, std::size_t at) {
  return v4(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
}

template <std::size_t N>
bool has_prefix(const V6::bytes_type& bytes, const std::array<unsigned char, N>& prefix) {
  return std::equal(prefix.begin(), prefix.end(), bytes.begin());
}

using Prefix2 = std::array<unsigned char, 2>;
using Prefix4 = std::array<unsigned char, 4>;
using Prefix6 = std::array<unsigned char, 6>;
using Prefix12 = std::array<unsigned char, 12>;

constexpr Prefix2 k6to4 = {0x20, 0x02};
constexpr Prefix4 kTeredo = {0x20, 0x01, 0, 0};
constexpr Prefix12 kNat64 = {0, 0x64, 0xff, 0x9b};
constexpr Prefix6 kLocalNat64 = {0, 0x64, 0xff, 0x9b, 0, 1};
constexpr Prefix12 kCompatible = {};
constexpr Prefix12 kTranslated = {0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr V6::bytes_type kAwsMetadata = {0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0,
                                         0,    0, 0,    0,    0, 0, 2, 0x54};
constexpr V6::bytes_type kGoogleMetadata = {0xfd, 0x20, 0, 0xce, 0, 0, 0, 0,
                                            0,    0,    0, 0,    0, 0, 2, 0x54};

bool is_isatap(const V6::bytes_type& bytes) {
  return (bytes[8] & 0xfd) == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe;
}

bool never_v6(const V6& address) {
  const auto bytes = address.to_bytes();
  if (address.is_v4_mapped()) return never_v4(embedded(bytes, 12));
  if (address.is_loopback()) return false;
  if (address.is_unspecified() || address.is_multicast()) return true;
  if (bytes[0] == 0xfe && (bytes[1] & 0x80) != 0) return true;  // fe80::/10 and old site-local
  if (bytes == kAwsMetadata || bytes == kGoogleMetadata) return true;
  if (has_prefix(bytes, kTeredo) || has_prefix(bytes, kLocalNat64)) return true;
  if (has_prefix(bytes, kCompatible) || has_prefix(bytes, kTranslated)) return true;
  if (is_isatap(bytes)) return true;
  const auto carries_forbidden = [](std::uint32_t inner) {
    return never_v4(inner) || not_global_v4(inner);
  };
  if (has_prefix(bytes, k6to4)) return carries_forbidden(embedded(bytes, 2));
  if (has_prefix(bytes, kNat64)) return carries_forbidden(embedded(bytes, 12));
  return false;
}

}  // namespace

bool is_never_allowed(const ip::address& address) {
  if (address.is_v4()) return never_v4(address.to_v4().to_uint());
  return never_v6(address.to_v6());
}

void EgressGate::configure(const std::vector<Url>& configured) {
  std::set<std::pair<std::string, std::uint16_t>> allowed;
  for (const Url& url : configured) allowed.emplace(url.host, url.port);
  const std::lock_guard lock(mutex_);
  allowed_ = std::move(allowed);
}

Result<void> EgressGate::check(std::string_view host, std::uint16_t port,
                               const ip::address& dialled) const {
  bool configured = false;
  {
    const std::lock_guard lock(mutex_);
    configured = allowed_.contains(std::pair(std::string(host), port));
  }
  if (!configured) {
    denials_.fetch_add(1, std::memory_order_relaxed);
    return fail(Errc::egress_denied,
                fmt::format("{}:{} is not the address of a configured connection; configure one to "
                            "allow it",
                            host, port));
  }
  if (is_never_allowed(dialled)) {
    denials_.fetch_add(1, std::memory_order_relaxed);
    return fail(Errc::egress_denied,
                fmt::format("{}:{} resolves to {}, which is never called (link-local, metadata, "
                            "multicast or reserved); correct the name or its DNS entry",
                            host, port, dialled.to_string()));
  }
  return {};
}

}  // namespace millrace
