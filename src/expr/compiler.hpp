// Resolves names in a syntax tree and turns it into nodes. Everything jq knows and the subset does
// not is refused here or by the parser, naming the construct.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "expr/lexer.hpp"
#include "expr/nodes.hpp"
#include "expr/syntax.hpp"

namespace millrace::expr {

/// What a compiled program consists of; immutable once compiled.
struct Compiled {
  NodePtr root;
  std::vector<std::unique_ptr<Function>> functions;
  std::size_t slots = 0;
  std::vector<std::string> tables;  ///< literal first arguments of lookup, each once
};

Parsed<Compiled> compile_program(std::string_view text, const Syntax& program,
                                 const ExpressionScope& scope);

}  // namespace millrace::expr
