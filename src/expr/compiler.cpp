#include "expr/compiler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "expr/catalogue.hpp"
#include "expr/filters.hpp"
#include "expr/functions.hpp"

namespace millrace::expr {
namespace {

struct Definition {
  std::string name;
  std::size_t arity = 0;
  const Function* function = nullptr;
  std::size_t level = 0;      ///< of the scope it was written in
  bool is_compiling = false;  ///< a call now would be a recursion
};
struct ParameterName {
  std::string name;
  std::size_t level = 0;
  std::size_t index = 0;
};
struct VariableName {
  std::string name;
  std::size_t level = 0;
  std::size_t slot = 0;
};

class Compiler {
 public:
  Compiler(std::string_view text, const ExpressionScope& scope) : text_(text), scope_(scope) {}

  Parsed<Compiled> run(const Syntax& program) {
    slots_.push_back({});
    MILLRACE_TRY(root, compile(program));
    compiled_.root = std::move(root);
    compiled_.slots = slots_[0].max;
    return std::move(compiled_);
  }

 private:
  using Made = Parsed<NodePtr>;
  struct Slots {
    std::size_t used = 0;
    std::size_t max = 0;
  };

  std::unexpected<ExpressionProblem> problem(const Syntax& at, std::string message,
                                             bool not_supported = false) const {
    return std::unexpected(problem_at(text_, at.at, std::move(message), not_supported));
  }
  std::size_t level() const { return slots_.size() - 1; }

  Made compile(const Syntax& syntax);
  Parsed<std::vector<NodePtr>> compile_all(const Syntax& syntax);
  Made access(const Syntax& syntax);
  Made text(const Syntax& syntax);
  Made object(const Syntax& syntax);
  Made binary(const Syntax& syntax);
  Made assign(const Syntax& syntax);
  Made fold(const Syntax& syntax);
  Made binding(const Syntax& syntax);
  Made with_variable(const std::string& name, const Syntax& body, std::size_t& slot);
  Made variable(const Syntax& syntax);
  Made call(const Syntax& syntax);
  Made builtin(const Syntax& syntax, std::vector<NodePtr> arguments);
  Made definition(const Syntax& syntax);
  Made function_body(const Syntax& syntax, std::vector<std::pair<std::string, std::size_t>> values);
  Made unknown_function(const Syntax& syntax) const;
  Parsed<FormatFunction> format(const Syntax& syntax) const;

  std::string_view text_;
  const ExpressionScope& scope_;
  Compiled compiled_;
  std::vector<Slots> slots_;
  std::vector<VariableName> variables_;
  std::vector<ParameterName> parameters_;
  std::vector<Definition> definitions_;
};

Parsed<std::vector<NodePtr>> Compiler::compile_all(const Syntax& syntax) {
  std::vector<NodePtr> nodes;
  nodes.reserve(syntax.children.size());
  for (const SyntaxPtr& child : syntax.children) {
    MILLRACE_TRY(node, compile(*child));
    nodes.push_back(std::move(node));
  }
  return nodes;
}

Compiler::Made Compiler::compile(const Syntax& syntax) {
  switch (syntax.kind) {
    case Kind::identity:
      return make_identity();
    case Kind::descend:
      return make_recurse_all();
    case Kind::literal:
      return make_constant(syntax.literal);
    case Kind::field:
    case Kind::index:
    case Kind::slice:
    case Kind::iterate:
      return access(syntax);
    case Kind::text:
      return text(syntax);
    case Kind::object:
      return object(syntax);
    case Kind::binary:
      return binary(syntax);
    case Kind::assign:
      return assign(syntax);
    case Kind::reduce:
    case Kind::foreach:
      return fold(syntax);
    case Kind::binding:
      return binding(syntax);
    case Kind::variable:
      return variable(syntax);
    case Kind::call:
      return call(syntax);
    case Kind::definition:
      return definition(syntax);
    case Kind::format: {
      MILLRACE_TRY(formatter, format(syntax));
      return make_format(formatter);
    }
    default:
      break;
  }
  MILLRACE_TRY(parts, compile_all(syntax));
  switch (syntax.kind) {
    case Kind::attempt:
      return make_try(std::move(parts[0]), parts.size() > 1 ? std::move(parts[1]) : nullptr);
    case Kind::array:
      return make_array(parts.empty() ? nullptr : std::move(parts[0]));
    case Kind::negate:
      return make_negate(std::move(parts[0]));
    case Kind::pipe:
      return make_pipe(std::move(parts));
    case Kind::comma:
      return make_comma(std::move(parts));
    case Kind::conjunction:
    case Kind::disjunction:
      return make_logic(syntax.kind == Kind::conjunction, std::move(parts[0]), std::move(parts[1]));
    case Kind::alternative:
      return make_alternative(std::move(parts[0]), std::move(parts[1]));
    default:
      return make_condition(std::move(parts));
  }
}

Compiler::Made Compiler::access(const Syntax& syntax) {
  std::vector<NodePtr> parts;
  for (const SyntaxPtr& child : syntax.children) {
    NodePtr part;
    if (child) {
      MILLRACE_TRY(made, compile(*child));
      part = std::move(made);
    }
    parts.push_back(std::move(part));
  }
  switch (syntax.kind) {
    case Kind::field:
      return make_fields(std::move(parts[0]), syntax.name, syntax.optional);
    case Kind::index:
      return make_index(std::move(parts[0]), std::move(parts[1]), syntax.optional);
    case Kind::slice:
      return make_slice(std::move(parts[0]), std::move(parts[1]), std::move(parts[2]),
                        syntax.optional);
    default:
      return make_iterate(std::move(parts[0]), syntax.optional);
  }
}

Parsed<FormatFunction> Compiler::format(const Syntax& syntax) const {
  const FormatFunction found = find_format(syntax.name.empty() ? "text" : syntax.name);
  if (found != nullptr) return found;
  if (syntax.name == "base32" || syntax.name == "base32d") {
    return problem(syntax, fmt::format("@{} is not supported; use @base64", syntax.name), true);
  }
  return problem(syntax, fmt::format("@{} is no format; there are @text @json @csv @tsv @html @uri "
                                     "@sh @base64 @base64d",
                                     syntax.name));
}

Compiler::Made Compiler::text(const Syntax& syntax) {
  MILLRACE_TRY(formatter, format(syntax));
  if (syntax.children.size() == 1) return make_constant(syntax.children[0]->literal);
  std::vector<NodePtr> parts;
  std::vector<bool> literal;
  for (std::size_t i = 0; i < syntax.children.size(); ++i) {
    const Syntax& child = *syntax.children[i];
    const bool is_literal = i % 2 == 0;  // text and interpolations alternate
    if (is_literal && child.literal.get_string().empty()) continue;
    MILLRACE_TRY(part, compile(child));
    parts.push_back(std::move(part));
    literal.push_back(is_literal);
  }
  return make_text(std::move(parts), std::move(literal), formatter);
}

Compiler::Made Compiler::object(const Syntax& syntax) {
  std::vector<ObjectEntry> entries;
  for (std::size_t i = 0; i < syntax.children.size(); i += 2) {
    const Syntax& key = *syntax.children[i];
    MILLRACE_TRY(key_node, compile(key));
    ObjectEntry entry{.key = std::move(key_node), .value = nullptr};
    const Json* constant = entry.key->constant();
    if (constant != nullptr && !constant->is_string()) {
      return problem(key, fmt::format("an object key is text, not {}", describe(*constant)));
    }
    if (syntax.children[i + 1]) {
      MILLRACE_TRY(value, compile(*syntax.children[i + 1]));
      entry.value = std::move(value);
    }
    entries.push_back(std::move(entry));
  }
  return make_object(std::move(entries));
}

Operator operator_of(std::string_view symbol) {
  static constexpr std::array<std::pair<std::string_view, Operator>, 11> kSymbols = {
      {{"+", Operator::add},
       {"-", Operator::subtract},
       {"*", Operator::multiply},
       {"/", Operator::divide},
       {"%", Operator::modulo},
       {"==", Operator::equal},
       {"!=", Operator::unequal},
       {"<", Operator::less},
       {"<=", Operator::less_equal},
       {">", Operator::greater},
       {">=", Operator::greater_equal}}};
  for (const auto& [text, operation] : kSymbols) {
    if (text == symbol) return operation;
  }
  return Operator::add;
}

Compiler::Made Compiler::binary(const Syntax& syntax) {
  MILLRACE_TRY(left, compile(*syntax.children[0]));
  MILLRACE_TRY(right, compile(*syntax.children[1]));
  return make_binary(operator_of(syntax.name), std::move(left), std::move(right));
}

Compiler::Made Compiler::assign(const Syntax& syntax) {
  MILLRACE_TRY(target, compile(*syntax.children[0]));
  MILLRACE_TRY(value, compile(*syntax.children[1]));
  Assignment kind = Assignment::arithmetic;
  Operator operation = Operator::add;
  if (syntax.name == "=") {
    kind = Assignment::set;
  } else if (syntax.name == "|=") {
    kind = Assignment::update;
  } else if (syntax.name == "//=") {
    kind = Assignment::alternative;
  } else {
    operation = operator_of(std::string_view(syntax.name).substr(0, 1));
  }
  return make_assign(kind, operation, std::move(target), std::move(value));
}

Compiler::Made Compiler::with_variable(const std::string& name, const Syntax& body,
                                       std::size_t& slot) {
  Slots& slots = slots_.back();
  slot = slots.used++;
  slots.max = std::max(slots.max, slots.used);
  variables_.push_back({name, level(), slot});
  auto made = compile(body);
  variables_.pop_back();
  --slots_.back().used;
  return made;
}

Compiler::Made Compiler::binding(const Syntax& syntax) {
  MILLRACE_TRY(source, compile(*syntax.children[0]));
  std::size_t slot = 0;
  MILLRACE_TRY(body, with_variable(syntax.name, *syntax.children[1], slot));
  return make_binding(std::move(source), slot, std::move(body));
}

Compiler::Made Compiler::fold(const Syntax& syntax) {
  MILLRACE_TRY(source, compile(*syntax.children[0]));
  MILLRACE_TRY(init, compile(*syntax.children[1]));
  std::size_t slot = 0;
  MILLRACE_TRY(update, with_variable(syntax.name, *syntax.children[2], slot));
  if (syntax.kind == Kind::reduce) {
    return make_reduce(std::move(source), slot, std::move(init), std::move(update));
  }
  NodePtr extract;
  if (syntax.children.size() > 3) {
    MILLRACE_TRY(made, with_variable(syntax.name, *syntax.children[3], slot));
    extract = std::move(made);
  }
  return make_foreach(std::move(source), slot, std::move(init), std::move(update),
                      std::move(extract));
}

Compiler::Made Compiler::variable(const Syntax& syntax) {
  for (auto found = variables_.rbegin(); found != variables_.rend(); ++found) {
    if (found->name == syntax.name) return make_variable(level() - found->level, found->slot);
  }
  if (std::ranges::find(scope_.variables, syntax.name) != scope_.variables.end()) {
    return make_global(syntax.name);
  }
  std::vector<std::string> names = scope_.variables;
  for (const VariableName& known : variables_) names.push_back(known.name);
  const std::string near = nearest_name(syntax.name, names);
  std::string message = fmt::format("${} is not defined", syntax.name);
  if (!near.empty()) {
    message += fmt::format("; did you mean ${}?", near);
  } else if (!names.empty()) {
    message += "; there are";
    for (const std::string& name : names) message += " $" + name;
  } else {
    message += "; bind it first: `… as $" + syntax.name + " | …`";
  }
  return problem(syntax, message);
}

Compiler::Made Compiler::call(const Syntax& syntax) {
  const std::size_t arity = syntax.children.size();
  if (arity == 0) {
    // A parameter and a function of the same name: the one defined last wins, as in jq.
    for (auto found = parameters_.rbegin(); found != parameters_.rend(); ++found) {
      if (found->name != syntax.name) continue;
      const bool shadowed = std::ranges::any_of(definitions_, [&](const Definition& known) {
        return known.name == syntax.name && known.arity == 0 && known.level >= found->level &&
               !known.is_compiling;
      });
      if (!shadowed) return make_parameter(level() - found->level, found->index);
      break;
    }
  }
  for (auto found = definitions_.rbegin(); found != definitions_.rend(); ++found) {
    if (found->name != syntax.name || found->arity != arity) continue;
    if (found->is_compiling) {
      return problem(syntax,
                     fmt::format("the recursive function {}/{} is not supported; use reduce, "
                                 "recurse, walk, until or while",
                                 syntax.name, arity),
                     true);
    }
    const std::size_t hops = level() - found->level;
    const Function& function = *found->function;
    MILLRACE_TRY(arguments, compile_all(syntax));
    return make_call(function, hops, std::move(arguments));
  }
  MILLRACE_TRY(arguments, compile_all(syntax));
  return builtin(syntax, std::move(arguments));
}

Compiler::Made Compiler::builtin(const Syntax& syntax, std::vector<NodePtr> arguments) {
  const std::size_t arity = arguments.size();
  if (const FilterEntry* filter = find_filter_function(syntax.name, arity)) {
    return filter->make(std::move(arguments));
  }
  if (is_regex_function(syntax.name, arity)) {
    std::string wrong;
    NodePtr node = make_regex(syntax.name, arguments, wrong);
    if (!wrong.empty()) {
      const bool unsupported = wrong.find("not supported") != std::string::npos;
      return problem(*syntax.children[0], fmt::format("{}: {}", syntax.name, wrong), unsupported);
    }
    return node;
  }
  const FunctionEntry* entry = find_value_function(syntax.name, arity);
  if (entry == nullptr) return unknown_function(syntax);
  if (entry->needs_host && !scope_.host_functions) {
    return problem(syntax, fmt::format("{} cannot be used in this place", syntax.name));
  }
  for (std::size_t i = 0; i < arity; ++i) {
    const Json* constant = arguments[i]->constant();
    if (constant == nullptr) continue;
    const std::string wrong = check_constant(*entry, i, *constant);
    if (!wrong.empty()) return problem(*syntax.children[i], wrong);
    if (i == 0 && syntax.name == "lookup" && constant->is_string()) {
      const std::string table(view(*constant));
      if (std::ranges::find(compiled_.tables, table) == compiled_.tables.end()) {
        compiled_.tables.push_back(table);
      }
    }
  }
  return make_value_call(*entry, std::move(arguments));
}

Compiler::Made Compiler::unknown_function(const Syntax& syntax) const {
  std::vector<FunctionName> own;
  for (const Definition& known : definitions_) own.push_back({known.name, known.arity});
  const auto unknown = explain_unknown({syntax.name, syntax.children.size()}, std::move(own));
  auto made = problem(syntax, unknown.message, unknown.not_supported);
  made.error().unknown_function = true;
  return made;
}

Compiler::Made Compiler::function_body(const Syntax& syntax,
                                       std::vector<std::pair<std::string, std::size_t>> values) {
  if (values.empty()) return compile(*syntax.children[0]);
  const auto [name, index] = values.front();
  values.erase(values.begin());
  Slots& slots = slots_.back();
  const std::size_t slot = slots.used++;
  slots.max = std::max(slots.max, slots.used);
  variables_.push_back({name, level(), slot});
  auto body = function_body(syntax, std::move(values));
  variables_.pop_back();
  --slots_.back().used;
  if (!body) return body;
  return make_binding(make_parameter(0, index), slot, std::move(*body));
}

Compiler::Made Compiler::definition(const Syntax& syntax) {
  compiled_.functions.push_back(std::make_unique<Function>());
  Function& function = *compiled_.functions.back();
  definitions_.push_back({syntax.name, syntax.params.size(), &function, level(), true});
  const std::size_t known = definitions_.size();
  const std::size_t known_parameters = parameters_.size();
  slots_.push_back({});
  std::vector<std::pair<std::string, std::size_t>> values;
  for (std::size_t i = 0; i < syntax.params.size(); ++i) {
    const bool is_value = syntax.params[i].starts_with('$');
    const std::string name = syntax.params[i].substr(is_value ? 1 : 0);
    parameters_.push_back({name, level(), i});
    if (is_value) values.emplace_back(name, i);
  }
  MILLRACE_TRY(body, function_body(syntax, std::move(values)));
  function.body = std::move(body);
  function.slots = slots_.back().max;
  slots_.pop_back();
  parameters_.resize(known_parameters);
  definitions_.resize(known);
  definitions_.back().is_compiling = false;
  MILLRACE_TRY(rest, compile(*syntax.children[1]));
  definitions_.resize(known - 1);
  return rest;
}

}  // namespace

Parsed<Compiled> compile_program(std::string_view text, const Syntax& program,
                                 const ExpressionScope& scope) {
  return Compiler(text, scope).run(program);
}

}  // namespace millrace::expr
