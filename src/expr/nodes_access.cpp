#include <fmt/format.h>

#include "expr/access.hpp"
#include "expr/nodes.hpp"

namespace millrace::expr {
namespace {

class Identity final : public SingleNode {
 public:
  const Json* one(Frame&, const Json& input, Json&) const override { return &input; }
  bool each_path(Frame&, const Json& input, const PathStep* path, PathSink sink) const override {
    return sink(input, path);
  }
  bool apply(Frame&, Json&) const override { return true; }
};

class Constant final : public SingleNode {
 public:
  explicit Constant(Json value) : value_(std::move(value)) {}
  const Json* one(Frame&, const Json&, Json&) const override { return &value_; }
  const Json* constant() const override { return &value_; }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    // `null` counts as a path that leads nowhere, as in jq.
    if (value_.is_null()) return sink(value_, path);
    return Node::each_path(frame, input, path, sink);
  }

 private:
  Json value_;
};

// What an access with `?` does after its own failure: go on without an output.
bool forgive(Evaluation& state) {
  if (!state.catchable()) return false;
  state.catch_failure();
  return true;
}

// A chain of names, walked without copying. An optional one has a single name.
class Fields final : public Node {
 public:
  Fields(NodePtr target, std::vector<Json> names, bool optional)
      : Node(target->is_single() && !optional),
        target_(std::move(target)),
        names_(std::move(names)),
        optional_(optional) {
    from_input_ = is_identity(*target_);
  }

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    const Json* value = from_input_ ? &input : target_->one(frame, input, scratch);
    return value == nullptr ? nullptr : walk(frame.state, value);
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    if (is_single()) return Node::each(frame, input, sink);
    return for_outputs(*target_, frame, input, [&](const Json& value, Json* owned) {
      const Json* part = walk(frame.state, &value);
      if (part == nullptr) return optional_ && forgive(frame.state);
      return sink(*part, owned_part(part, owned));
    });
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    return target_->each_path(frame, input, path, [&](const Json& value, const PathStep* at) {
      std::vector<PathStep> steps(names_.size());
      for (std::size_t i = 0; i < names_.size(); ++i) {
        steps[i] = {i == 0 ? at : &steps[i - 1], &names_[i]};
      }
      const Json* part = walk(frame.state, &value);
      if (part == nullptr) return optional_ && forgive(frame.state);
      return sink(*part, &steps.back());
    });
  }

 private:
  const Json* walk(Evaluation& state, const Json* value) const {
    for (const Json& name : names_) {
      value = read_name(state, *value, view(name));
      if (value == nullptr) return nullptr;
    }
    return value;
  }
  static Json* owned_part(const Json* part, Json* owned) {
    return owned != nullptr && part != &null_value() ? const_cast<Json*>(part) : nullptr;
  }

  friend NodePtr millrace::expr::make_fields(NodePtr target, std::string name, bool optional);
  NodePtr target_;
  std::vector<Json> names_;
  bool optional_;
  bool from_input_ = false;
};

class Index final : public Node {
 public:
  Index(NodePtr target, NodePtr key, bool optional)
      : Node(target->is_single() && key->is_single() && !optional),
        target_(std::move(target)),
        key_(std::move(key)),
        optional_(optional) {}

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    Json key_scratch;
    const Json* key = output_of(*key_, frame, input, key_scratch);
    if (key == nullptr) return nullptr;
    const Json* container = target_->one(frame, input, scratch);
    if (container == nullptr) return nullptr;
    Json built;
    const Json* part = read_key(frame.state, *container, *key, built);
    if (part != &built) return part;
    scratch = std::move(built);
    return &scratch;
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    if (is_single()) return Node::each(frame, input, sink);
    return for_outputs(*key_, frame, input, [&](const Json& key, Json*) {
      return for_outputs(*target_, frame, input, [&](const Json& container, Json*) {
        Json scratch;
        const Json* part = read_key(frame.state, container, key, scratch);
        if (part == nullptr) return optional_ && forgive(frame.state);
        return sink(*part, part == &scratch ? &scratch : nullptr);
      });
    });
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    return for_outputs(*key_, frame, input, [&](const Json& key, Json*) {
      return target_->each_path(frame, input, path, [&](const Json& value, const PathStep* at) {
        Json scratch;
        const Json* part = read_key(frame.state, value, key, scratch);
        if (part == nullptr) return optional_ && forgive(frame.state);
        const PathStep step{at, &key};
        return sink(*part, &step);
      });
    });
  }

 private:
  NodePtr target_;
  NodePtr key_;
  bool optional_;
};

class Slice final : public Node {
 public:
  Slice(NodePtr target, NodePtr from, NodePtr to, bool optional)
      : Node(false),
        target_(std::move(target)),
        from_(std::move(from)),
        to_(std::move(to)),
        optional_(optional) {}

  bool each(Frame& frame, const Json& input, Sink sink) const override {
    return for_outputs(*from_, frame, input, [&](const Json& from, Json*) {
      return for_outputs(*to_, frame, input, [&](const Json& to, Json*) {
        return for_outputs(*target_, frame, input, [&](const Json& container, Json*) {
          Json part;
          if (!read_slice(frame.state, container, from, to, part)) {
            return optional_ && forgive(frame.state);
          }
          return sink.give(part);
        });
      });
    });
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    return for_outputs(*from_, frame, input, [&](const Json& from, Json*) {
      return for_outputs(*to_, frame, input, [&](const Json& to, Json*) {
        return target_->each_path(frame, input, path, [&](const Json& value, const PathStep* at) {
          Json part;
          if (!read_slice(frame.state, value, from, to, part)) {
            return optional_ && forgive(frame.state);
          }
          const Json key = JsonObject{{"start", from}, {"end", to}};
          const PathStep step{at, &key};
          return sink(part, &step);
        });
      });
    });
  }

 private:
  NodePtr target_;
  NodePtr from_;
  NodePtr to_;
  bool optional_;
};

class Iterate final : public Node {
 public:
  Iterate(NodePtr target, bool optional)
      : Node(false), target_(std::move(target)), optional_(optional) {}

  bool each(Frame& frame, const Json& input, Sink sink) const override {
    return for_outputs(*target_, frame, input, [&](const Json& container, Json* owned) {
      const auto give = [&](const Json& item) {
        return frame.state.step() &&
               sink(item, owned == nullptr ? nullptr : const_cast<Json*>(&item));
      };
      if (const auto* array = container.if_array()) {
        for (const Json& item : *array) {
          if (!give(item)) return false;
        }
        return true;
      }
      if (const auto* object = container.if_object()) {
        for (const auto& member : *object) {
          if (!give(member.value())) return false;
        }
        return true;
      }
      return optional_ || refuse(frame.state, container);
    });
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    return target_->each_path(frame, input, path, [&](const Json& value, const PathStep* at) {
      const auto give = [&](const Json& key, const Json& item) {
        const PathStep step{at, &key};
        return frame.state.step() && sink(item, &step);
      };
      if (const auto* array = value.if_array()) {
        for (std::size_t i = 0; i < array->size(); ++i) {
          if (!give(Json(static_cast<std::int64_t>(i)), (*array)[i])) return false;
        }
        return true;
      }
      if (const auto* object = value.if_object()) {
        for (const auto& member : *object) {
          if (!give(Json(member.key()), member.value())) return false;
        }
        return true;
      }
      return optional_ || refuse(frame.state, value);
    });
  }

 private:
  static bool refuse(Evaluation& state, const Json& value) {
    return state.fail(fmt::format("Cannot iterate over {}", describe(value)));
  }
  NodePtr target_;
  bool optional_;
};

class Pipe final : public Node {
 public:
  Pipe(NodePtr first, NodePtr second)
      : Node(first->is_single() && second->is_single()),
        first_(std::move(first)),
        second_(std::move(second)) {}

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    Json middle;
    const Json* value = output_of(*first_, frame, input, middle);
    if (value == nullptr) return nullptr;
    const Json* result = output_of(*second_, frame, *value, scratch);
    if (result == nullptr || result == &scratch) return result;
    if (value != &middle && middle.is_null()) return result;  // nothing points into `middle`
    if (!frame.state.take(*result, result == &middle ? &middle : nullptr, scratch)) return nullptr;
    return &scratch;
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    if (is_single()) return Node::each(frame, input, sink);
    return for_outputs(*first_, frame, input, [&](const Json& value, Json*) {
      return for_outputs(*second_, frame, value, sink);
    });
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    return first_->each_path(frame, input, path, [&](const Json& value, const PathStep* at) {
      return frame.state.step() && second_->each_path(frame, value, at, sink);
    });
  }
  bool apply(Frame& frame, Json& value) const override {
    if (!is_single()) return Node::apply(frame, value);
    return first_->apply(frame, value) && second_->apply(frame, value);
  }

 private:
  NodePtr first_;
  NodePtr second_;
};

class Comma final : public Node {
 public:
  explicit Comma(std::vector<NodePtr> parts) : Node(false), parts_(std::move(parts)) {}
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    for (const NodePtr& part : parts_) {
      if (!for_outputs(*part, frame, input, sink)) return false;
    }
    return true;
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    for (const NodePtr& part : parts_) {
      if (!part->each_path(frame, input, path, sink)) return false;
    }
    return true;
  }

 private:
  std::vector<NodePtr> parts_;
};

NodePtr join(std::vector<NodePtr>& stages, std::size_t from, std::size_t to) {
  if (to - from == 1) return std::move(stages[from]);
  const std::size_t half = from + (to - from) / 2;
  NodePtr first = join(stages, from, half);
  NodePtr second = join(stages, half, to);
  return make_pipe(std::move(first), std::move(second));
}

}  // namespace

NodePtr make_identity() {
  return std::make_unique<Identity>();
}
bool is_identity(const Node& node) {
  return dynamic_cast<const Identity*>(&node) != nullptr;
}
NodePtr make_constant(Json value) {
  return std::make_unique<Constant>(std::move(value));
}

NodePtr make_fields(NodePtr target, std::string name, bool optional) {
  std::vector<Json> names;
  const auto* chain = dynamic_cast<const Fields*>(target.get());
  if (chain != nullptr && !chain->optional_ && !optional) {
    auto* taken_apart = const_cast<Fields*>(chain);
    names = std::move(taken_apart->names_);
    NodePtr inner = std::move(taken_apart->target_);
    target = std::move(inner);
  }
  names.emplace_back(name);
  return std::make_unique<Fields>(std::move(target), std::move(names), optional);
}

NodePtr make_index(NodePtr target, NodePtr key, bool optional) {
  if (const Json* constant = key->constant(); constant != nullptr && constant->is_string()) {
    return make_fields(std::move(target), std::string(view(*constant)), optional);
  }
  return std::make_unique<Index>(std::move(target), std::move(key), optional);
}
NodePtr make_slice(NodePtr target, NodePtr from, NodePtr to, bool optional) {
  if (!from) from = make_constant(nullptr);
  if (!to) to = make_constant(nullptr);
  return std::make_unique<Slice>(std::move(target), std::move(from), std::move(to), optional);
}
NodePtr make_iterate(NodePtr target, bool optional) {
  return std::make_unique<Iterate>(std::move(target), optional);
}

NodePtr make_pipe(NodePtr first, NodePtr second) {
  if (is_identity(*first)) return second;
  if (is_identity(*second)) return first;
  return std::make_unique<Pipe>(std::move(first), std::move(second));
}
// Balanced, so that a long pipe makes no deep tree.
NodePtr make_pipe(std::vector<NodePtr> stages) {
  return join(stages, 0, stages.size());
}
NodePtr make_comma(std::vector<NodePtr> parts) {
  return std::make_unique<Comma>(std::move(parts));
}

}  // namespace millrace::expr
