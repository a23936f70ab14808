// Calls the admin API of a daemon: one request a connection, a deadline on everything. Plain HTTP
// never leaves the machine; with TLS the daemon must show the certificate that is expected.
#pragma once

#include <string>
#include <string_view>

#include "admin/operations.hpp"
#include "millrace/clock.hpp"
#include "millrace/http.hpp"
#include "millrace/json.hpp"
#include "millrace/result.hpp"

namespace millrace::cli {

struct AdminAddress {
  std::string host;  ///< without brackets
  std::string port;
  std::string text() const;
};
/// "127.0.0.1:8481", "[::1]:8481", "localhost:8481". Errc::invalid_argument.
Result<AdminAddress> parse_admin_address(std::string_view text);

/// How the daemon proves who it is. Both empty: plain HTTP, on loopback only.
struct AdminTrust {
  std::string ca_file;      ///< its certificate is of this authority and names its address
  std::string pinned_file;  ///< its certificate is this one
  bool is_tls() const { return !ca_file.empty() || !pinned_file.empty(); }
};

struct AdminAnswer {
  int status = 0;
  Json body;  ///< null when the body is no JSON
};

class AdminClient {
 public:
  static constexpr std::size_t kAnswerBytesMax = std::size_t{64} << 20;

  AdminClient(AdminAddress address, std::string token, AdminTrust trust = {},
              milliseconds limit = milliseconds(60'000))
      : address_(std::move(address)),
        token_(std::move(token)),
        trust_(std::move(trust)),
        limit_(limit) {}

  /// Arguments named in the path go there, the others into the query (GET, DELETE) or the JSON
  /// body. Errc::not_connected when nobody answers, Errc::forbidden when the address is not
  /// loopback and there is no TLS (the token would travel in the clear), Errc::tls,
  /// Errc::unanswered.
  Result<AdminAnswer> call(const admin::OperationSpec& operation, JsonObject arguments) const;

 private:
  Result<HttpResponse> exchange(HttpRequest request) const;

  AdminAddress address_;
  std::string token_;
  AdminTrust trust_;
  milliseconds limit_;
};

}  // namespace millrace::cli
