#include <fmt/format.h>

#include "expr/functions.hpp"
#include "expr/nodes.hpp"

namespace millrace::expr {
namespace {

class Array final : public SingleNode {
 public:
  explicit Array(NodePtr body) : body_(std::move(body)) {}
  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    Evaluation& state = frame.state;
    if (!state.charge(kSlotBytes)) return nullptr;
    JsonArray items;
    if (body_ != nullptr) {
      const bool done = for_outputs(*body_, frame, input, [&](const Json& value, Json* owned) {
        Json item;
        if (!state.charge(kSlotBytes) || !state.take(value, owned, item)) return false;
        items.push_back(std::move(item));
        return true;
      });
      if (!done) return nullptr;
    }
    scratch = std::move(items);
    return &scratch;
  }

 private:
  NodePtr body_;
};

class Object final : public Node {
 public:
  Object(std::vector<ObjectEntry> entries, bool single)
      : Node(single), entries_(std::move(entries)) {}

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    Evaluation& state = frame.state;
    if (!state.charge(kSlotBytes)) return nullptr;
    JsonObject object;
    object.reserve(entries_.size());
    for (const ObjectEntry& entry : entries_) {
      Json key_scratch;
      const Json* key = entry.key->constant();
      if (key == nullptr) key = entry.key->one(frame, input, key_scratch);
      if (key == nullptr || !check_key(state, *key)) return nullptr;
      if (!state.charge(2 * kSlotBytes + view(*key).size())) return nullptr;
      const auto [place, inserted] = object.emplace(view(*key), nullptr);
      if (!inserted) place->value() = nullptr;
      if (!member(frame, input, entry, *key, place->value())) return nullptr;
    }
    scratch = std::move(object);
    return &scratch;
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    if (is_single()) return Node::each(frame, input, sink);
    std::vector<std::pair<const Json*, const Json*>> chosen(entries_.size());
    return choose(frame, input, sink, chosen, 0);
  }

 private:
  using Chosen = std::vector<std::pair<const Json*, const Json*>>;

  static bool check_key(Evaluation& state, const Json& key) {
    if (key.is_string()) return true;
    return state.fail(fmt::format("Object keys must be strings, not {}", describe(key)));
  }
  static bool member(Frame& frame, const Json& input, const ObjectEntry& entry, const Json& key,
                     Json& out) {
    if (entry.value == nullptr) {
      const Json* part = shorthand(frame.state, input, key);
      return part != nullptr && frame.state.copy(*part, out);
    }
    const Json* value = output_of(*entry.value, frame, input, out);
    if (value == nullptr) return false;
    if (value == &out) return true;
    Json copy;
    if (!frame.state.copy(*value, copy)) return false;
    out = std::move(copy);
    return true;
  }
  static const Json* shorthand(Evaluation& state, const Json& input, const Json& key) {
    if (input.is_object() || input.is_null()) {
      const Json* part = find(input, view(key));
      return part != nullptr ? part : &null_value();
    }
    state.fail(fmt::format("Cannot index {} with \"{}\"", type_name(input), view(key)));
    return nullptr;
  }
  // Every combination of keys and values, the last entry varying fastest.
  bool choose(Frame& frame, const Json& input, Sink sink, Chosen& chosen, std::size_t at) const {
    if (at == entries_.size()) return build(frame.state, sink, chosen);
    const ObjectEntry& entry = entries_[at];
    return for_outputs(*entry.key, frame, input, [&](const Json& key, Json*) {
      if (!check_key(frame.state, key)) return false;
      chosen[at].first = &key;
      if (entry.value == nullptr) {
        chosen[at].second = shorthand(frame.state, input, key);
        return chosen[at].second != nullptr && choose(frame, input, sink, chosen, at + 1);
      }
      return for_outputs(*entry.value, frame, input, [&](const Json& value, Json*) {
        chosen[at] = {&key, &value};
        return choose(frame, input, sink, chosen, at + 1);
      });
    });
  }
  static bool build(Evaluation& state, Sink sink, const Chosen& chosen) {
    if (!state.charge(kSlotBytes)) return false;
    JsonObject object;
    object.reserve(chosen.size());
    for (const auto& [key, value] : chosen) {
      Json copy;
      if (!state.charge(2 * kSlotBytes + view(*key).size()) || !state.copy(*value, copy)) {
        return false;
      }
      object.insert_or_assign(view(*key), std::move(copy));
    }
    Json result(std::move(object));
    return sink.give(result);
  }

  std::vector<ObjectEntry> entries_;
};

class Text final : public Node {
 public:
  Text(std::vector<NodePtr> parts, std::vector<bool> literal, FormatFunction format, bool single)
      : Node(single), parts_(std::move(parts)), literal_(std::move(literal)), format_(format) {}

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!is_single()) return Node::one(frame, input, scratch);
    std::string text;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      Json part_scratch;
      const Json* part = output_of(*parts_[i], frame, input, part_scratch);
      if (part == nullptr || !append(frame.state, i, *part, text)) return nullptr;
    }
    if (!frame.state.charge(text.size())) return nullptr;
    scratch = text;
    return &scratch;
  }
  bool each(Frame& frame, const Json& input, Sink sink) const override {
    if (is_single()) return Node::each(frame, input, sink);
    return choose(frame, input, sink, {}, parts_.size());
  }

 private:
  bool append(Evaluation& state, std::size_t i, const Json& value, std::string& out) const {
    if (literal_[i]) {
      out += view(value);
      return true;
    }
    return format_(state, value, out);
  }
  // jq evaluates the last interpolation first, so the first one varies fastest.
  bool choose(Frame& frame, const Json& input, Sink sink, const std::string& tail,
              std::size_t left) const {
    if (left == 0) {
      if (!frame.state.charge(tail.size())) return false;
      Json result(tail);
      return sink.give(result);
    }
    return for_outputs(*parts_[left - 1], frame, input, [&](const Json& value, Json*) {
      std::string text;
      if (!append(frame.state, left - 1, value, text)) return false;
      if (!frame.state.steps(tail.size() / 64)) return false;
      return choose(frame, input, sink, text + tail, left - 1);
    });
  }

  std::vector<NodePtr> parts_;
  std::vector<bool> literal_;
  FormatFunction format_;
};

NodePtr fold_object(const std::vector<ObjectEntry>& entries) {
  JsonObject object;
  for (const ObjectEntry& entry : entries) {
    const Json* key = entry.key->constant();
    const Json* value = entry.value == nullptr ? nullptr : entry.value->constant();
    if (key == nullptr || value == nullptr) return nullptr;
    object.insert_or_assign(view(*key), *value);
  }
  return make_constant(std::move(object));
}

}  // namespace

NodePtr make_array(NodePtr body) {
  return std::make_unique<Array>(std::move(body));
}

NodePtr make_object(std::vector<ObjectEntry> entries) {
  bool single = true;
  for (const ObjectEntry& entry : entries) {
    single =
        single && entry.key->is_single() && (entry.value == nullptr || entry.value->is_single());
  }
  // A table such as { draft: "open", sale: "confirmed" }[.state] is built once.
  if (NodePtr constant = fold_object(entries)) return constant;
  return std::make_unique<Object>(std::move(entries), single);
}

NodePtr make_text(std::vector<NodePtr> parts, std::vector<bool> literal, FormatFunction format) {
  bool single = true;
  for (const NodePtr& part : parts) single = single && part->is_single();
  return std::make_unique<Text>(std::move(parts), std::move(literal), format, single);
}

}  // namespace millrace::expr
