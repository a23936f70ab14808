// The keys of a prefix as a range of unsigned bytes; both stores scan by it.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

namespace millrace {

/// The smallest key that is greater than every key with this prefix; nullopt where there is none
/// (the prefix is empty or all 0xff).
inline std::optional<std::string> after_prefix(std::string_view prefix) {
  std::string bound(prefix);
  while (!bound.empty() && bound.back() == '\xff') bound.pop_back();
  if (bound.empty()) return std::nullopt;
  bound.back() = static_cast<char>(static_cast<unsigned char>(bound.back()) + 1);
  return bound;
}

/// The first key a scan may return: keys compare as unsigned bytes, so the successor of a key is
/// the key with a zero byte behind it.
inline std::string lower_bound(std::string_view prefix, std::string_view after) {
  std::string successor(after);
  successor.push_back('\0');
  return std::max(std::string(prefix), successor);
}

}  // namespace millrace
