// Splits the text of an expression into tokens on demand. Strings are read part by part, because an
// interpolation `\( )` holds any expression; the parser switches between the two modes.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

#include "millrace/expression.hpp"

namespace millrace::expr {

enum class TokenKind {
  end,
  name,      ///< identifier or keyword
  field,     ///< `.name`; text is the name
  variable,  ///< `$name`; text is the name
  format,    ///< `@name`; text is the name
  number,
  quote,  ///< the opening quote; string_part() continues
  symbol  ///< punctuation or an operator
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::size_t at = 0;
  std::string_view text;
};

/// A piece of a string: text up to the closing quote or up to `\(`.
struct StringPart {
  std::string text;
  bool is_last = true;
};

template <typename T>
using Parsed = std::expected<T, ExpressionProblem>;

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Parsed<Token> next();
  /// Continues a string after its opening quote or after the `)` of an interpolation.
  Parsed<StringPart> string_part();
  /// Whether a token of this text starts directly at the current position.
  bool touches(std::string_view text) const { return text_.substr(at_).starts_with(text); }

  std::unexpected<ExpressionProblem> problem(std::size_t at, std::string message,
                                             bool not_supported = false) const;

 private:
  void skip_blanks();
  Token take(TokenKind kind, std::size_t start, std::size_t skip);
  Parsed<Token> number(std::size_t start);
  Parsed<void> escape(std::string& out);
  Parsed<unsigned> hex4();

  std::string_view text_;
  std::size_t at_ = 0;
};

/// Line and column, both from 1, of a byte offset; columns count characters.
ExpressionProblem problem_at(std::string_view text, std::size_t at, std::string message,
                             bool not_supported);

}  // namespace millrace::expr
