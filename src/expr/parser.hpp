// Reads jq's grammar into a syntax tree. Refuses, with position and what to write instead, what jq
// would refuse too, and what lies outside the subset (not_supported).
#pragma once

#include <string_view>

#include "expr/lexer.hpp"
#include "expr/syntax.hpp"

namespace millrace::expr {

constexpr std::size_t kTextBytesMax = 64 * 1024;
/// Levels of the tree and of parentheses. Recursion over a program is bounded by it.
constexpr std::size_t kNestingMax = 200;

Parsed<SyntaxPtr> parse_program(std::string_view text);

}  // namespace millrace::expr
