// What Odoo 18 says over /jsonrpc. Errors come with status 200 and are told apart by the name of
// the Python exception; anything that is not such an envelope is not Odoo speaking (a proxy, a
// login page).
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "millrace/http.hpp"
#include "millrace/json.hpp"
#include "millrace/result.hpp"

namespace millrace::connectors {

/// A call that failed, and whose fault it is.
struct OdooFault {
  enum class Kind : std::uint8_t {
    call,     ///< the whole call: `error` says why
    access,   ///< AccessError: some record, or the model, is not for our login
    record,   ///< some record cannot be read (ValueError, UserError, MissingError, ...)
    session,  ///< log in again
  };
  Kind kind = Kind::call;
  Error error;
};

template <typename T>
using OdooResult = std::expected<T, OdooFault>;

/// The `result` of an envelope. A missing one is Errc::protocol: every method called here returns.
OdooResult<Json> read_answer(const HttpResponse& answer);

inline std::unexpected<OdooFault> call_fault(Error error) {
  return std::unexpected(OdooFault{OdooFault::Kind::call, std::move(error)});
}

}  // namespace millrace::connectors
