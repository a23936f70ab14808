#include "connectors/http/http_auth.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <strings.h>

#include <array>
#include <vector>

namespace millrace::connectors {
namespace {

constexpr std::string_view kSecretPrefix = "whsec_";

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

/// The key's bytes: "whsec_" is followed by base64; anything else is the key as it stands.
std::string key_of(std::string_view secret) {
  if (!secret.starts_with(kSecretPrefix)) return std::string(secret);
  const std::string_view encoded = secret.substr(kSecretPrefix.size());
  std::string bytes(encoded.size() / 4 * 3 + 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(encoded.data()),
                                   static_cast<int>(encoded.size()));
  if (size < 0) return std::string(secret);
  // EVP_DecodeBlock counts the padding as zero bytes.
  std::size_t length = static_cast<std::size_t>(size);
  for (std::size_t at = encoded.size(); at > 0 && encoded[at - 1] == '=' && length > 0; --at) {
    --length;
  }
  bytes.resize(length);
  return bytes;
}

}  // namespace

void set_header(HttpHeaders& headers, std::string_view name, std::string value) {
  std::erase_if(headers, [&](const auto& entry) {
    return entry.first.size() == name.size() &&
           strncasecmp(entry.first.data(), name.data(), name.size()) == 0;
  });
  headers.emplace_back(std::string(name), std::move(value));
}

std::string standard_webhooks_signature(std::string_view secret, std::string_view id,
                                        std::string_view timestamp, std::string_view body) {
  const std::string key = key_of(secret);
  const std::string signed_text = fmt::format("{}.{}.{}", id, timestamp, body);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(signed_text.data()), signed_text.size(),
       digest.data(), &size);
  return "v1," + base64({reinterpret_cast<const char*>(digest.data()), size});
}

void authenticate(HttpRequest& request, const HttpAuth& auth, std::string_view id, WallTime now) {
  if (auth.bearer) {
    set_header(request.headers, "Authorization", "Bearer " + *auth.bearer);
  } else if (auth.basic) {
    set_header(request.headers, "Authorization",
               "Basic " + base64(auth.basic->user + ":" + auth.basic->password));
  } else if (auth.header) {
    set_header(request.headers, auth.header->name, auth.header->value);
  } else if (auth.hmac) {
    const auto since_epoch = std::chrono::duration_cast<seconds>(now.time_since_epoch());
    const std::string timestamp = std::to_string(since_epoch.count());
    set_header(request.headers, "webhook-id", std::string(id));
    set_header(request.headers, "webhook-timestamp", timestamp);
    set_header(request.headers, "webhook-signature",
               standard_webhooks_signature(auth.hmac->secret, id, timestamp, request.body));
  }
}

}  // namespace millrace::connectors
