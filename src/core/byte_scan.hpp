// Finds the first byte of a text that needs a closer look, eight bytes at a time. Most texts of
// messages have none, and every one is scanned several times on its way.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace millrace {

namespace scan_detail {

constexpr std::uint64_t kOnes = 0x0101010101010101;

/// The high bit of every byte equal to `wanted`. Bytes above a marked one may be marked wrongly, by
/// the borrow; the lowest mark is always right.
constexpr std::uint64_t marks(std::uint64_t bytes, char wanted) {
  const std::uint64_t zero_where = bytes ^ (kOnes * static_cast<unsigned char>(wanted));
  return (zero_where - kOnes) & ~zero_where;
}

template <bool Utf8, char... Stops>
constexpr std::uint64_t specials(std::uint64_t bytes) {
  std::uint64_t found = ((bytes - kOnes * 0x20) & ~bytes) | marks(bytes, '\x7F');
  found |= (marks(bytes, Stops) | ... | 0);
  if constexpr (Utf8) found |= bytes;
  return found & (kOnes * 0x80);
}

template <typename Integer>
std::uint64_t load(const char* at) {
  Integer bytes;
  std::memcpy(&bytes, at, sizeof bytes);
  return bytes;
}

}  // namespace scan_detail

/// The position of the first control byte (below 0x20, or 0x7F), of the first byte equal to one of
/// `Stops`, or, with `Utf8`, of the first byte above 0x7F; the text's size when there is none.
template <bool Utf8, char... Stops>
std::size_t find_special(std::string_view text, std::size_t from = 0) {
  static_assert(std::endian::native == std::endian::little, "the first byte is the lowest");
  using namespace scan_detail;
  const auto look = [](std::uint64_t bytes) { return specials<Utf8, Stops...>(bytes); };
  const char* const data = text.data();
  std::size_t at = from;
  for (; at + 8 <= text.size(); at += 8) {
    if (const std::uint64_t found = look(load<std::uint64_t>(data + at))) {
      return at + static_cast<std::size_t>(std::countr_zero(found)) / 8;
    }
  }
  if (at >= text.size()) return at;
  // The rest is looked at whole, a part of it twice; bytes made up are no special ones.
  const std::size_t left = text.size() - at;
  const char* const last = data + text.size();
  if (left >= 4) {
    const std::uint64_t rest =
        load<std::uint32_t>(data + at) | (load<std::uint32_t>(last - 4) << 32);
    if (look(rest) == 0) return text.size();
  } else {
    const std::uint64_t rest = (kOnes * 'a' << 24) | load<std::uint8_t>(data + at) |
                               (load<std::uint8_t>(data + at + left / 2) << 8) |
                               (load<std::uint8_t>(last - 1) << 16);
    if (look(rest) == 0) return text.size();
  }
  for (;; ++at) {
    if (look(load<std::uint8_t>(data + at) | (kOnes * 'a' << 8)) != 0) return at;
  }
}

}  // namespace millrace
