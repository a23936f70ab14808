// Authentication of outgoing requests. What it adds replaces a header of the same name, so that a
// route cannot weaken it.
#pragma once

#include <string>
#include <string_view>

#include "connectors/http/http_options.hpp"
#include "millrace/http.hpp"

namespace millrace::connectors {

/// Adds the headers `auth` asks for. `id` is what Standard Webhooks calls the message id: the same
/// for every attempt. `now` dates the signature.
void authenticate(HttpRequest& request, const HttpAuth& auth, std::string_view id, WallTime now);

/// Removes every header of that name (case does not count) and adds one.
void set_header(HttpHeaders& headers, std::string_view name, std::string value);

/// The signature part of Standard Webhooks: "v1," and base64 of HMAC-SHA-256 over
/// id.timestamp.body.
std::string standard_webhooks_signature(std::string_view secret, std::string_view id,
                                        std::string_view timestamp, std::string_view body);

}  // namespace millrace::connectors
