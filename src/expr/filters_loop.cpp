#include <fmt/format.h>

#include "expr/filters.hpp"
#include "expr/nodes.hpp"

namespace millrace::expr {
namespace {

using Arguments = std::vector<NodePtr>;

class Range final : public Node {
 public:
  Range(NodePtr from, NodePtr to, NodePtr by)
      : Node(false), from_(std::move(from)), to_(std::move(to)), by_(std::move(by)) {}

  bool each(Frame& frame, const Json& input, Sink sink) const override {
    return for_outputs(*from_, frame, input, [&](const Json& from, Json*) {
      return for_outputs(*to_, frame, input, [&](const Json& to, Json*) {
        return for_outputs(*by_, frame, input,
                           [&](const Json& by, Json*) { return run(frame, from, to, by, sink); });
      });
    });
  }

 private:
  static bool run(Frame& frame, const Json& from, const Json& to, const Json& by, Sink sink) {
    if (!is_number(from) || !is_number(to) || !is_number(by)) {
      return frame.state.fail("Range bounds must be numeric");
    }
    const double step = to_double(by);
    const double end = to_double(to);
    if (step == 0) return true;
    if (from.is_int64() && by.is_int64()) {
      std::int64_t at = from.get_int64();
      while (step > 0 ? static_cast<double>(at) < end : static_cast<double>(at) > end) {
        Json value(at);
        if (!frame.state.step() || !sink.give(value)) return false;
        if (__builtin_add_overflow(at, by.get_int64(), &at)) return true;
      }
      return true;
    }
    for (double at = to_double(from); step > 0 ? at < end : at > end; at += step) {
      Json value(at);
      if (!frame.state.step() || !sink.give(value)) return false;
    }
    return true;
  }
  NodePtr from_;
  NodePtr to_;
  NodePtr by_;
};

// `..` walks the data itself; its depth is bounded by what parse_json and copy admit.
class Descend final : public Node {
 public:
  Descend() : Node(false) {}
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    return walk(frame.state, input, sink);
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    return walk_paths(frame.state, input, path, sink);
  }

 private:
  static bool walk(Evaluation& state, const Json& value, Sink sink) {
    if (!state.step() || !sink(value, nullptr)) return false;
    if (const auto* array = value.if_array()) {
      for (const Json& item : *array) {
        if (!walk(state, item, sink)) return false;
      }
    } else if (const auto* object = value.if_object()) {
      for (const auto& member : *object) {
        if (!walk(state, member.value(), sink)) return false;
      }
    }
    return true;
  }
  static bool walk_paths(Evaluation& state, const Json& value, const PathStep* path,
                         PathSink sink) {
    if (!state.step() || !sink(value, path)) return false;
    if (const auto* array = value.if_array()) {
      for (std::size_t i = 0; i < array->size(); ++i) {
        const Json key(static_cast<std::int64_t>(i));
        const PathStep step{path, &key};
        if (!walk_paths(state, (*array)[i], &step, sink)) return false;
      }
    } else if (const auto* object = value.if_object()) {
      for (const auto& member : *object) {
        const Json key(member.key());
        const PathStep step{path, &key};
        if (!walk_paths(state, member.value(), &step, sink)) return false;
      }
    }
    return true;
  }
};

class Recurse final : public Node {
 public:
  /// `condition` may be null.
  Recurse(NodePtr next, NodePtr condition)
      : Node(false), next_(std::move(next)), condition_(std::move(condition)) {}
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    return sink(input, nullptr) && below(frame, input, sink);
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    if (!frame.state.step() || !sink(input, path)) return false;
    return next_->each_path(frame, input, path, [&](const Json& value, const PathStep* at) {
      if (condition_ == nullptr) return each_path(frame, value, at, sink);
      return for_outputs(*condition_, frame, value, [&](const Json& truth, Json*) {
        return !is_true(truth) || each_path(frame, value, at, sink);
      });
    });
  }

 private:
  // A chain, where every step has one successor, is walked without nesting.
  bool below(Frame& frame, const Json& input, Sink sink) const {
    if (next_->is_single() && condition_ == nullptr) {
      Json value;
      if (!frame.state.copy(input, value)) return false;
      while (true) {
        if (!next_->apply(frame, value) || !frame.state.step() || !sink(value, nullptr)) {
          return false;
        }
      }
    }
    return for_outputs(*next_, frame, input, [&](const Json& value, Json*) {
      if (condition_ == nullptr) return each(frame, value, sink);
      return for_outputs(*condition_, frame, value, [&](const Json& truth, Json*) {
        return !is_true(truth) || each(frame, value, sink);
      });
    });
  }
  NodePtr next_;
  NodePtr condition_;
};

// while(condition; update) and until(condition; update).
class Loop final : public Node {
 public:
  Loop(NodePtr condition, NodePtr update, bool until)
      : Node(false), condition_(std::move(condition)), update_(std::move(update)), until_(until) {}

  bool each(Frame& frame, const Json& input, Sink sink) const override {
    if (condition_->is_single() && update_->is_single()) {
      Json value;
      return frame.state.copy(input, value) && iterate(frame, value, sink);
    }
    return nest(frame, input, sink);
  }

 private:
  bool iterate(Frame& frame, Json& value, Sink sink) const {
    while (true) {
      Json scratch;
      const Json* truth = output_of(*condition_, frame, value, scratch);
      if (truth == nullptr) return false;
      if (is_true(*truth) == until_) return !until_ || sink.give(value);
      if (!until_ && !sink(value, nullptr)) return false;
      if (!frame.state.step() || !update_->apply(frame, value)) return false;
    }
  }
  bool nest(Frame& frame, const Json& input, Sink sink) const {
    return for_outputs(*condition_, frame, input, [&](const Json& truth, Json*) {
      if (is_true(truth) == until_) return !until_ || sink(input, nullptr);
      if (!until_ && !sink(input, nullptr)) return false;
      return for_outputs(*update_, frame, input,
                         [&](const Json& value, Json*) { return nest(frame, value, sink); });
    });
  }
  NodePtr condition_;
  NodePtr update_;
  bool until_;
};

class Repeat final : public Node {
 public:
  explicit Repeat(NodePtr body) : Node(false), body_(std::move(body)) {}
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    while (frame.state.step()) {
      if (!for_outputs(*body_, frame, input, sink)) return false;
    }
    return false;
  }

 private:
  NodePtr body_;
};

bool walk_value(const Node& node, Frame& frame, const Json& value, Sink sink);

class Walk final : public Node {
 public:
  explicit Walk(NodePtr body) : Node(false), body_(std::move(body)) {}
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    return walk_value(*body_, frame, input, sink);
  }

 private:
  NodePtr body_;
};

// As in jq: all outputs for the items of an array, the first output for the members of an object.
bool walk_value(const Node& node, Frame& frame, const Json& value, Sink sink) {
  Evaluation& state = frame.state;
  if (!state.step()) return false;
  Json rebuilt;
  if (const auto* array = value.if_array()) {
    JsonArray items;
    for (const Json& item : *array) {
      const bool done = walk_value(node, frame, item, [&](const Json& result, Json* owned) {
        Json copy;
        if (!state.charge(kSlotBytes) || !state.take(result, owned, copy)) return false;
        items.push_back(std::move(copy));
        return true;
      });
      if (!done) return false;
    }
    rebuilt = std::move(items);
  } else if (const auto* object = value.if_object()) {
    JsonObject members;
    for (const auto& member : *object) {
      Json copy;
      bool found = false;
      walk_value(node, frame, member.value(), [&](const Json& result, Json* owned) {
        found = state.take(result, owned, copy);
        return false;
      });
      if (state.failed() || !state.charge(2 * kSlotBytes + member.key().size())) return false;
      if (found) members.emplace(member.key(), std::move(copy));
    }
    rebuilt = std::move(members);
  } else {
    return for_outputs(node, frame, value, sink);
  }
  return for_outputs(node, frame, rebuilt, sink);
}

}  // namespace

NodePtr make_recurse_all() {
  return std::make_unique<Descend>();
}

std::vector<FilterEntry> looping_filters() {
  return {
      {"range", 1,
       [](Arguments a) -> NodePtr {
         return std::make_unique<Range>(make_constant(Json(std::int64_t{0})), std::move(a[0]),
                                        make_constant(Json(std::int64_t{1})));
       }},
      {"range", 2,
       [](Arguments a) -> NodePtr {
         return std::make_unique<Range>(std::move(a[0]), std::move(a[1]),
                                        make_constant(Json(std::int64_t{1})));
       }},
      {"range", 3,
       [](Arguments a) -> NodePtr {
         return std::make_unique<Range>(std::move(a[0]), std::move(a[1]), std::move(a[2]));
       }},
      {"recurse", 0, [](Arguments) { return make_recurse_all(); }},
      {"recurse", 1,
       [](Arguments a) -> NodePtr { return std::make_unique<Recurse>(std::move(a[0]), nullptr); }},
      {"recurse", 2,
       [](Arguments a) -> NodePtr {
         return std::make_unique<Recurse>(std::move(a[0]), std::move(a[1]));
       }},
      {"while", 2,
       [](Arguments a) -> NodePtr {
         return std::make_unique<Loop>(std::move(a[0]), std::move(a[1]), false);
       }},
      {"until", 2,
       [](Arguments a) -> NodePtr {
         return std::make_unique<Loop>(std::move(a[0]), std::move(a[1]), true);
       }},
      {"repeat", 1,
       [](Arguments a) -> NodePtr { return std::make_unique<Repeat>(std::move(a[0])); }},
      {"walk", 1, [](Arguments a) -> NodePtr { return std::make_unique<Walk>(std::move(a[0])); }}};
}

}  // namespace millrace::expr
