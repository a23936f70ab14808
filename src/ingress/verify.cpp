#include "ingress/verify.hpp"

#include <openssl/evp.h>
#include <openssl/params.h>

#include <charconv>
#include <cstdlib>
#include <memory>
#include <optional>

#include "millrace/ids.hpp"
#include "net/ascii.hpp"

namespace millrace::ingress {
namespace {

/// More signatures in one header than any rotation needs; the rest is not looked at.
constexpr int kSignaturesMax = 16;

std::optional<WallTime> parse_unix_seconds(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // Twelve digits reach the year 33658 and stay far from overflow in microseconds.
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || text.size() > 12) {
    return std::nullopt;
  }
  return WallTime(seconds(value));
}

bool within(WallTime time, WallTime now, seconds tolerance) {
  return time >= now - tolerance && time <= now + tolerance;
}

std::string standard_webhooks_key(std::string_view secret) {
  constexpr std::string_view kPrefix = "whsec_";
  if (!secret.starts_with(kPrefix)) return std::string(secret);
  return base64_decode(secret.substr(kPrefix.size()));
}

// Walks all secrets and all signatures: the time does not tell which one fitted.
bool any_signature_fits(const std::vector<std::string>& expected, std::string_view list) {
  bool fits = false;
  for (int seen = 0; !list.empty() && seen < kSignaturesMax; ++seen) {
    const std::size_t space = list.find(' ');
    const std::string_view item = list.substr(0, space);
    list = space == list.npos ? "" : list.substr(space + 1);
    if (!item.starts_with("v1,")) continue;
    for (const std::string& one : expected) {
      if (equal_constant_time(item.substr(3), one)) fits = true;
    }
  }
  return fits;
}

std::string to_hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
    text.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  }
  return text;
}

// Computes the HMAC of `signed_text` with its placeholders filled, without copying the body.
std::string sign(const config::HmacVerify& rule, std::string_view secret, std::string_view id,
                 std::string_view timestamp, std::string_view body) {
  if (rule.signed_text == "body") return hmac(rule.algorithm, secret, {body});
  const std::string_view text = rule.signed_text;
  const std::size_t at = text.find("{body}");
  const auto fill = [&](std::string_view piece) {
    std::string out;
    while (!piece.empty()) {
      if (piece.starts_with("{timestamp}")) {
        out += timestamp;
        piece.remove_prefix(11);
      } else if (piece.starts_with("{id}")) {
        out += id;
        piece.remove_prefix(4);
      } else {
        out.push_back(piece.front());
        piece.remove_prefix(1);
      }
    }
    return out;
  };
  // What does not sign the body proves nothing about it.
  if (at == text.npos) return {};
  const std::string before = fill(text.substr(0, at));
  const std::string after = fill(text.substr(at + 6));
  return hmac(rule.algorithm, secret, {before, body, after});
}

}  // namespace

std::string hmac(std::string_view algorithm, std::string_view secret,
                 std::initializer_list<std::string_view> parts) {
  static const std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)> mac(
      EVP_MAC_fetch(nullptr, "HMAC", nullptr), &EVP_MAC_free);
  const std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)> context(
      EVP_MAC_CTX_new(mac.get()), &EVP_MAC_CTX_free);
  MILLRACE_INVARIANT(context != nullptr);
  std::string digest(algorithm == "sha512" ? "SHA512" : "SHA256");
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string("digest", digest.data(), 0),
                                   OSSL_PARAM_construct_end()};
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
  };
  // OpenSSL takes a null key for "keep the last one": an empty secret must still be a key.
  static constexpr unsigned char kNothing = 0;
  bool ok = EVP_MAC_init(context.get(), secret.empty() ? &kNothing : bytes(secret), secret.size(),
                         parameters) == 1;
  for (const std::string_view part : parts) {
    ok = ok && EVP_MAC_update(context.get(), bytes(part), part.size()) == 1;
  }
  unsigned char out[EVP_MAX_MD_SIZE];
  std::size_t size = 0;
  ok = ok && EVP_MAC_final(context.get(), out, &size, sizeof out) == 1;
  MILLRACE_INVARIANT(ok);
  return {reinterpret_cast<const char*>(out), size};
}

std::string base64_encode(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::string base64_decode(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return {};
  std::string out(text.size() / 4 * 3, '\0');
  if (EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(text.data()),
                      static_cast<int>(text.size())) < 0) {
    return {};
  }
  if (text.ends_with("==")) out.pop_back();
  if (text.ends_with("=")) out.pop_back();
  // Canonical only: spaces, or bits that the padding hides, would give one secret several
  // spellings.
  return base64_encode(out) == text ? out : std::string();
}

bool verify_standard_webhooks(const std::vector<std::string>& secrets, const HttpHeaders& headers,
                              std::string_view body, WallTime now) {
  const auto id = header(headers, "webhook-id");
  const auto timestamp = header(headers, "webhook-timestamp");
  const auto signatures = header(headers, "webhook-signature");
  if (!id || id->empty() || !timestamp || !signatures) return false;
  const auto sent_at = parse_unix_seconds(*timestamp);
  if (!sent_at || !within(*sent_at, now, kStandardWebhooksTolerance)) return false;
  std::vector<std::string> expected;
  for (const std::string& secret : secrets) {
    const std::string key = standard_webhooks_key(secret);
    if (key.empty()) continue;
    expected.push_back(base64_encode(hmac("sha256", key, {*id, ".", *timestamp, ".", body})));
  }
  return any_signature_fits(expected, *signatures);
}

bool verify_hmac(const config::HmacVerify& rule, const HttpHeaders& headers, std::string_view body,
                 WallTime now) {
  const auto given = header(headers, rule.header);
  if (!given) return false;
  std::string_view timestamp;
  if (!rule.timestamp_header.empty()) {
    const auto text = header(headers, rule.timestamp_header);
    if (!text) return false;
    timestamp = *text;
    const auto sent_at = parse_unix_seconds(timestamp);
    if (!sent_at || !within(*sent_at, now, rule.tolerance)) return false;
  }
  std::string_view value = *given;
  const std::string prefix = rule.algorithm + "=";
  if (value.starts_with(prefix)) value.remove_prefix(prefix.size());
  const bool is_hex = rule.encoding != "base64";
  const std::string presented = is_hex ? ascii_lower(value) : std::string(value);
  const std::string_view id = header(headers, "webhook-id").value_or("");
  bool fits = false;
  for (const std::string& secret : rule.secrets) {
    if (secret.empty()) continue;
    const std::string digest = sign(rule, secret, id, timestamp, body);
    if (digest.empty()) return false;
    const std::string expected = is_hex ? to_hex(digest) : base64_encode(digest);
    if (equal_constant_time(presented, expected)) fits = true;
  }
  return fits;
}

bool verify_request(const config::Verify& verify, const HttpHeaders& headers, std::string_view body,
                    WallTime now) {
  if (verify.standard_webhooks.empty() && !verify.hmac) return false;
  if (!verify.standard_webhooks.empty() &&
      !verify_standard_webhooks(verify.standard_webhooks, headers, body, now)) {
    return false;
  }
  return !verify.hmac || verify_hmac(*verify.hmac, headers, body, now);
}

}  // namespace millrace::ingress
