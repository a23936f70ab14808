// The syntax tree of one expression, as the parser leaves it: names are not resolved yet. It lives
// only while an expression is compiled, or while its paths are checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "millrace/json.hpp"

namespace millrace::expr {

enum class Kind : std::uint8_t {
  identity,     ///< `.`
  descend,      ///< `..`
  field,        ///< target `.name`
  index,        ///< target[key]
  slice,        ///< target[from:to]; either may be a null pointer
  iterate,      ///< target[]
  attempt,      ///< `try` body, or body `?`; optional second child is the handler
  literal,      ///< a number, true, false, null
  format,       ///< `@base64`
  text,         ///< a string; children are literal parts and interpolations, name the format
  array,        ///< `[` body `]`, no child when empty
  object,       ///< children are key, value, key, value...; a null value means shorthand
  negate,       ///< `-` operand
  pipe,         ///< two or more
  comma,        ///< two or more
  binary,       ///< name is the operator: + - * / % == != < <= > >=
  conjunction,  ///< `and`
  disjunction,  ///< `or`
  alternative,  ///< `//`
  assign,       ///< name is the operator: = |= += -= *= /= %= //=
  condition,    ///< condition, then, condition, then, ... and `else` when the count is odd
  reduce,       ///< source, init, update; name is the variable
  foreach,      ///< source, init, update, optional extract
  binding,      ///< source `as $name |` body
  variable,     ///< `$name`
  call,         ///< name(children)
  definition    ///< `def name(params): body;` rest
};

struct Syntax;
using SyntaxPtr = std::unique_ptr<Syntax>;

struct Syntax {
  Kind kind = Kind::identity;
  std::size_t at = 0;      ///< byte offset in the text
  bool optional = false;   ///< an access with `?`: only its own error is suppressed
  std::size_t height = 1;  ///< levels of this subtree; bounded, so recursion over it is safe
  std::string name;
  Json literal;
  std::vector<SyntaxPtr> children;
  std::vector<std::string> params;  ///< of a definition; value parameters keep their `$`
};

}  // namespace millrace::expr
