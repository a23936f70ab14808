#include "ingress/idempotency.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "millrace/ids.hpp"

namespace millrace::ingress {
namespace {

constexpr std::size_t kKeyBytesMax = 255;
constexpr std::size_t kHexDigits = 16;  // of 64 bits

}  // namespace

std::optional<std::string> parse_idempotency_key(std::string_view value) {
  std::string key;
  if (value.starts_with('"')) {
    // RFC 8941 3.3.3: visible ASCII and spaces; a backslash escapes itself and the quote.
    std::size_t i = 1;
    for (; i < value.size() && value[i] != '"'; ++i) {
      if (value[i] == '\\') {
        if (++i == value.size() || (value[i] != '"' && value[i] != '\\')) return std::nullopt;
      }
      if (value[i] < 0x20 || value[i] > 0x7E) return std::nullopt;
      key.push_back(value[i]);
    }
    if (i + 1 != value.size()) return std::nullopt;
  } else {
    const bool visible = std::all_of(value.begin(), value.end(), [](char c) {
      return c > 0x20 && c < 0x7F && c != '"' && c != '\\';
    });
    if (!visible) return std::nullopt;
    key = value;
  }
  if (key.empty() || key.size() > kKeyBytesMax) return std::nullopt;
  return key;
}

RequestIds RequestIds::of(std::string_view credential, std::string_view key,
                          std::string_view request) {
  const std::string of_key = stable_hash({"key", credential, key});
  return *parse(of_key + stable_hash({"request", of_key, request}));
}

std::string RequestIds::text() const {
  return fmt::format("{:016x}{:016x}{:016x}{:016x}", key.high, key.low, same.high, same.low);
}

std::optional<RequestIds> RequestIds::parse(std::string_view text) {
  if (text.size() != 4 * kHexDigits) return std::nullopt;
  RequestIds ids;
  for (std::uint64_t* part : {&ids.key.high, &ids.key.low, &ids.same.high, &ids.same.low}) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + kHexDigits, *part, 16);
    if (error != std::errc() || end != text.data() + kHexDigits) return std::nullopt;
    text.remove_prefix(kHexDigits);
  }
  return ids;
}

IdempotencyKeys::Found IdempotencyKeys::begin(const RequestIds& ids) {
  const std::lock_guard lock(mutex_);
  const auto [found, inserted] = under_way_.try_emplace(ids.key.high, ids);
  if (inserted) return Found::fresh;
  return found->second.same == ids.same ? Found::in_flight : Found::other_body;
}

void IdempotencyKeys::end(const RequestIds& ids) {
  const std::lock_guard lock(mutex_);
  under_way_.erase(ids.key.high);
}

}  // namespace millrace::ingress
