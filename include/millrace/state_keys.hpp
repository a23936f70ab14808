// How long the parts of state keys may be. What others choose is checked where it comes in, so that
// every key made of it fits every store.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace millrace {

/// Longest record or id that others choose, in bytes.
inline constexpr std::size_t kIdentifierBytesMax = 1024;
/// Longest name in the identity map, and longest model, in bytes.
inline constexpr std::size_t kObjectNameBytesMax = 100;
/// Longest key a store takes, in bytes: two identifiers and the names around them fit. PostgreSQL's
/// index takes 2,692.
inline constexpr std::size_t kStateKeyBytesMax = 2600;

/// True for text that may become part of a record or key: not empty, within the limit, UTF-8, no
/// control characters (state keys are joined with zero bytes, logs are lines).
bool is_identifier(std::string_view text);

/// What of a business name stands in the keys of Table::names: its first 512 bytes, before a zero
/// byte. Who looks a name up cuts it likewise.
std::string indexed_name(std::string_view name);

}  // namespace millrace
