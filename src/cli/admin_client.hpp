// Calls the admin API of a daemon on this machine over a plain socket: one request a connection, a
// deadline on everything, no library.
#pragma once

#include <string>
#include <string_view>

#include "admin/operations.hpp"
#include "millrace/clock.hpp"
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

struct AdminAnswer {
  int status = 0;
  Json body;  ///< null when the body is no JSON
};

class AdminClient {
 public:
  static constexpr std::size_t kAnswerBytesMax = std::size_t{64} << 20;

  AdminClient(AdminAddress address, std::string token, milliseconds limit = milliseconds(60'000))
      : address_(std::move(address)), token_(std::move(token)), limit_(limit) {}

  /// Arguments named in the path go there, the others into the query (GET, DELETE) or the JSON
  /// body. Errc::not_connected when nobody answers, Errc::forbidden when the address is not
  /// loopback (the token would travel in the clear), Errc::unanswered, Errc::protocol.
  Result<AdminAnswer> call(const admin::OperationSpec& operation, JsonObject arguments) const;

 private:
  Result<std::string> exchange(const std::string& request) const;

  AdminAddress address_;
  std::string token_;
  milliseconds limit_;
};

}  // namespace millrace::cli
