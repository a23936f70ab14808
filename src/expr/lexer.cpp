#include "expr/lexer.hpp"

#include <fmt/format.h>

#include <array>

#include "expr/unicode.hpp"

namespace millrace::expr {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_name(char c) {
  return is_name_start(c) || is_digit(c);
}

// The longest first, so that `//=` is not read as `//`.
constexpr std::array<std::string_view, 14> kLongSymbols = {
    "?//", "//=", "|=", "+=", "-=", "*=", "/=", "%=", "==", "!=", "<=", ">=", "//", ".."};
constexpr std::string_view kSymbols = ".[]{}()|,:;=<>+-*/%?$";

}  // namespace

ExpressionProblem problem_at(std::string_view text, std::size_t at, std::string message,
                             bool not_supported) {
  ExpressionProblem problem;
  problem.message = std::move(message);
  problem.not_supported = not_supported;
  for (std::size_t i = 0; i < at && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++problem.line;
      problem.column = 1;
    } else if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) {
      ++problem.column;
    }
  }
  return problem;
}

std::unexpected<ExpressionProblem> Lexer::problem(std::size_t at, std::string message,
                                                  bool not_supported) const {
  return std::unexpected(problem_at(text_, at, std::move(message), not_supported));
}

void Lexer::skip_blanks() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '#') {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      ++at_;
    } else {
      return;
    }
  }
}

Token Lexer::take(TokenKind kind, std::size_t start, std::size_t skip) {
  at_ = start + skip;
  while (at_ < text_.size() && is_name(text_[at_])) ++at_;
  return {kind, start, text_.substr(start + skip, at_ - start - skip)};
}

Parsed<Token> Lexer::number(std::size_t start) {
  const auto digits = [&] {
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
  };
  at_ = start;
  digits();
  if (at_ < text_.size() && text_[at_] == '.') {
    ++at_;
    digits();
  }
  if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
    std::size_t exponent = at_ + 1;
    if (exponent < text_.size() && (text_[exponent] == '+' || text_[exponent] == '-')) ++exponent;
    if (exponent < text_.size() && is_digit(text_[exponent])) {
      at_ = exponent;
      digits();
    }
  }
  return Token{TokenKind::number, start, text_.substr(start, at_ - start)};
}

Parsed<Token> Lexer::next() {
  skip_blanks();
  const std::size_t start = at_;
  if (start == text_.size()) return Token{TokenKind::end, start, {}};
  const char c = text_[start];
  const char following = start + 1 < text_.size() ? text_[start + 1] : '\0';
  if (c == '"') {
    ++at_;
    return Token{TokenKind::quote, start, text_.substr(start, 1)};
  }
  if (is_name_start(c)) return take(TokenKind::name, start, 0);
  if (c == '.' && is_name_start(following)) return take(TokenKind::field, start, 1);
  if (c == '$' && is_name_start(following)) return take(TokenKind::variable, start, 1);
  if (c == '@' && is_name(following)) return take(TokenKind::format, start, 1);
  if (is_digit(c) || (c == '.' && is_digit(following))) return number(start);
  for (const std::string_view symbol : kLongSymbols) {
    if (text_.substr(start).starts_with(symbol)) {
      at_ = start + symbol.size();
      return Token{TokenKind::symbol, start, text_.substr(start, symbol.size())};
    }
  }
  if (kSymbols.find(c) != kSymbols.npos) {
    ++at_;
    return Token{TokenKind::symbol, start, text_.substr(start, 1)};
  }
  if (c == '\'') return problem(start, "strings are written with double quotes: \"text\"");
  if (c == '&') return problem(start, "`&` is no operator of jq; write `and`");
  if (c == '!') return problem(start, "`!` is no operator of jq; write `… | not` or `!=`");
  const std::size_t length = utf8_length(static_cast<unsigned char>(c));
  return problem(start, fmt::format("`{}` cannot stand here", text_.substr(start, length)));
}

Parsed<unsigned> Lexer::hex4() {
  unsigned value = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    unsigned digit = 0;
    if (is_digit(c)) {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<unsigned>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<unsigned>(c - 'A' + 10);
    } else {
      return problem(at_, "`\\u` needs four hexadecimal digits, for example \\u00e9");
    }
    value = value * 16 + digit;
    ++at_;
  }
  return value;
}

Parsed<void> Lexer::escape(std::string& out) {
  const std::size_t start = at_ - 1;
  const char c = at_ < text_.size() ? text_[at_++] : '\0';
  static constexpr std::string_view kNames = "\"\\/bfnrt";
  static constexpr std::string_view kBytes = "\"\\/\b\f\n\r\t";
  if (const auto found = kNames.find(c); found != kNames.npos) {
    out.push_back(kBytes[found]);
    return {};
  }
  if (c != 'u') {
    return problem(start, "unknown escape; in a string write \\\\ for a backslash");
  }
  auto first = hex4();
  if (!first) return std::unexpected(std::move(first).error());
  char32_t code = *first;
  if (code >= 0xD800 && code < 0xDC00 && touches("\\u")) {
    const std::size_t rewind = at_;
    at_ += 2;
    auto second = hex4();
    if (!second) return std::unexpected(std::move(second).error());
    if (*second >= 0xDC00 && *second < 0xE000) {
      code = 0x10000 + ((code - 0xD800) << 10) + (*second - 0xDC00);
    } else {
      at_ = rewind;
    }
  }
  if (code >= 0xD800 && code < 0xE000) code = kReplacement;
  append_utf8(out, code);
  return {};
}

Parsed<StringPart> Lexer::string_part() {
  StringPart part;
  const std::size_t start = at_;
  while (at_ < text_.size()) {
    const char c = text_[at_++];
    if (c == '"') return part;
    if (c != '\\') {
      part.text.push_back(c);
      continue;
    }
    if (touches("(")) {
      ++at_;
      part.is_last = false;
      return part;
    }
    if (auto read = escape(part.text); !read) return std::unexpected(std::move(read).error());
  }
  return problem(start == 0 ? 0 : start - 1, "the string is not closed; add `\"` at its end");
}

}  // namespace millrace::expr
