#include <boost/container/small_vector.hpp>

#include "expr/nodes.hpp"

namespace millrace::expr {
namespace {

Frame& outer(Frame& frame, std::size_t hops) {
  Frame* found = &frame;
  for (; hops > 0; --hops) found = found->outer;
  return *found;
}

class Variable final : public SingleNode {
 public:
  Variable(std::size_t hops, std::size_t slot) : hops_(hops), slot_(slot) {}
  const Json* one(Frame& frame, const Json&, Json&) const override {
    return outer(frame, hops_).variables[slot_];
  }

 private:
  std::size_t hops_;
  std::size_t slot_;
};

class Global final : public SingleNode {
 public:
  explicit Global(std::string name) : name_(std::move(name)) {}
  const Json* one(Frame& frame, const Json&, Json&) const override {
    const ExpressionBindings* bindings = frame.state.context().bindings;
    const Json* value = bindings == nullptr ? nullptr : bindings->get(name_);
    if (value == nullptr) frame.state.fail("$" + name_ + " has no value here");
    return value;
  }

 private:
  std::string name_;
};

class Call final : public Node {
 public:
  Call(const Function& function, std::size_t hops, std::vector<NodePtr> arguments)
      : Node(function.body->is_single()),
        function_(function),
        hops_(hops),
        arguments_(std::move(arguments)) {}

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    const Json* result = nullptr;
    with_frame(frame, [&](Frame& inner) {
      result = output_of(*function_.body, inner, input, scratch);
      return result != nullptr;
    });
    return result;
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    if (is_single()) return Node::each(frame, input, sink);
    return with_frame(
        frame, [&](Frame& inner) { return for_outputs(*function_.body, inner, input, sink); });
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    return with_frame(
        frame, [&](Frame& inner) { return function_.body->each_path(inner, input, path, sink); });
  }

 private:
  template <typename F>
  bool with_frame(Frame& frame, const F& run) const {
    if (!frame.state.enter()) return false;
    boost::container::small_vector<const Json*, 8> variables(function_.slots, nullptr);
    boost::container::small_vector<Closure, 4> closures;
    for (const NodePtr& argument : arguments_) closures.push_back({argument.get(), &frame});
    Frame inner{frame.state, &outer(frame, hops_), variables.data(), closures.data()};
    const bool done = run(inner);
    frame.state.leave();
    return done;
  }
  const Function& function_;
  std::size_t hops_;
  std::vector<NodePtr> arguments_;
};

class Parameter final : public Node {
 public:
  Parameter(std::size_t hops, std::size_t index) : Node(false), hops_(hops), index_(index) {}
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    const Closure& closure = outer(frame, hops_).closures[index_];
    if (!frame.state.enter()) return false;
    const bool done = for_outputs(*closure.body, *closure.frame, input, sink);
    frame.state.leave();
    return done;
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    const Closure& closure = outer(frame, hops_).closures[index_];
    if (!frame.state.enter()) return false;
    const bool done = closure.body->each_path(*closure.frame, input, path, sink);
    frame.state.leave();
    return done;
  }

 private:
  std::size_t hops_;
  std::size_t index_;
};

}  // namespace

NodePtr make_variable(std::size_t hops, std::size_t slot) {
  return std::make_unique<Variable>(hops, slot);
}
NodePtr make_global(std::string name) {
  return std::make_unique<Global>(std::move(name));
}
NodePtr make_call(const Function& function, std::size_t hops, std::vector<NodePtr> arguments) {
  return std::make_unique<Call>(function, hops, std::move(arguments));
}
NodePtr make_parameter(std::size_t hops, std::size_t index) {
  return std::make_unique<Parameter>(hops, index);
}

}  // namespace millrace::expr
