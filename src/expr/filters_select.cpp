#include <fmt/format.h>

#include "expr/filters.hpp"
#include "expr/nodes.hpp"

namespace millrace::expr {
namespace {

using Arguments = std::vector<NodePtr>;

class Select final : public Node {
 public:
  explicit Select(NodePtr condition) : Node(false), condition_(std::move(condition)) {}
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    return for_outputs(*condition_, frame, input, [&](const Json& truth, Json*) {
      return !is_true(truth) || sink(input, nullptr);
    });
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    return for_outputs(*condition_, frame, input, [&](const Json& truth, Json*) {
      return !is_true(truth) || sink(input, path);
    });
  }

 private:
  NodePtr condition_;
};

using Predicate = bool (*)(const Json&);

class SelectType final : public Node {
 public:
  explicit SelectType(Predicate accepts) : Node(false), accepts_(accepts) {}
  bool each(Frame&, const Json& input, Sink sink) const override {
    return !accepts_(input) || sink(input, nullptr);
  }
  bool each_path(Frame&, const Json& input, const PathStep* path, PathSink sink) const override {
    return !accepts_(input) || sink(input, path);
  }

 private:
  Predicate accepts_;
};

template <Predicate Accepts>
NodePtr make_type(Arguments) {
  return std::make_unique<SelectType>(Accepts);
}

bool is_null(const Json& value) {
  return value.is_null();
}
bool is_value(const Json& value) {
  return !value.is_null();
}
bool is_boolean(const Json& value) {
  return value.is_bool();
}
bool is_string(const Json& value) {
  return value.is_string();
}
bool is_array(const Json& value) {
  return value.is_array();
}
bool is_object(const Json& value) {
  return value.is_object();
}
bool is_iterable(const Json& value) {
  return value.is_structured();
}
bool is_scalar(const Json& value) {
  return !value.is_structured();
}
bool is_numeric(const Json& value) {
  return is_number(value);
}
bool never(const Json&) {
  return false;
}

class First final : public Node {
 public:
  explicit First(NodePtr source) : Node(false), source_(std::move(source)) {}
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    bool go_on = true;
    bool found = false;
    const bool done = for_outputs(*source_, frame, input, [&](const Json& value, Json* owned) {
      found = true;
      go_on = sink(value, owned);
      return false;
    });
    return found ? go_on : done;
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* path,
                 PathSink sink) const override {
    bool go_on = true;
    bool found = false;
    const bool done =
        source_->each_path(frame, input, path, [&](const Json& value, const PathStep* at) {
          found = true;
          go_on = sink(value, at);
          return false;
        });
    return found ? go_on : done;
  }

 private:
  NodePtr source_;
};

class Last final : public SingleNode {
 public:
  explicit Last(NodePtr source) : source_(std::move(source)) {}
  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    Json last;
    const bool done = for_outputs(*source_, frame, input, [&](const Json& value, Json* owned) {
      Json next;
      if (!frame.state.take(value, owned, next)) return false;
      last = std::move(next);
      return true;
    });
    if (!done) return nullptr;
    scratch = std::move(last);
    return &scratch;
  }

 private:
  NodePtr source_;
};

// limit(n; f), and nth(n; f) as its last one.
class Limit final : public Node {
 public:
  Limit(NodePtr count, NodePtr source, bool only_last)
      : Node(false), count_(std::move(count)), source_(std::move(source)), only_last_(only_last) {}

  bool each(Frame& frame, const Json& input, Sink sink) const override {
    return for_outputs(*count_, frame, input, [&](const Json& count, Json*) {
      if (!is_number(count)) {
        return frame.state.fail(fmt::format("{} needs a number, not {}",
                                            only_last_ ? "nth" : "limit", describe(count)));
      }
      const std::int64_t wanted = to_integer(count);
      if (only_last_) return nth(frame, input, wanted, sink);
      if (wanted < 0) return for_outputs(*source_, frame, input, sink);
      return wanted == 0 || limit(frame, input, wanted, sink);
    });
  }

 private:
  bool limit(Frame& frame, const Json& input, std::int64_t wanted, Sink sink) const {
    bool outside = false;
    const bool done = for_outputs(*source_, frame, input, [&](const Json& value, Json* owned) {
      outside = !sink(value, owned);
      return !outside && --wanted > 0;
    });
    return done || (wanted == 0 && !outside && !frame.state.failed());
  }
  bool nth(Frame& frame, const Json& input, std::int64_t wanted, Sink sink) const {
    if (wanted < 0) return frame.state.fail("Out of bounds negative array index");
    bool go_on = true;
    bool found = false;
    const bool done = for_outputs(*source_, frame, input, [&](const Json& value, Json* owned) {
      if (wanted-- > 0) return true;
      found = true;
      go_on = sink(value, owned);
      return false;
    });
    return found ? go_on : done;
  }
  NodePtr count_;
  NodePtr source_;
  bool only_last_;
};

// any and all stop at the first output that decides.
class Quantifier final : public SingleNode {
 public:
  Quantifier(NodePtr source, NodePtr condition, bool any)
      : source_(std::move(source)), condition_(std::move(condition)), any_(any) {}
  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    bool decided = false;
    const bool done = for_outputs(*source_, frame, input, [&](const Json& item, Json*) {
      return for_outputs(*condition_, frame, item, [&](const Json& truth, Json*) {
        decided = is_true(truth) == any_;
        return !decided;
      });
    });
    if (!done && !decided) return nullptr;
    scratch = decided == any_;
    return &scratch;
  }

 private:
  NodePtr source_;
  NodePtr condition_;
  bool any_;
};

class IsEmpty final : public SingleNode {
 public:
  explicit IsEmpty(NodePtr source) : source_(std::move(source)) {}
  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    bool found = false;
    for_outputs(*source_, frame, input, [&](const Json&, Json*) {
      found = true;
      return false;
    });
    if (frame.state.failed()) return nullptr;
    scratch = !found;
    return &scratch;
  }

 private:
  NodePtr source_;
};

template <bool Any>
NodePtr make_quantifier(Arguments arguments) {
  NodePtr source = arguments.size() == 2 ? std::move(arguments[0]) : make_iterate(make_identity());
  NodePtr condition = arguments.empty() ? make_identity() : std::move(arguments.back());
  return std::make_unique<Quantifier>(std::move(source), std::move(condition), Any);
}

// IN(s) is any(s == .; .); IN(source; s) is any(source == s; .).
class In final : public SingleNode {
 public:
  In(NodePtr source, NodePtr set) : source_(std::move(source)), set_(std::move(set)) {}
  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    bool found = false;
    const bool done = for_outputs(*set_, frame, input, [&](const Json& member, Json*) {
      return for_outputs(*source_, frame, input, [&](const Json& value, Json*) {
        int order = 0;
        if (!frame.state.compare(value, member, order)) return false;
        found = order == 0;
        return !found;
      });
    });
    if (!done && !found) return nullptr;
    scratch = found;
    return &scratch;
  }

 private:
  NodePtr source_;
  NodePtr set_;
};

NodePtr at_index(std::int64_t index) {
  return make_index(make_identity(), make_constant(Json(index)));
}

}  // namespace

std::vector<FilterEntry> selecting_filters() {
  return {
      {"select", 1,
       [](Arguments a) -> NodePtr { return std::make_unique<Select>(std::move(a[0])); }},
      {"map", 1,
       [](Arguments a) {
         return make_array(make_pipe(make_iterate(make_identity()), std::move(a[0])));
       }},
      {"map_values", 1,
       [](Arguments a) {
         return make_assign(Assignment::update, Operator::add, make_iterate(make_identity()),
                            std::move(a[0]));
       }},
      {"empty", 0, make_type<never>},
      {"values", 0, make_type<is_value>},
      {"nulls", 0, make_type<is_null>},
      {"booleans", 0, make_type<is_boolean>},
      {"numbers", 0, make_type<is_numeric>},
      {"strings", 0, make_type<is_string>},
      {"arrays", 0, make_type<is_array>},
      {"objects", 0, make_type<is_object>},
      {"iterables", 0, make_type<is_iterable>},
      {"scalars", 0, make_type<is_scalar>},
      {"first", 0, [](Arguments) { return at_index(0); }},
      {"first", 1, [](Arguments a) -> NodePtr { return std::make_unique<First>(std::move(a[0])); }},
      {"last", 0, [](Arguments) { return at_index(-1); }},
      {"last", 1, [](Arguments a) -> NodePtr { return std::make_unique<Last>(std::move(a[0])); }},
      {"nth", 1, [](Arguments a) { return make_index(make_identity(), std::move(a[0])); }},
      {"nth", 2,
       [](Arguments a) -> NodePtr {
         return std::make_unique<Limit>(std::move(a[0]), std::move(a[1]), true);
       }},
      {"limit", 2,
       [](Arguments a) -> NodePtr {
         return std::make_unique<Limit>(std::move(a[0]), std::move(a[1]), false);
       }},
      {"isempty", 1,
       [](Arguments a) -> NodePtr { return std::make_unique<IsEmpty>(std::move(a[0])); }},
      {"any", 0, make_quantifier<true>},
      {"any", 1, make_quantifier<true>},
      {"any", 2, make_quantifier<true>},
      {"all", 0, make_quantifier<false>},
      {"all", 1, make_quantifier<false>},
      {"all", 2, make_quantifier<false>},
      {"IN", 1,
       [](Arguments a) -> NodePtr {
         return std::make_unique<In>(make_identity(), std::move(a[0]));
       }},
      {"IN", 2, [](Arguments a) -> NodePtr {
         return std::make_unique<In>(std::move(a[0]), std::move(a[1]));
       }}};
}

}  // namespace millrace::expr
