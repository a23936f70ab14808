// The recursive descent behind parse_program, shared by the files that implement it.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "expr/parser.hpp"

namespace millrace::expr {

inline constexpr std::array<std::string_view, 19> kKeywords = {
    "def",   "if",  "then", "else",  "elif",   "end",     "as",     "reduce", "foreach", "try",
    "catch", "and", "or",   "label", "import", "include", "module", "break",  "__loc__"};

inline bool is_keyword(std::string_view name) {
  return std::ranges::find(kKeywords, name) != kKeywords.end();
}

struct Operator {
  std::string_view text;
  int level;
  bool right = false;
  bool once = false;  ///< a == b == c is refused, as in jq
  Kind kind = Kind::binary;
};

inline constexpr int kLowest = 1;
inline constexpr std::array<Operator, 22> kOperators = {{
    {"//", 1, true, false, Kind::alternative},
    {"=", 2, false, true, Kind::assign},
    {"|=", 2, false, true, Kind::assign},
    {"+=", 2, false, true, Kind::assign},
    {"-=", 2, false, true, Kind::assign},
    {"*=", 2, false, true, Kind::assign},
    {"/=", 2, false, true, Kind::assign},
    {"%=", 2, false, true, Kind::assign},
    {"//=", 2, false, true, Kind::assign},
    {"or", 3, false, false, Kind::disjunction},
    {"and", 4, false, false, Kind::conjunction},
    {"==", 5, false, true},
    {"!=", 5, false, true},
    {"<", 5, false, true},
    {"<=", 5, false, true},
    {">", 5, false, true},
    {">=", 5, false, true},
    {"+", 6},
    {"-", 6},
    {"*", 7},
    {"/", 7},
    {"%", 7},
}};
inline constexpr int kProduct = 7;

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) {}

  Parsed<SyntaxPtr> program() {
    MILLRACE_CHECK_OK(advance());
    if (token_.kind == TokenKind::end) {
      return lexer_.problem(0, "the expression is empty; write `.` for the whole input");
    }
    MILLRACE_TRY(tree, pipe());
    if (token_.kind != TokenKind::end) return unexpected_token();
    return tree;
  }

 private:
  using Made = Parsed<SyntaxPtr>;

  Parsed<void> advance() {
    MILLRACE_TRY(token, lexer_.next());
    token_ = token;
    return {};
  }
  bool at_symbol(std::string_view text) const {
    return token_.kind == TokenKind::symbol && token_.text == text;
  }
  bool at_name(std::string_view text) const {
    return token_.kind == TokenKind::name && token_.text == text;
  }
  std::unexpected<ExpressionProblem> refuse(std::size_t at, std::string_view construct,
                                            std::string_view advice) const {
    return lexer_.problem(
        at, fmt::format("{} is not supported{}{}", construct, advice.empty() ? "" : "; ", advice),
        true);
  }
  std::unexpected<ExpressionProblem> unexpected_token(std::string_view wanted = {}) const {
    std::string found = token_.kind == TokenKind::end ? std::string("the end of the expression")
                                                      : fmt::format("`{}`", shown(token_));
    if (wanted.empty()) return lexer_.problem(token_.at, "unexpected " + found);
    return lexer_.problem(token_.at, fmt::format("expected {} but found {}", wanted, found));
  }
  static std::string shown(const Token& token) {
    switch (token.kind) {
      case TokenKind::field:
        return fmt::format(".{}", token.text);
      case TokenKind::variable:
        return fmt::format("${}", token.text);
      case TokenKind::format:
        return fmt::format("@{}", token.text);
      default:
        return std::string(token.text);
    }
  }
  Parsed<void> expect_symbol(std::string_view text) {
    if (!at_symbol(text)) return unexpected_token(fmt::format("`{}`", text));
    return advance();
  }
  Parsed<void> expect_name(std::string_view text) {
    if (!at_name(text)) return unexpected_token(fmt::format("`{}`", text));
    return advance();
  }

  static SyntaxPtr make(Kind kind, std::size_t at) {
    auto node = std::make_unique<Syntax>();
    node->kind = kind;
    node->at = at;
    return node;
  }
  Made finish(SyntaxPtr node) const {
    for (const SyntaxPtr& child : node->children) {
      if (child) node->height = std::max(node->height, child->height + 1);
    }
    if (node->height > kNestingMax) return too_deep(node->at);
    return node;
  }
  template <typename... Children>
  Made finish(SyntaxPtr node, Children... children) const {
    (node->children.push_back(std::move(children)), ...);
    return finish(std::move(node));
  }
  std::unexpected<ExpressionProblem> too_deep(std::size_t at) const {
    return lexer_.problem(
        at, fmt::format("nested deeper than {} levels; split it with `def` or `as`", kNestingMax));
  }

  Made pipe();
  Made comma();
  Made operators(int lowest);
  Made operand();
  Made postfix(bool with_binding);
  Made primary();
  Made suffix(SyntaxPtr target, bool closed);
  Made bracket(SyntaxPtr target, std::size_t at);
  Made binding(SyntaxPtr source);
  Parsed<std::string> pattern();
  Made definition();
  Made condition();
  Made fold(Kind kind);
  Made attempt();
  Made text(std::string format, std::size_t at);
  Made array();
  Made object();
  Parsed<void> entry(Syntax& object);
  Made entry_value();
  Made named();
  Made number();
  Made parenthesized();

  Lexer lexer_;
  Token token_;
  std::size_t depth_ = 0;
};

/// Counts levels of recursion while parsing; the tree's height is bounded separately.
struct Level {
  explicit Level(std::size_t& depth) : depth_(depth) { ++depth_; }
  ~Level() { --depth_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;
  std::size_t& depth_;
};

}  // namespace millrace::expr
