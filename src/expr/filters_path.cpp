#include "expr/access.hpp"
#include "expr/filters.hpp"
#include "expr/nodes.hpp"

namespace millrace::expr {
namespace {

using Arguments = std::vector<NodePtr>;

bool to_keys(Evaluation& state, const PathStep* path, JsonArray& keys) {
  std::size_t length = 0;
  for (const PathStep* at = path; at != nullptr; at = at->parent) ++length;
  if (!state.charge(kSlotBytes * (length + 1)) || !state.steps(length)) return false;
  keys.resize(length);
  for (const PathStep* at = path; at != nullptr; at = at->parent) keys[--length] = *at->key;
  return true;
}

// path(f); with `below_root`, the root's own empty path is left out, as paths does.
class PathsOf final : public Node {
 public:
  PathsOf(NodePtr target, bool below_root)
      : Node(false), target_(std::move(target)), below_root_(below_root) {}
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    return target_->each_path(frame, input, nullptr, [&](const Json&, const PathStep* path) {
      JsonArray keys;
      if (below_root_ && path == nullptr) return true;
      if (!to_keys(frame.state, path, keys)) return false;
      Json result(std::move(keys));
      return sink.give(result);
    });
  }

 private:
  NodePtr target_;
  bool below_root_;
};

class Delete final : public SingleNode {
 public:
  explicit Delete(NodePtr target) : target_(std::move(target)) {}
  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    Json root;
    if (!frame.state.copy(input, root) || !apply(frame, root)) return nullptr;
    scratch = std::move(root);
    return &scratch;
  }
  bool apply(Frame& frame, Json& value) const override {
    std::vector<JsonArray> paths;
    const bool done =
        target_->each_path(frame, value, nullptr, [&](const Json&, const PathStep* path) {
          JsonArray keys;
          if (!to_keys(frame.state, path, keys)) return false;
          paths.push_back(std::move(keys));
          return true;
        });
    return done && delete_paths(frame.state, value, std::move(paths));
  }

 private:
  NodePtr target_;
};

class GetPath final : public Node {
 public:
  explicit GetPath(NodePtr path) : Node(false), path_(std::move(path)) {}
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    return for_outputs(*path_, frame, input, [&](const Json& path, Json*) {
      Json value;
      return check(frame.state, path) && read_path(frame.state, input, path.get_array(), value) &&
             sink.give(value);
    });
  }
  bool each_path(Frame& frame, const Json& input, const PathStep* at,
                 PathSink sink) const override {
    return for_outputs(*path_, frame, input, [&](const Json& path, Json*) {
      Json value;
      if (!check(frame.state, path)) return false;
      if (!read_path(frame.state, input, path.get_array(), value)) return false;
      const JsonArray& keys = path.get_array();
      std::vector<PathStep> steps(keys.size());
      const PathStep* last = at;
      for (std::size_t i = 0; i < keys.size(); ++i) {
        steps[i] = {last, &keys[i]};
        last = &steps[i];
      }
      return sink(value, last);
    });
  }

 private:
  static bool check(Evaluation& state, const Json& path) {
    return path.is_array() || state.fail("Path must be specified as an array");
  }
  NodePtr path_;
};

// pick(paths): the input reduced to these paths.
class Pick final : public SingleNode {
 public:
  explicit Pick(NodePtr target) : target_(std::move(target)) {}
  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    Evaluation& state = frame.state;
    Json picked;
    const bool done =
        target_->each_path(frame, input, nullptr, [&](const Json& value, const PathStep* path) {
          JsonArray keys;
          return to_keys(state, path, keys) && change_at(state, picked, keys, [&](Json& part) {
                   return state.copy(value, part);
                 });
        });
    if (!done) return nullptr;
    scratch = std::move(picked);
    return &scratch;
  }

 private:
  NodePtr target_;
};

}  // namespace

std::vector<FilterEntry> path_filters() {
  return {
      {"path", 1,
       [](Arguments a) -> NodePtr { return std::make_unique<PathsOf>(std::move(a[0]), false); }},
      {"paths", 0,
       [](Arguments) -> NodePtr { return std::make_unique<PathsOf>(make_recurse_all(), true); }},
      {"paths", 1,
       [](Arguments a) -> NodePtr {
         const FilterEntry* select = find_filter_function("select", 1);
         return std::make_unique<PathsOf>(make_pipe(make_recurse_all(), select->make(std::move(a))),
                                          true);
       }},
      {"del", 1, [](Arguments a) -> NodePtr { return std::make_unique<Delete>(std::move(a[0])); }},
      {"getpath", 1,
       [](Arguments a) -> NodePtr { return std::make_unique<GetPath>(std::move(a[0])); }},
      {"pick", 1, [](Arguments a) -> NodePtr { return std::make_unique<Pick>(std::move(a[0])); }}};
}

const std::vector<FilterEntry>& filter_functions() {
  static const std::vector<FilterEntry> all = [] {
    std::vector<FilterEntry> entries;
    for (const auto& part :
         {selecting_filters(), looping_filters(), ordering_filters(), path_filters()}) {
      entries.insert(entries.end(), part.begin(), part.end());
    }
    return entries;
  }();
  return all;
}

const FilterEntry* find_filter_function(std::string_view name, std::size_t arity) {
  for (const FilterEntry& entry : filter_functions()) {
    if (entry.name == name && entry.arity == arity) return &entry;
  }
  return nullptr;
}

}  // namespace millrace::expr
