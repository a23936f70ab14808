// Makers of the nodes of jq's syntax. Each returns a tree that owns its parts.
#pragma once

#include <string>
#include <vector>

#include "expr/node.hpp"

namespace millrace::expr {

enum class Operator {
  add,
  subtract,
  multiply,
  divide,
  modulo,
  equal,
  unequal,
  less,
  less_equal,
  greater,
  greater_equal
};

NodePtr make_identity();
bool is_identity(const Node& node);
NodePtr make_constant(Json value);
// An optional access gives nothing where it fails; errors of its target still count.
/// `target.a.b`; merges with a target that is itself a chain of names.
NodePtr make_fields(NodePtr target, std::string name, bool optional = false);
NodePtr make_index(NodePtr target, NodePtr key, bool optional = false);
/// `from` and `to` may be null.
NodePtr make_slice(NodePtr target, NodePtr from, NodePtr to, bool optional = false);
NodePtr make_iterate(NodePtr target, bool optional = false);
NodePtr make_pipe(std::vector<NodePtr> stages);
NodePtr make_pipe(NodePtr first, NodePtr second);
NodePtr make_comma(std::vector<NodePtr> parts);

/// `body` may be null for `[]`.
NodePtr make_array(NodePtr body);
struct ObjectEntry {
  NodePtr key;
  NodePtr value;  ///< null: the member of the input with the same name
};
NodePtr make_object(std::vector<ObjectEntry> entries);
using FormatFunction = bool (*)(Evaluation& state, const Json& value, std::string& out);
/// Parts that are constant strings are taken as they are; others go through `format`.
NodePtr make_text(std::vector<NodePtr> parts, std::vector<bool> literal, FormatFunction format);

NodePtr make_binary(Operator operation, NodePtr left, NodePtr right);
NodePtr make_negate(NodePtr operand);
NodePtr make_logic(bool conjunction, NodePtr left, NodePtr right);
NodePtr make_alternative(NodePtr left, NodePtr right);
/// `handler` may be null.
NodePtr make_try(NodePtr body, NodePtr handler);
/// Pairs of condition and branch, and a last branch when the count is odd.
NodePtr make_condition(std::vector<NodePtr> parts);
NodePtr make_reduce(NodePtr source, std::size_t slot, NodePtr init, NodePtr update);
/// `extract` may be null.
NodePtr make_foreach(NodePtr source, std::size_t slot, NodePtr init, NodePtr update,
                     NodePtr extract);

NodePtr make_binding(NodePtr source, std::size_t slot, NodePtr body);
/// A variable `hops` lexical levels out.
NodePtr make_variable(std::size_t hops, std::size_t slot);
NodePtr make_global(std::string name);

/// The body of a `def`, shared by its calls. Filled in once the body is compiled.
struct Function {
  NodePtr body;
  std::size_t slots = 0;
};
NodePtr make_call(const Function& function, std::size_t hops, std::vector<NodePtr> arguments);
NodePtr make_parameter(std::size_t hops, std::size_t index);

enum class Assignment { set, update, arithmetic, alternative };
NodePtr make_assign(Assignment kind, Operator operation, NodePtr target, NodePtr value);

}  // namespace millrace::expr
