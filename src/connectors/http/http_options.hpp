// Options of an http connection beyond the keys every connection has.
#pragma once

#include <optional>
#include <string>

#include "millrace/clock.hpp"
#include "millrace/spec.hpp"

namespace millrace::connectors {

struct BasicAuth {
  std::string user;
  std::string password;
};

struct HeaderAuth {
  std::string name;
  std::string value;
};

/// Standard Webhooks 1.0, symmetric: webhook-id, webhook-timestamp, webhook-signature.
struct HmacAuth {
  std::string secret;  ///< "whsec_" and base64, or plain text
};

/// Exactly one is set.
struct HttpAuth {
  std::optional<std::string> bearer;
  std::optional<BasicAuth> basic;
  std::optional<HeaderAuth> header;
  std::optional<HmacAuth> hmac;
};

struct HttpOptions {
  std::optional<HttpAuth> auth;
  std::string ca_file;                  ///< empty: the system's authorities
  std::optional<milliseconds> timeout;  ///< upper limit of any one call
  std::string check_path;               ///< below the url; empty: the url itself
};

const Spec<HttpOptions>& http_spec();

}  // namespace millrace::connectors
