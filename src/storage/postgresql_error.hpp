// What can go wrong with PostgreSQL, by what it means for the caller.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "millrace/result.hpp"

namespace millrace {

struct PostgresError {
  enum class Kind : std::uint8_t {
    lost,      ///< the connection is gone; whether the last statement was carried out is unknown
    conflict,  ///< another transaction was in the way (40001, 40P01, 55P03): repeat at once
    full,      ///< no space on the server (53100): nothing was applied
    away,      ///< the server cannot now (starting, read-only, no rights, no slot): try again later
    setup,     ///< it will not work without a person: wrong password, no such database or role
    final,     ///< a broken expectation: repeating changes nothing
  };
  Kind kind = Kind::final;
  std::string sqlstate;  ///< five characters; empty when the server did not say
  std::string message;   ///< one line

  Error to_error() const;
};

template <typename T>
using PostgresResult = std::expected<T, PostgresError>;

/// What an error of this SQLSTATE means inside a session.
PostgresError::Kind kind_of_sqlstate(std::string_view sqlstate);
/// What a failed attempt to connect means; the server's SQLSTATE is not known then.
PostgresError::Kind kind_of_connect_failure(std::string_view message);

/// The text on one line, without what stands in brackets for programmers.
std::string one_line(std::string_view text);

}  // namespace millrace
