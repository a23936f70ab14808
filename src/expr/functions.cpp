#include "expr/functions.hpp"

#include <algorithm>
#include <array>

#include "expr/merge_sort.hpp"

namespace millrace::expr {
namespace {

constexpr std::size_t kArgumentsMax = 3;

class ValueCall final : public Node {
 public:
  ValueCall(ValueFunction run, std::vector<NodePtr> arguments, bool single)
      : Node(single), run_(run), arguments_(std::move(arguments)) {}

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    std::array<Json, kArgumentsMax> scratches;
    std::array<const Json*, kArgumentsMax> values{};
    for (std::size_t i = arguments_.size(); i-- > 0;) {
      values[i] = output_of(*arguments_[i], frame, input, scratches[i]);
      if (values[i] == nullptr) return nullptr;
    }
    Json result;
    if (!run_(frame.state, input, values.data(), result)) return nullptr;
    scratch = std::move(result);
    return &scratch;
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    if (is_single()) return Node::each(frame, input, sink);
    std::array<const Json*, kArgumentsMax> values{};
    return choose(frame, input, sink, values, arguments_.size());
  }

 private:
  // The last argument is the outer loop, as in jq.
  bool choose(Frame& frame, const Json& input, Sink sink,
              std::array<const Json*, kArgumentsMax>& values, std::size_t left) const {
    if (left == 0) {
      Json result;
      return run_(frame.state, input, values.data(), result) && sink.give(result);
    }
    return for_outputs(*arguments_[left - 1], frame, input, [&](const Json& value, Json*) {
      values[left - 1] = &value;
      return choose(frame, input, sink, values, left - 1);
    });
  }
  ValueFunction run_;
  std::vector<NodePtr> arguments_;
};

class Format final : public SingleNode {
 public:
  explicit Format(FormatFunction format) : format_(format) {}
  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    std::string text;
    if (!format_(frame.state, input, text) || !frame.state.charge(text.size())) return nullptr;
    scratch = text;
    return &scratch;
  }

 private:
  FormatFunction format_;
};

std::vector<FunctionEntry> all_functions() {
  std::vector<FunctionEntry> all;
  for (auto part : {text_functions(), number_functions(), container_functions(), date_functions(),
                    host_functions()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  std::ranges::sort(all, {}, &FunctionEntry::name);
  return all;
}

}  // namespace

const std::vector<FunctionEntry>& value_functions() {
  static const std::vector<FunctionEntry> all = all_functions();
  return all;
}

const FunctionEntry* find_value_function(std::string_view name, std::size_t arity) {
  for (const FunctionEntry& entry : value_functions()) {
    if (entry.name == name && entry.arity == arity) return &entry;
  }
  return nullptr;
}

NodePtr make_value_call(const FunctionEntry& entry, std::vector<NodePtr> arguments) {
  bool single = true;
  for (const NodePtr& argument : arguments) single = single && argument->is_single();
  return std::make_unique<ValueCall>(entry.run, std::move(arguments), single);
}

NodePtr make_format(FormatFunction format) {
  return std::make_unique<Format>(format);
}

bool sort_values(Evaluation& state, std::vector<Json>& values) {
  merge_sort(values, [&](const Json& left, const Json& right) {
    int order = 0;
    return !state.failed() && state.step() && state.compare(left, right, order) && order < 0;
  });
  return !state.failed();
}

}  // namespace millrace::expr
