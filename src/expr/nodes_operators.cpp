#include "expr/access.hpp"
#include "expr/arithmetic.hpp"
#include "expr/nodes.hpp"

namespace millrace::expr {
namespace {

class Binary final : public Node {
 public:
  Binary(Operator operation, NodePtr left, NodePtr right)
      : Node(left->is_single() && right->is_single()),
        operation_(operation),
        left_(std::move(left)),
        right_(std::move(right)),
        left_is_input_(is_identity(*left_)) {}

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    Json right_scratch;
    const Json* right = output_of(*right_, frame, input, right_scratch);
    if (right == nullptr) return nullptr;
    Json left_scratch;
    const Json* left = output_of(*left_, frame, input, left_scratch);
    if (left == nullptr) return nullptr;
    const bool done =
        calculate(frame.state, operation_, *left, left == &left_scratch ? &left_scratch : nullptr,
                  *right, right == &right_scratch ? &right_scratch : nullptr, scratch);
    return done ? &scratch : nullptr;
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    if (is_single()) return Node::each(frame, input, sink);
    return for_outputs(*right_, frame, input, [&](const Json& right, Json*) {
      return for_outputs(*left_, frame, input, [&](const Json& left, Json* owned) {
        Json result;
        return calculate(frame.state, operation_, left, owned, right, nullptr, result) &&
               sink.give(result);
      });
    });
  }
  bool apply(Frame& frame, Json& value) const override {
    const bool in_place = is_single() && left_is_input_ && operation_ == Operator::add;
    if (!in_place) return Node::apply(frame, value);
    Json scratch;
    const Json* right = output_of(*right_, frame, value, scratch);
    if (right == nullptr) return false;
    if (right != &scratch) {  // it may be a part of `value`
      Json copy;
      if (!frame.state.copy(*right, copy)) return false;
      scratch = std::move(copy);
    }
    return add_to(frame.state, value, scratch, &scratch);
  }

 private:
  Operator operation_;
  NodePtr left_;
  NodePtr right_;
  bool left_is_input_;
};

class Negate final : public Node {
 public:
  explicit Negate(NodePtr operand) : Node(operand->is_single()), operand_(std::move(operand)) {}
  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    Json local;
    const Json* value = output_of(*operand_, frame, input, local);
    return value != nullptr && negate(frame.state, *value, scratch) ? &scratch : nullptr;
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    return for_outputs(*operand_, frame, input, [&](const Json& value, Json*) {
      Json result;
      return negate(frame.state, value, result) && sink.give(result);
    });
  }

 private:
  NodePtr operand_;
};

bool collect_paths(const Node& target, Frame& frame, const Json& input,
                   std::vector<JsonArray>& paths) {
  return target.each_path(frame, input, nullptr, [&](const Json&, const PathStep* path) {
    std::size_t length = 0;
    for (const PathStep* at = path; at != nullptr; at = at->parent) ++length;
    if (!frame.state.step() || !frame.state.charge(kSlotBytes * (length + 1))) return false;
    JsonArray keys(length);
    for (const PathStep* at = path; at != nullptr; at = at->parent) keys[--length] = *at->key;
    paths.push_back(std::move(keys));
    return true;
  });
}

/// `target = value` and its relatives. `=` and the arithmetic ones evaluate the value on the input
/// and have one output for each of its outputs; `|=` evaluates it on what stands at the path.
class Assign final : public Node {
 public:
  Assign(Assignment kind, Operator operation, NodePtr target, NodePtr value)
      : Node(kind == Assignment::update || value->is_single()),
        kind_(kind),
        operation_(operation),
        target_(std::move(target)),
        value_(std::move(value)) {}

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    Json root;
    if (!frame.state.copy(input, root) || !apply(frame, root)) return nullptr;
    scratch = std::move(root);
    return &scratch;
  }
  bool apply(Frame& frame, Json& value) const override {
    if (!is_single()) return Node::apply(frame, value);
    if (kind_ == Assignment::update) return update(frame, value);
    Json operand;
    const Json* result = output_of(*value_, frame, value, operand);
    if (result == nullptr) return false;
    if (result != &operand) {
      Json copy;
      if (!frame.state.copy(*result, copy)) return false;
      operand = std::move(copy);
    }
    return assign(frame, value, operand);
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    if (is_single()) return Node::each(frame, input, sink);
    return for_outputs(*value_, frame, input, [&](const Json& operand, Json*) {
      Json root;
      return frame.state.copy(input, root) && assign(frame, root, operand) && sink.give(root);
    });
  }

 private:
  bool assign(Frame& frame, Json& root, const Json& operand) const {
    std::vector<JsonArray> paths;
    if (!collect_paths(*target_, frame, root, paths)) return false;
    for (const JsonArray& path : paths) {
      const bool done = change_at(frame.state, root, path,
                                  [&](Json& part) { return change(frame.state, part, operand); });
      if (!done) return false;
    }
    return true;
  }
  bool change(Evaluation& state, Json& part, const Json& operand) const {
    if (kind_ == Assignment::alternative && is_true(part)) return true;
    if (kind_ != Assignment::arithmetic) return state.copy(operand, part);
    if (operation_ == Operator::add) return add_to(state, part, operand, nullptr);
    Json result;
    if (!calculate(state, operation_, part, nullptr, operand, nullptr, result)) return false;
    part = std::move(result);
    return true;
  }
  // Where the update has no output the path is deleted, after all the others are done.
  bool update(Frame& frame, Json& root) const {
    std::vector<JsonArray> paths;
    if (!collect_paths(*target_, frame, root, paths)) return false;
    std::vector<JsonArray> emptied;
    for (JsonArray& path : paths) {
      bool found = true;
      const bool done = change_at(frame.state, root, path, [&](Json& part) {
        if (value_->is_single()) return frame.state.step() && value_->apply(frame, part);
        found = false;
        Json next;
        for_outputs(*value_, frame, part, [&](const Json& result, Json* owned) {
          found = frame.state.take(result, owned, next);
          return false;
        });
        if (frame.state.failed()) return false;
        if (found) part = std::move(next);
        return true;
      });
      if (!done) return false;
      if (!found) emptied.push_back(std::move(path));
    }
    return delete_paths(frame.state, root, std::move(emptied));
  }

  Assignment kind_;
  Operator operation_;
  NodePtr target_;
  NodePtr value_;
};

}  // namespace

NodePtr make_binary(Operator operation, NodePtr left, NodePtr right) {
  return std::make_unique<Binary>(operation, std::move(left), std::move(right));
}
NodePtr make_negate(NodePtr operand) {
  const Json* constant = operand->constant();
  if (constant != nullptr && constant->is_int64()) return make_constant(-constant->get_int64());
  if (constant != nullptr && constant->is_double()) return make_constant(-constant->get_double());
  return std::make_unique<Negate>(std::move(operand));
}
NodePtr make_assign(Assignment kind, Operator operation, NodePtr target, NodePtr value) {
  return std::make_unique<Assign>(kind, operation, std::move(target), std::move(value));
}

}  // namespace millrace::expr
