// What an expression is compiled to: an immutable tree of nodes. A node turns one input into any
// number of outputs, handed to a sink one after the other; paths hand out references into the input
// and nothing is copied before something is built. Nodes that always have exactly one output
// (`is_single`) are evaluated without a sink.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "expr/evaluation.hpp"

namespace millrace::expr {

/// A reference to a callable that takes an output and says whether to go on. `owned` is the same
/// value when the callee may move it away, else null.
class Sink {
 public:
  template <typename F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, Sink>)
  Sink(F&& callable)  // NOLINT(google-explicit-constructor): a view, like std::string_view
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, const Json& value, Json* owned) -> bool {
          return (*static_cast<std::remove_reference_t<F>*>(object))(value, owned);
        }) {}
  bool operator()(const Json& value, Json* owned) const { return call_(object_, value, owned); }
  bool give(Json& value) const { return call_(object_, value, &value); }

 private:
  void* object_;
  bool (*call_)(void*, const Json&, Json*);
};

/// Where a value stands in the root it was taken from; steps are linked towards the root.
struct PathStep {
  const PathStep* parent = nullptr;
  const Json* key = nullptr;  ///< a name, an index, or {"start", "end"}
};

class PathSink {
 public:
  template <typename F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, PathSink>)
  PathSink(F&& callable)  // NOLINT(google-explicit-constructor)
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, const Json& value, const PathStep* path) -> bool {
          return (*static_cast<std::remove_reference_t<F>*>(object))(value, path);
        }) {}
  bool operator()(const Json& value, const PathStep* path) const {
    return call_(object_, value, path);
  }

 private:
  void* object_;
  bool (*call_)(void*, const Json&, const PathStep*);
};

class Node {
 public:
  virtual ~Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  bool is_single() const { return single_; }

  /// The only output of a single node: the input, a part of it, or `scratch`. Null on failure.
  virtual const Json* one(Frame& frame, const Json& input, Json& scratch) const;
  /// All outputs. False on failure or when the sink asked to stop.
  virtual bool each(Frame& frame, const Json& input, Sink sink) const;
  /// All outputs with their paths. Fails for what is no path expression.
  virtual bool each_path(Frame& frame, const Json& input, const PathStep* path,
                         PathSink sink) const;
  /// Replaces `value` by the only output; a single node may reuse what is already there.
  virtual bool apply(Frame& frame, Json& value) const;

  /// The value of a node that does not depend on anything, or null.
  virtual const Json* constant() const { return nullptr; }

 protected:
  explicit Node(bool single) : single_(single) {}

 private:
  bool single_;
};

using NodePtr = std::unique_ptr<const Node>;

/// Calls `accept(value, owned)` for every output of `node`; the way every node evaluates another.
template <typename F>
bool for_outputs(const Node& node, Frame& frame, const Json& input, F&& accept) {
  if (!frame.state.step()) return false;
  if (!node.is_single()) return node.each(frame, input, Sink(accept));
  Json scratch;
  const Json* value = node.one(frame, input, scratch);
  if (value == nullptr) return false;
  return accept(*value, value == &scratch ? &scratch : nullptr);
}

/// The output of a single node, counted as a step.
inline const Json* output_of(const Node& node, Frame& frame, const Json& input, Json& scratch) {
  if (!frame.state.step()) return nullptr;
  return node.one(frame, input, scratch);
}

/// Nodes that always have one output implement `one` only.
class SingleNode : public Node {
 protected:
  SingleNode() : Node(true) {}
  explicit SingleNode(bool single) : Node(single) {}
};

}  // namespace millrace::expr
