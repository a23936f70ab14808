// Values as PostgreSQL's binary protocol carries them: bytea and text as they are, integers and
// arrays as the server's send and receive functions write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

/// An int8 parameter.
std::string postgres_int8(std::int64_t number);
/// A bytea[] parameter.
std::string postgres_bytea_array(const std::vector<std::string_view>& elements);

/// A value of an int8 or int4 column; 0 when it is neither.
std::int64_t integer_of(std::string_view binary);

/// A name as it may stand in SQL: "a""b".
std::string quoted_identifier(std::string_view name);
/// A text as it may stand in SQL: 'it''s'.
std::string quoted_literal(std::string_view text);

}  // namespace millrace
