// Terms: strings, numbers, arrays, objects, names.
#include <charconv>
#include <cmath>

#include "expr/grammar.hpp"

namespace millrace::expr {

Parser::Made Parser::text(std::string format, std::size_t at) {
  auto node = make(Kind::text, at);
  node->name = std::move(format);
  while (true) {
    MILLRACE_TRY(part, lexer_.string_part());
    auto literal = make(Kind::literal, at);
    literal->literal = part.text;
    node->children.push_back(std::move(literal));
    if (part.is_last) break;
    MILLRACE_CHECK_OK(advance());
    MILLRACE_TRY(inner, pipe());
    // The closing parenthesis is not advanced over: behind it the string goes on.
    if (!at_symbol(")")) return unexpected_token("`)` that ends the interpolation");
    node->children.push_back(std::move(inner));
  }
  MILLRACE_CHECK_OK(advance());
  return finish(std::move(node));
}

Parser::Made Parser::array() {
  auto node = make(Kind::array, token_.at);
  MILLRACE_CHECK_OK(advance());
  if (!at_symbol("]")) {
    MILLRACE_TRY(body, pipe());
    node->children.push_back(std::move(body));
  }
  MILLRACE_CHECK_OK(expect_symbol("]"));
  return finish(std::move(node));
}

Parser::Made Parser::object() {
  const Level level(depth_);
  if (depth_ > kNestingMax) return too_deep(token_.at);
  auto node = make(Kind::object, token_.at);
  MILLRACE_CHECK_OK(advance());
  while (!at_symbol("}")) {
    MILLRACE_CHECK_OK(entry(*node));
    if (at_symbol(",")) {
      MILLRACE_CHECK_OK(advance());
    } else if (!at_symbol("}")) {
      const auto* found = std::ranges::find(kOperators, token_.text, &Operator::text);
      if (found != kOperators.end()) {
        return lexer_.problem(token_.at,
                              "inside `{ }` put parentheses around a value with "
                              "operators: { name: (.a + .b) }");
      }
      return unexpected_token("`,` or `}`");
    }
  }
  MILLRACE_CHECK_OK(advance());
  return finish(std::move(node));
}

Parsed<void> Parser::entry(Syntax& object) {
  const std::size_t at = token_.at;
  SyntaxPtr key = make(Kind::literal, at);
  SyntaxPtr shorthand;
  if (token_.kind == TokenKind::variable) {
    const bool refused = token_.text == "__loc__" || token_.text == "ENV";
    if (refused) return refuse(at, fmt::format("`${}`", token_.text), "");
    key->literal = token_.text;
    shorthand = make(Kind::variable, at);
    shorthand->name = std::string(token_.text);
    MILLRACE_CHECK_OK(advance());
    if (at_symbol(":")) {
      key = std::move(shorthand);
      shorthand = nullptr;
    }
  } else if (token_.kind == TokenKind::name) {
    key->literal = token_.text;
    MILLRACE_CHECK_OK(advance());
  } else if (token_.kind == TokenKind::quote) {
    MILLRACE_TRY(string, text({}, at));
    key = std::move(string);
  } else if (token_.kind == TokenKind::format) {
    std::string format(token_.text);
    MILLRACE_CHECK_OK(advance());
    if (token_.kind != TokenKind::quote) return unexpected_token("a string");
    MILLRACE_TRY(string, text(std::move(format), at));
    key = std::move(string);
  } else if (at_symbol("(")) {
    MILLRACE_TRY(expression, parenthesized());
    key = std::move(expression);
    if (!at_symbol(":")) return unexpected_token("`:` after the computed key");
  } else {
    return unexpected_token("a key (name, \"text\", $variable or (expression)) or `}`");
  }
  if (at_symbol(":")) {
    MILLRACE_CHECK_OK(advance());
    MILLRACE_TRY(value, entry_value());
    object.children.push_back(std::move(key));
    object.children.push_back(std::move(value));
    return {};
  }
  object.children.push_back(std::move(key));
  object.children.push_back(std::move(shorthand));
  return {};
}

// jq allows terms joined by pipes here, nothing with operators.
Parser::Made Parser::entry_value() {
  const std::size_t at = token_.at;
  auto node = make(Kind::pipe, at);
  while (true) {
    if (at_symbol("-")) {
      auto negation = make(Kind::negate, token_.at);
      MILLRACE_CHECK_OK(advance());
      MILLRACE_TRY(operand, postfix(false));
      MILLRACE_TRY(made, finish(std::move(negation), std::move(operand)));
      node->children.push_back(std::move(made));
    } else {
      MILLRACE_TRY(term, postfix(false));
      node->children.push_back(std::move(term));
    }
    if (!at_symbol("|")) break;
    MILLRACE_CHECK_OK(advance());
  }
  if (node->children.size() == 1) return std::move(node->children.front());
  return finish(std::move(node));
}

Parser::Made Parser::parenthesized() {
  MILLRACE_CHECK_OK(advance());
  MILLRACE_TRY(inner, pipe());
  MILLRACE_CHECK_OK(expect_symbol(")"));
  return inner;
}

Parser::Made Parser::number() {
  auto node = make(Kind::literal, token_.at);
  const std::string_view digits = token_.text;
  const char* end = digits.data() + digits.size();
  if (digits.find_first_of(".eE") == digits.npos) {
    std::uint64_t value = 0;
    if (std::from_chars(digits.data(), end, value).ec != std::errc{}) {
      return lexer_.problem(token_.at,
                            "the integer does not fit 64 bits; write it as text, or as "
                            "1e20 where rounding is meant");
    }
    if (value <= static_cast<std::uint64_t>(INT64_MAX)) {
      node->literal = static_cast<std::int64_t>(value);
    } else {
      node->literal = value;
    }
  } else {
    double value = 0;
    if (std::from_chars(digits.data(), end, value).ec != std::errc{} || !std::isfinite(value)) {
      return lexer_.problem(token_.at, "the number is out of range");
    }
    node->literal = value;
  }
  MILLRACE_CHECK_OK(advance());
  return finish(std::move(node));
}

Parser::Made Parser::named() {
  const std::size_t at = token_.at;
  const std::string_view name = token_.text;
  if (name == "if") return condition();
  if (name == "reduce") return fold(Kind::reduce);
  if (name == "foreach") return fold(Kind::foreach);
  if (name == "try") return attempt();
  if (name == "label" || name == "break") {
    return refuse(at, fmt::format("`{}`", name), "use first(...), limit(...) or until(...)");
  }
  if (name == "import" || name == "include" || name == "module") {
    return refuse(at, fmt::format("`{}`", name), "functions/*.jq are available everywhere");
  }
  if (name == "def") return definition();
  if (is_keyword(name)) return unexpected_token("an expression");
  if (lexer_.touches("::")) return refuse(at, "a module prefix (`name::`)", "");
  auto node = make(Kind::call, at);
  node->name = std::string(name);
  MILLRACE_CHECK_OK(advance());
  if (node->name == "true" || node->name == "false" || node->name == "null") {
    node->kind = Kind::literal;
    if (node->name != "null") node->literal = node->name == "true";
    return node;
  }
  if (!at_symbol("(")) return node;
  do {
    MILLRACE_CHECK_OK(advance());
    MILLRACE_TRY(argument, pipe());
    node->children.push_back(std::move(argument));
  } while (at_symbol(";"));
  if (at_symbol(",")) return unexpected_token("`;` between arguments");
  MILLRACE_CHECK_OK(expect_symbol(")"));
  return finish(std::move(node));
}

Parser::Made Parser::primary() {
  const std::size_t at = token_.at;
  const std::string name(token_.text);
  switch (token_.kind) {
    case TokenKind::name:
      return named();
    case TokenKind::number:
      return number();
    case TokenKind::quote:
      return text({}, at);
    case TokenKind::field: {
      auto node = make(Kind::field, at);
      node->name = name;
      MILLRACE_CHECK_OK(advance());
      return finish(std::move(node), make(Kind::identity, at));
    }
    case TokenKind::variable: {
      if (name == "__loc__") return refuse(at, "`$__loc__`", "");
      if (name == "ENV") return refuse(at, "`$ENV`", "${env.X} is filled in when loading");
      auto node = make(Kind::variable, at);
      node->name = name;
      MILLRACE_CHECK_OK(advance());
      return node;
    }
    case TokenKind::format: {
      MILLRACE_CHECK_OK(advance());
      if (token_.kind == TokenKind::quote) return text(name, at);
      auto node = make(Kind::format, at);
      node->name = name;
      return node;
    }
    case TokenKind::end:
      return unexpected_token("an expression");
    case TokenKind::symbol:
      break;
  }
  if (at_symbol("[")) return array();
  if (at_symbol("{")) return object();
  if (at_symbol("(")) return parenthesized();
  if (at_symbol("..")) {
    MILLRACE_CHECK_OK(advance());
    return make(Kind::descend, at);
  }
  if (at_symbol(".")) {
    const bool quoted = lexer_.touches("\"");
    MILLRACE_CHECK_OK(advance());
    if (!quoted) return make(Kind::identity, at);
    MILLRACE_TRY(key, text({}, token_.at));
    return finish(make(Kind::index, at), make(Kind::identity, at), std::move(key));
  }
  if (at_symbol("?//")) return refuse(at, "the alternative pattern `?//`", "");
  return unexpected_token("an expression");
}

}  // namespace millrace::expr
