// The egress gate: the one place that decides whether a connection may be made. It looks at the
// address that is about to be dialled, after name resolution, so that a name which changes its
// answer (DNS rebinding) gains nothing.
#pragma once

#include <atomic>
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "millrace/http.hpp"
#include "millrace/result.hpp"

namespace millrace {

/// Addresses nobody may dial, whatever the configuration says: link-local (the clouds' metadata
/// services among them), multicast, "this network", reserved and broadcast, and IPv6 forms that
/// carry such an IPv4 address, or a private one where that form never legitimately does.
bool is_never_allowed(const boost::asio::ip::address& address);

/// Thread-safe; shared by all shards. A host that the operator configured may be at a private or
/// loopback address, because Odoo and MES live there.
class EgressGate {
 public:
  explicit EgressGate(const std::vector<Url>& configured) { configure(configured); }

  /// The URLs of the configured connections: their host and port, exactly, are what is allowed from
  /// now on. Open connections stay.
  void configure(const std::vector<Url>& configured);

  /// Errc::egress_denied unless (host, port) is configured and `dialled` is not forbidden. Does not
  /// resolve or connect.
  Result<void> check(std::string_view host, std::uint16_t port,
                     const boost::asio::ip::address& dialled) const;
  std::uint64_t denials() const { return denials_.load(std::memory_order_relaxed); }

 private:
  mutable std::mutex mutex_;
  std::set<std::pair<std::string, std::uint16_t>> allowed_;  ///< guarded by mutex_
  mutable std::atomic<std::uint64_t> denials_{0};
};

}  // namespace millrace
