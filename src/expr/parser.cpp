#include "expr/parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "expr/unicode.hpp"

namespace millrace::expr {
namespace {

constexpr std::array<std::string_view, 19> kKeywords = {
    "def",   "if",  "then", "else",  "elif",   "end",     "as",     "reduce", "foreach", "try",
    "catch", "and", "or",   "label", "import", "include", "module", "break",  "__loc__"};

bool is_keyword(std::string_view name) {
  return std::ranges::find(kKeywords, name) != kKeywords.end();
}

struct Operator {
  std::string_view text;
  int level;
  bool right = false;
  bool once = false;  ///< a == b == c is refused, as in jq
  Kind kind = Kind::binary;
};

constexpr int kLowest = 1;
constexpr std::array<Operator, 22> kOperators = {{
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
constexpr int kProduct = 7;

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

}  // namespace

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
