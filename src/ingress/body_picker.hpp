// Picks single values out of JSON bytes without building a tree: the envelope of a hook is read on
// every request, the rest of the body stays raw. The whole text is checked on the way.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/json.hpp"
#include "millrace/result.hpp"

namespace millrace::ingress {

/// One value as the text of an identifier.
struct Picked {
  enum class Kind : std::uint8_t {
    absent,   ///< no such member, or null
    text,     ///< a string; `text` may be empty
    integer,  ///< `text` is its decimal form
    other     ///< boolean, fraction, array or object: names nothing
  };
  Kind kind = Kind::absent;
  std::string text;
};

/// The members to follow from the root; empty picks the root itself.
using MemberPath = std::vector<std::string>;

/// Checks that `body` is one JSON text within parse_json's limits and fills `out[i]` with the value
/// at `paths[i]`. Errors are parse_json's: Errc::malformed, Errc::too_deep. A repeated key is
/// noticed only on the way to a picked value; the others are refused where the body is parsed
/// whole. Allocates nothing on a warm thread but long texts.
Result<void> pick_values(std::string_view body, std::span<const MemberPath> paths,
                         std::span<Picked> out);

/// The same judgement for a value an expression returned.
Picked picked_from(const Json& value);

}  // namespace millrace::ingress
