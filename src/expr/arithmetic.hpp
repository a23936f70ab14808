// jq's operators on values. Integers are exact in + - * (a result beyond 64 bits is an error), and
// what involves a double is a double.
#pragma once

#include "expr/nodes.hpp"

namespace millrace::expr {

/// `owned` says that the operand may be taken apart; `out` may not be an operand.
bool calculate(Evaluation& state, Operator operation, const Json& left, Json* left_owned,
               const Json& right, Json* right_owned, Json& out);
/// `left = left + right`, reusing what is in `left`.
bool add_to(Evaluation& state, Json& left, const Json& right, Json* right_owned);
bool negate(Evaluation& state, const Json& value, Json& out);
/// The pieces of `text` between `separator`s; characters when it is empty.
bool split_text(Evaluation& state, std::string_view text, std::string_view separator, Json& out);

}  // namespace millrace::expr
