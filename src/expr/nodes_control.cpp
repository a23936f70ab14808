#include "expr/nodes.hpp"

namespace millrace::expr {
namespace {

// Sets a variable for a scope and puts back what was there: a filter argument may enter the same
// scope again before the first activation has ended.
class Bound {
 public:
  Bound(Frame& frame, std::size_t slot, const Json& value)
      : place_(frame.variables[slot]), before_(place_) {
    place_ = &value;
  }
  ~Bound() { place_ = before_; }
  Bound(const Bound&) = delete;
  Bound& operator=(const Bound&) = delete;

 private:
  const Json*& place_;
  const Json* before_;
};

// `result` may point into `local`, which is about to go: then it moves or is copied to `scratch`.
const Json* keep(Evaluation& state, const Json* result, Json& local, bool local_is_used,
                 Json& scratch) {
  if (result == nullptr || result == &scratch || !local_is_used) return result;
  return state.take(*result, result == &local ? &local : nullptr, scratch) ? &scratch : nullptr;
}

class Condition final : public Node {
 public:
  Condition(std::vector<NodePtr> parts, bool single) : Node(single), parts_(std::move(parts)) {}

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    const Node* branch = nullptr;
    if (!choose(frame, input, branch)) return nullptr;
    return branch == nullptr ? &input : output_of(*branch, frame, input, scratch);
  }
  bool apply(Frame& frame, Json& value) const override {
    if (!is_single()) return Node::apply(frame, value);
    const Node* branch = nullptr;
    if (!choose(frame, value, branch)) return false;
    return branch == nullptr || branch->apply(frame, value);
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    return each_from(frame, input, 0, [&](const Node* branch) {
      return branch == nullptr ? sink(input, nullptr) : for_outputs(*branch, frame, input, sink);
    });
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    return each_from(frame, input, 0, [&](const Node* branch) {
      return branch == nullptr ? sink(input, path) : branch->each_path(frame, input, path, sink);
    });
  }

 private:
  bool choose(Frame& frame, const Json& input, const Node*& branch) const {
    std::size_t at = 0;
    for (; at + 1 < parts_.size(); at += 2) {
      Json scratch;
      const Json* test = output_of(*parts_[at], frame, input, scratch);
      if (test == nullptr) return false;
      if (!is_true(*test)) continue;
      branch = parts_[at + 1].get();
      return true;
    }
    if (at < parts_.size()) branch = parts_[at].get();
    return true;
  }
  template <typename F>
  bool each_from(Frame& frame, const Json& input, std::size_t at, const F& take) const {
    if (at == parts_.size()) return take(nullptr);
    if (at + 1 == parts_.size()) return take(parts_[at].get());
    return for_outputs(*parts_[at], frame, input, [&](const Json& test, Json*) {
      return is_true(test) ? take(parts_[at + 1].get()) : each_from(frame, input, at + 2, take);
    });
  }
  std::vector<NodePtr> parts_;
};

class Logic final : public Node {
 public:
  Logic(bool conjunction, NodePtr left, NodePtr right)
      : Node(left->is_single() && right->is_single()),
        conjunction_(conjunction),
        left_(std::move(left)),
        right_(std::move(right)) {}

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    Json part;
    const Json* left = output_of(*left_, frame, input, part);
    if (left == nullptr) return nullptr;
    bool truth = is_true(*left);
    if (truth == conjunction_) {
      Json other;
      const Json* right = output_of(*right_, frame, input, other);
      if (right == nullptr) return nullptr;
      truth = is_true(*right);
    }
    scratch = truth;
    return &scratch;
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    return for_outputs(*left_, frame, input, [&](const Json& left, Json*) {
      if (is_true(left) != conjunction_) {
        Json result(!conjunction_);
        return sink.give(result);
      }
      return for_outputs(*right_, frame, input, [&](const Json& right, Json*) {
        Json result(is_true(right));
        return sink.give(result);
      });
    });
  }

 private:
  bool conjunction_;
  NodePtr left_;
  NodePtr right_;
};

class Alternative final : public Node {
 public:
  Alternative(NodePtr left, NodePtr right)
      : Node(left->is_single() && right->is_single()),
        left_(std::move(left)),
        right_(std::move(right)) {}

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    const Json* left = output_of(*left_, frame, input, scratch);
    if (left == nullptr || is_true(*left)) return left;
    return output_of(*right_, frame, input, scratch);
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    bool found = false;
    const bool done = for_outputs(*left_, frame, input, [&](const Json& value, Json* owned) {
      if (!is_true(value)) return true;
      found = true;
      return sink(value, owned);
    });
    if (!done || found) return done;
    return for_outputs(*right_, frame, input, sink);
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    bool found = false;
    const bool done =
        left_->each_path(frame, input, path, [&](const Json& value, const PathStep* at) {
          if (!is_true(value)) return true;
          found = true;
          return sink(value, at);
        });
    if (!done || found) return done;
    return right_->each_path(frame, input, path, sink);
  }

 private:
  NodePtr left_;
  NodePtr right_;
};

// Catches jq's own errors of the body; those of whoever takes the outputs, of the host and of the
// budget pass.
class Try final : public Node {
 public:
  Try(NodePtr body, NodePtr handler)
      : Node(false), body_(std::move(body)), handler_(std::move(handler)) {}

  bool each(Frame& frame, const Json& input, Sink sink) const override {
    bool outside = false;
    const bool done = for_outputs(*body_, frame, input, [&](const Json& value, Json* owned) {
      const bool go_on = sink(value, owned);
      outside = !go_on;
      return go_on;
    });
    if (done || outside || !frame.state.catchable()) return done;
    const Json error = frame.state.catch_failure();
    return handler_ == nullptr || for_outputs(*handler_, frame, error, sink);
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    bool outside = false;
    const bool done =
        body_->each_path(frame, input, path, [&](const Json& value, const PathStep* at) {
          const bool go_on = sink(value, at);
          outside = !go_on;
          return go_on;
        });
    if (done || outside || !frame.state.catchable()) return done;
    const Json error = frame.state.catch_failure();
    return handler_ == nullptr || handler_->each_path(frame, error, path, sink);
  }

 private:
  NodePtr body_;
  NodePtr handler_;
};

class Reduce final : public Node {
 public:
  Reduce(NodePtr source, std::size_t slot, NodePtr init, NodePtr update)
      : Node(init->is_single()),
        source_(std::move(source)),
        slot_(slot),
        init_(std::move(init)),
        update_(std::move(update)) {}

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    const Json* init = output_of(*init_, frame, input, scratch);
    if (init == nullptr) return nullptr;
    Json total;
    if (!frame.state.take(*init, init == &scratch ? &scratch : nullptr, total)) return nullptr;
    if (!fold(frame, input, total)) return nullptr;
    scratch = std::move(total);
    return &scratch;
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    if (is_single()) return Node::each(frame, input, sink);
    return for_outputs(*init_, frame, input, [&](const Json& init, Json* owned) {
      Json total;
      return frame.state.take(init, owned, total) && fold(frame, input, total) && sink.give(total);
    });
  }

 private:
  bool fold(Frame& frame, const Json& input, Json& total) const {
    return for_outputs(*source_, frame, input, [&](const Json& item, Json*) {
      const Bound bound(frame, slot_, item);
      if (update_->is_single()) return frame.state.step() && update_->apply(frame, total);
      Json next;  // stays null when the update has no output
      const bool done = for_outputs(*update_, frame, total, [&](const Json& value, Json* owned) {
        Json last;
        if (!frame.state.take(value, owned, last)) return false;
        next = std::move(last);
        return true;
      });
      total = std::move(next);
      return done;
    });
  }
  NodePtr source_;
  std::size_t slot_;
  NodePtr init_;
  NodePtr update_;
};

class Foreach final : public Node {
 public:
  Foreach(NodePtr source, std::size_t slot, NodePtr init, NodePtr update, NodePtr extract)
      : Node(false),
        source_(std::move(source)),
        slot_(slot),
        init_(std::move(init)),
        update_(std::move(update)),
        extract_(std::move(extract)) {}

  bool each(Frame& frame, const Json& input, Sink sink) const override {
    return for_outputs(*init_, frame, input, [&](const Json& init, Json* owned) {
      Json total;
      if (!frame.state.take(init, owned, total)) return false;
      return for_outputs(*source_, frame, input, [&](const Json& item, Json*) {
        const Bound bound(frame, slot_, item);
        return step(frame, total, sink);
      });
    });
  }

 private:
  bool step(Frame& frame, Json& total, Sink sink) const {
    const Json before = std::move(total);
    total = nullptr;
    return for_outputs(*update_, frame, before, [&](const Json& value, Json* owned) {
      Json next;
      if (!frame.state.take(value, owned, next)) return false;
      total = std::move(next);
      if (extract_ == nullptr) return sink(total, nullptr);
      return for_outputs(*extract_, frame, total, sink);
    });
  }
  NodePtr source_;
  std::size_t slot_;
  NodePtr init_;
  NodePtr update_;
  NodePtr extract_;
};

class Binding final : public Node {
 public:
  Binding(NodePtr source, std::size_t slot, NodePtr body)
      : Node(source->is_single() && body->is_single()),
        source_(std::move(source)),
        slot_(slot),
        body_(std::move(body)) {}

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    Json local;
    const Json* value = output_of(*source_, frame, input, local);
    if (value == nullptr) return nullptr;
    const Bound bound(frame, slot_, *value);
    const Json* result = output_of(*body_, frame, input, scratch);
    return keep(frame.state, result, local, value == &local || !local.is_null(), scratch);
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    if (is_single()) return Node::each(frame, input, sink);
    return for_outputs(*source_, frame, input, [&](const Json& value, Json*) {
      const Bound bound(frame, slot_, value);
      return for_outputs(*body_, frame, input, sink);
    });
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    return for_outputs(*source_, frame, input, [&](const Json& value, Json*) {
      const Bound bound(frame, slot_, value);
      return body_->each_path(frame, input, path, sink);
    });
  }
  bool apply(Frame& frame, Json& value) const override {
    if (!is_single()) return Node::apply(frame, value);
    Json local;
    const Json* source = output_of(*source_, frame, value, local);
    if (source == nullptr) return false;
    // The body changes `value` in place, so the variable may not point into it.
    if (source != &local) {
      Json copy;
      if (!frame.state.copy(*source, copy)) return false;
      local = std::move(copy);
    }
    const Bound bound(frame, slot_, local);
    return body_->apply(frame, value);
  }

 private:
  NodePtr source_;
  std::size_t slot_;
  NodePtr body_;
};

}  // namespace

NodePtr make_condition(std::vector<NodePtr> parts) {
  bool single = true;
  for (const NodePtr& part : parts) single = single && part->is_single();
  return std::make_unique<Condition>(std::move(parts), single);
}
NodePtr make_logic(bool conjunction, NodePtr left, NodePtr right) {
  return std::make_unique<Logic>(conjunction, std::move(left), std::move(right));
}
NodePtr make_alternative(NodePtr left, NodePtr right) {
  return std::make_unique<Alternative>(std::move(left), std::move(right));
}
NodePtr make_try(NodePtr body, NodePtr handler) {
  return std::make_unique<Try>(std::move(body), std::move(handler));
}
NodePtr make_reduce(NodePtr source, std::size_t slot, NodePtr init, NodePtr update) {
  return std::make_unique<Reduce>(std::move(source), slot, std::move(init), std::move(update));
}
NodePtr make_foreach(NodePtr source, std::size_t slot, NodePtr init, NodePtr update,
                     NodePtr extract) {
  return std::make_unique<Foreach>(std::move(source), slot, std::move(init), std::move(update),
                                   std::move(extract));
}
NodePtr make_binding(NodePtr source, std::size_t slot, NodePtr body) {
  return std::make_unique<Binding>(std::move(source), slot, std::move(body));
}

}  // namespace millrace::expr
