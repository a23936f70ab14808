// Signatures of incoming webhooks: Standard Webhooks 1.0 (symmetric, `v1`) and configurable HMAC.
// Judged by wall time, over the raw bytes, in constant time; a refusal never says what was wrong.
#pragma once

#include <string>
#include <string_view>

#include "config/model.hpp"
#include "millrace/clock.hpp"
#include "millrace/http.hpp"

namespace millrace::ingress {

/// standardwebhooks.com: headers webhook-id, webhook-timestamp, webhook-signature (a list of
/// "v1,base64" split by spaces). A secret is "whsec_" and base64, or plain text.
bool verify_standard_webhooks(const std::vector<std::string>& secrets, const HttpHeaders& headers,
                              std::string_view body, WallTime now);

bool verify_hmac(const config::HmacVerify& rule, const HttpHeaders& headers, std::string_view body,
                 WallTime now);

/// All that `verify:` asks for; a Verify that asks for nothing accepts nothing.
bool verify_request(const config::Verify& verify, const HttpHeaders& headers, std::string_view body,
                    WallTime now);

/// Age allowed by Standard Webhooks, in both directions.
inline constexpr seconds kStandardWebhooksTolerance{300};

/// HMAC over the parts one after another; raw bytes. `algorithm` is "sha256" or "sha512".
std::string hmac(std::string_view algorithm, std::string_view secret,
                 std::initializer_list<std::string_view> parts);
std::string base64_encode(std::string_view bytes);
/// Empty when `text` is not canonical base64 (RFC 4648, with padding).
std::string base64_decode(std::string_view text);

}  // namespace millrace::ingress
