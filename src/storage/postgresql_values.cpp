#include "storage/postgresql_values.hpp"

namespace millrace {

namespace {

constexpr std::uint32_t kByteaOid = 17;  // pg_type.dat: a fixed number

void append_big_endian(std::string& out, std::uint64_t number, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(number >> shift));
}

std::string quoted(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote) out.push_back(quote);
    out.push_back(c);
  }
  out.push_back(quote);
  return out;
}

}  // namespace

std::string postgres_int8(std::int64_t number) {
  std::string out;
  append_big_endian(out, static_cast<std::uint64_t>(number), 8);
  return out;
}

// array_send: dimensions, whether there are nulls, the elements' type; per dimension its size and
// lower bound; per element its length and bytes.
std::string postgres_bytea_array(const std::vector<std::string_view>& elements) {
  std::size_t size = 20;
  for (const auto element : elements) size += 4 + element.size();
  std::string out;
  out.reserve(size);
  append_big_endian(out, elements.empty() ? 0 : 1, 4);
  append_big_endian(out, 0, 4);
  append_big_endian(out, kByteaOid, 4);
  if (elements.empty()) return out;
  append_big_endian(out, elements.size(), 4);
  append_big_endian(out, 1, 4);
  for (const auto element : elements) {
    append_big_endian(out, element.size(), 4);
    out.append(element);
  }
  return out;
}

std::int64_t integer_of(std::string_view binary) {
  if (binary.size() != 4 && binary.size() != 8) return 0;
  std::uint64_t number = 0;
  for (const char c : binary) number = (number << 8) | static_cast<unsigned char>(c);
  return binary.size() == 4 ? static_cast<std::int32_t>(number) : static_cast<std::int64_t>(number);
}

std::string quoted_identifier(std::string_view name) {
  return quoted(name, '"');
}
std::string quoted_literal(std::string_view text) {
  return quoted(text, '\'');
}

}  // namespace millrace
