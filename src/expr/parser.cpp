#include "expr/parser.hpp"

#include "expr/grammar.hpp"
#include "expr/unicode.hpp"

namespace millrace::expr {

Parser::Made Parser::pipe() {
  const Level level(depth_);
  if (depth_ > kNestingMax) return too_deep(token_.at);
  if (at_name("def")) return definition();
  const std::size_t at = token_.at;
  MILLRACE_TRY(first, comma());
  if (!at_symbol("|")) return first;
  auto node = make(Kind::pipe, at);
  node->children.push_back(std::move(first));
  while (at_symbol("|")) {
    MILLRACE_CHECK_OK(advance());
    MILLRACE_TRY(next, at_name("def") ? definition() : comma());
    node->children.push_back(std::move(next));
  }
  return finish(std::move(node));
}

Parser::Made Parser::comma() {
  const std::size_t at = token_.at;
  MILLRACE_TRY(first, operators(kLowest));
  if (!at_symbol(",")) return first;
  auto node = make(Kind::comma, at);
  node->children.push_back(std::move(first));
  while (at_symbol(",")) {
    MILLRACE_CHECK_OK(advance());
    MILLRACE_TRY(next, operators(kLowest));
    node->children.push_back(std::move(next));
  }
  return finish(std::move(node));
}

Parser::Made Parser::operators(int lowest) {
  const Level level(depth_);
  if (depth_ > kNestingMax) return too_deep(token_.at);
  MILLRACE_TRY(left, operand());
  int blocked = 0;  // the level that may not follow itself
  while (token_.kind == TokenKind::symbol || token_.kind == TokenKind::name) {
    const auto* found = std::ranges::find(kOperators, token_.text, &Operator::text);
    if (found == kOperators.end() || found->level < lowest) return left;
    if (found->level == blocked) {
      return lexer_.problem(token_.at,
                            fmt::format("`{}` cannot follow another one of its kind; use "
                                        "parentheses",
                                        token_.text));
    }
    auto node = make(found->kind, token_.at);
    node->name = std::string(found->text);
    MILLRACE_CHECK_OK(advance());
    MILLRACE_TRY(right, operators(found->right ? found->level : found->level + 1));
    MILLRACE_TRY(made, finish(std::move(node), std::move(left), std::move(right)));
    left = std::move(made);
    blocked = found->once ? found->level : 0;
  }
  return left;
}

Parser::Made Parser::operand() {
  if (at_symbol("-")) {
    const Level level(depth_);
    if (depth_ > kNestingMax) return too_deep(token_.at);
    auto node = make(Kind::negate, token_.at);
    MILLRACE_CHECK_OK(advance());
    MILLRACE_TRY(inner, operators(kProduct));
    return finish(std::move(node), std::move(inner));
  }
  return postfix(true);
}

Parser::Made Parser::postfix(bool with_binding) {
  bool closed = at_symbol("(");  // `(.a.b)?` covers all of it, `.a.b?` only the last access
  MILLRACE_TRY(term, primary());
  while (true) {
    if (with_binding && at_name("as")) return binding(std::move(term));
    const bool is_suffix = token_.kind == TokenKind::field || at_symbol("[") || at_symbol("?") ||
                           (at_symbol(".") && (lexer_.touches("\"") || lexer_.touches("[")));
    if (!is_suffix) return term;
    MILLRACE_TRY(longer, suffix(std::move(term), closed));
    term = std::move(longer);
    closed = false;
  }
}

Parser::Made Parser::suffix(SyntaxPtr target, bool closed) {
  const std::size_t at = token_.at;
  if (token_.kind == TokenKind::field) {
    auto node = make(Kind::field, at);
    node->name = std::string(token_.text);
    MILLRACE_CHECK_OK(advance());
    return finish(std::move(node), std::move(target));
  }
  if (at_symbol("?")) {
    MILLRACE_CHECK_OK(advance());
    const bool is_access = target->kind == Kind::field || target->kind == Kind::index ||
                           target->kind == Kind::slice || target->kind == Kind::iterate;
    if (is_access && !target->optional && !closed) {
      target->optional = true;
      return target;
    }
    return finish(make(Kind::attempt, at), std::move(target));
  }
  if (at_symbol(".")) {
    MILLRACE_CHECK_OK(advance());
    if (token_.kind == TokenKind::quote) {
      MILLRACE_TRY(key, text({}, token_.at));
      return finish(make(Kind::index, at), std::move(target), std::move(key));
    }
  }
  MILLRACE_CHECK_OK(advance());  // the bracket
  return bracket(std::move(target), at);
}

Parser::Made Parser::bracket(SyntaxPtr target, std::size_t at) {
  if (at_symbol("]")) {
    MILLRACE_CHECK_OK(advance());
    return finish(make(Kind::iterate, at), std::move(target));
  }
  SyntaxPtr from;
  if (!at_symbol(":")) {
    MILLRACE_TRY(key, pipe());
    if (at_symbol("]")) {
      MILLRACE_CHECK_OK(advance());
      return finish(make(Kind::index, at), std::move(target), std::move(key));
    }
    from = std::move(key);
  }
  MILLRACE_CHECK_OK(expect_symbol(":"));
  SyntaxPtr to;
  if (!at_symbol("]")) {
    MILLRACE_TRY(end, pipe());
    to = std::move(end);
  } else if (!from) {
    return lexer_.problem(at, "a slice needs a start or an end, for example .[2:] or .[:2]");
  }
  MILLRACE_CHECK_OK(expect_symbol("]"));
  return finish(make(Kind::slice, at), std::move(target), std::move(from), std::move(to));
}

Parsed<std::string> Parser::pattern() {
  if (at_symbol("[") || at_symbol("{")) {
    return refuse(token_.at, "destructuring (`as [...]`, `as {...}`)",
                  "bind the whole value: `. as $x | $x.name`");
  }
  if (token_.kind != TokenKind::variable) return unexpected_token("a variable such as `$x`");
  std::string name(token_.text);
  MILLRACE_CHECK_OK(advance());
  if (at_symbol("?//")) return refuse(token_.at, "the alternative pattern `?//`", "");
  return name;
}

Parser::Made Parser::binding(SyntaxPtr source) {
  auto node = make(Kind::binding, token_.at);
  MILLRACE_CHECK_OK(advance());
  MILLRACE_TRY(name, pattern());
  node->name = std::move(name);
  MILLRACE_CHECK_OK(expect_symbol("|"));
  MILLRACE_TRY(body, pipe());
  return finish(std::move(node), std::move(source), std::move(body));
}

Parser::Made Parser::definition() {
  const Level level(depth_);
  if (depth_ > kNestingMax) return too_deep(token_.at);
  auto node = make(Kind::definition, token_.at);
  MILLRACE_CHECK_OK(advance());
  if (token_.kind != TokenKind::name || is_keyword(token_.text)) {
    return unexpected_token("the name of the function");
  }
  node->name = std::string(token_.text);
  MILLRACE_CHECK_OK(advance());
  if (at_symbol("(")) {
    do {
      MILLRACE_CHECK_OK(advance());
      const bool is_value = token_.kind == TokenKind::variable;
      if (!is_value && (token_.kind != TokenKind::name || is_keyword(token_.text))) {
        return unexpected_token("a parameter");
      }
      node->params.push_back((is_value ? "$" : "") + std::string(token_.text));
      MILLRACE_CHECK_OK(advance());
    } while (at_symbol(";"));
    MILLRACE_CHECK_OK(expect_symbol(")"));
  }
  MILLRACE_CHECK_OK(expect_symbol(":"));
  MILLRACE_TRY(body, pipe());
  MILLRACE_CHECK_OK(expect_symbol(";"));
  if (token_.kind == TokenKind::end) {
    return lexer_.problem(token_.at, "after `def ...;` an expression must follow");
  }
  MILLRACE_TRY(rest, pipe());
  return finish(std::move(node), std::move(body), std::move(rest));
}

Parser::Made Parser::condition() {
  auto node = make(Kind::condition, token_.at);
  do {
    MILLRACE_CHECK_OK(advance());
    MILLRACE_TRY(test, pipe());
    MILLRACE_CHECK_OK(expect_name("then"));
    MILLRACE_TRY(branch, pipe());
    node->children.push_back(std::move(test));
    node->children.push_back(std::move(branch));
  } while (at_name("elif"));
  if (at_name("else")) {
    MILLRACE_CHECK_OK(advance());
    MILLRACE_TRY(branch, pipe());
    node->children.push_back(std::move(branch));
  }
  if (!at_name("end")) return unexpected_token("`elif`, `else` or the `end` of `if`");
  MILLRACE_CHECK_OK(advance());
  return finish(std::move(node));
}

Parser::Made Parser::fold(Kind kind) {
  auto node = make(kind, token_.at);
  MILLRACE_CHECK_OK(advance());
  MILLRACE_TRY(source, postfix(false));
  node->children.push_back(std::move(source));
  MILLRACE_CHECK_OK(expect_name("as"));
  MILLRACE_TRY(name, pattern());
  node->name = std::move(name);
  if (!at_symbol("(")) return unexpected_token("`(`");
  do {
    MILLRACE_CHECK_OK(advance());
    MILLRACE_TRY(part, pipe());
    node->children.push_back(std::move(part));
  } while (at_symbol(";"));
  MILLRACE_CHECK_OK(expect_symbol(")"));
  const std::size_t parts = node->children.size();
  if (kind == Kind::reduce && parts != 3) {
    return lexer_.problem(node->at, "write `reduce SOURCE as $x (INIT; UPDATE)`");
  }
  if (kind == Kind::foreach && parts != 3 && parts != 4) {
    return lexer_.problem(node->at, "write `foreach SOURCE as $x (INIT; UPDATE; EXTRACT)`");
  }
  return finish(std::move(node));
}

Parser::Made Parser::attempt() {
  const Level level(depth_);
  if (depth_ > kNestingMax) return too_deep(token_.at);
  auto node = make(Kind::attempt, token_.at);
  MILLRACE_CHECK_OK(advance());
  MILLRACE_TRY(body, postfix(true));
  node->children.push_back(std::move(body));
  if (at_name("catch")) {
    MILLRACE_CHECK_OK(advance());
    MILLRACE_TRY(handler, postfix(true));
    node->children.push_back(std::move(handler));
  }
  return finish(std::move(node));
}

Parsed<SyntaxPtr> parse_program(std::string_view text) {
  if (text.size() > kTextBytesMax) {
    return std::unexpected(problem_at(
        text, 0, fmt::format("the expression is longer than {} bytes", kTextBytesMax), false));
  }
  if (const auto bad = invalid_utf8_at(text)) {
    return std::unexpected(problem_at(text, *bad, "the expression is not valid UTF-8", false));
  }
  return Parser(text).program();
}

}  // namespace millrace::expr
