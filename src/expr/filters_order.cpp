#include <fmt/format.h>

#include "expr/filters.hpp"
#include "expr/functions.hpp"
#include "expr/merge_sort.hpp"
#include "expr/nodes.hpp"

namespace millrace::expr {
namespace {

using Arguments = std::vector<NodePtr>;

enum class Ordering { sort, group, unique, minimum, maximum };

struct Keyed {
  Json key;
  const Json* item = nullptr;
};

// sort_by, group_by, unique_by, min_by, max_by and their forms without a filter.
class Order final : public SingleNode {
 public:
  Order(Ordering kind, NodePtr key) : kind_(kind), key_(std::move(key)) {}

  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    if (!input.is_array()) {
      frame.state.fail(fmt::format("{} cannot be {}, as it is not an array", describe(input),
                                   kind_ == Ordering::group    ? "grouped"
                                   : kind_ == Ordering::sort   ? "sorted"
                                   : kind_ == Ordering::unique ? "grouped"
                                                               : "searched"));
      return nullptr;
    }
    std::vector<Keyed> items;
    if (!collect(frame, input.get_array(), items)) return nullptr;
    Json result;
    const bool extreme = kind_ == Ordering::minimum || kind_ == Ordering::maximum;
    if (!(extreme ? pick(frame.state, items, result) : arrange(frame.state, items, result))) {
      return nullptr;
    }
    scratch = std::move(result);
    return &scratch;
  }

 private:
  // The key of an item is the array of the filter's outputs; a single one needs no array.
  bool collect(Frame& frame, const JsonArray& array, std::vector<Keyed>& items) const {
    Evaluation& state = frame.state;
    items.reserve(array.size());
    for (const Json& item : array) {
      Keyed keyed{nullptr, &item};
      if (!state.step()) return false;
      if (key_->is_single()) {
        Json key_scratch;
        const Json* key = output_of(*key_, frame, item, key_scratch);
        if (key == nullptr) return false;
        if (!state.take(*key, key == &key_scratch ? &key_scratch : nullptr, keyed.key))
          return false;
      } else {
        JsonArray keys;
        const bool done = for_outputs(*key_, frame, item, [&](const Json& key, Json* owned) {
          Json copy;
          if (!state.charge(kSlotBytes) || !state.take(key, owned, copy)) return false;
          keys.push_back(std::move(copy));
          return true;
        });
        if (!done) return false;
        keyed.key = std::move(keys);
      }
      items.push_back(std::move(keyed));
    }
    return true;
  }
  static int compare(Evaluation& state, const Json& left, const Json& right) {
    int order = 0;
    if (state.failed() || !state.step()) return 0;
    state.compare(left, right, order);
    return order;
  }
  bool pick(Evaluation& state, const std::vector<Keyed>& items, Json& out) const {
    const Keyed* best = nullptr;
    for (const Keyed& item : items) {
      if (best == nullptr) {
        best = &item;
        continue;
      }
      const int order = compare(state, item.key, best->key);
      if (kind_ == Ordering::minimum ? order < 0 : order >= 0) best = &item;
    }
    return !state.failed() && (best == nullptr || state.copy(*best->item, out));
  }
  bool arrange(Evaluation& state, std::vector<Keyed>& items, Json& out) const {
    merge_sort(items, [&](const Keyed& left, const Keyed& right) {
      return compare(state, left.key, right.key) < 0;
    });
    JsonArray result;
    const Json* previous = nullptr;
    for (const Keyed& item : items) {
      const bool same = kind_ != Ordering::sort && previous != nullptr &&
                        compare(state, *previous, item.key) == 0;
      if (state.failed()) return false;
      previous = &item.key;
      if (same && kind_ == Ordering::unique) continue;
      Json copy;
      if (!state.charge(kSlotBytes) || !state.copy(*item.item, copy)) return false;
      if (kind_ != Ordering::group) {
        result.push_back(std::move(copy));
      } else if (same) {
        result.back().get_array().push_back(std::move(copy));
      } else {
        if (!state.charge(kSlotBytes)) return false;
        JsonArray group;
        group.push_back(std::move(copy));
        result.push_back(std::move(group));
      }
    }
    if (state.failed()) return false;
    out = std::move(result);
    return true;
  }
  Ordering kind_;
  NodePtr key_;
};

template <Ordering Kind>
NodePtr make_order(Arguments arguments) {
  NodePtr key = arguments.empty() ? make_identity() : std::move(arguments[0]);
  return std::make_unique<Order>(Kind, std::move(key));
}

NodePtr call_value(std::string_view name) {
  return make_value_call(*find_value_function(name, 0), {});
}

// INDEX(stream; key): an object of the stream's values by key, as text.
class IndexBy final : public SingleNode {
 public:
  IndexBy(NodePtr source, NodePtr key) : source_(std::move(source)), key_(std::move(key)) {}
  const Json* one(Frame& frame, const Json& input, Json& scratch) const override {
    Evaluation& state = frame.state;
    JsonObject rows;
    const bool done = for_outputs(*source_, frame, input, [&](const Json& row, Json*) {
      return for_outputs(*key_, frame, row, [&](const Json& key, Json*) {
        std::string name;
        Json copy;
        if (!append_text(state, key, name) || !state.copy(row, copy)) return false;
        if (!state.charge(2 * kSlotBytes + name.size())) return false;
        rows.insert_or_assign(name, std::move(copy));
        return true;
      });
    });
    if (!done) return nullptr;
    scratch = std::move(rows);
    return &scratch;
  }

 private:
  NodePtr source_;
  NodePtr key_;
};

}  // namespace

std::vector<FilterEntry> ordering_filters() {
  return {{"sort", 0, make_order<Ordering::sort>},
          {"sort_by", 1, make_order<Ordering::sort>},
          {"group_by", 1, make_order<Ordering::group>},
          {"unique", 0, make_order<Ordering::unique>},
          {"unique_by", 1, make_order<Ordering::unique>},
          {"min", 0, make_order<Ordering::minimum>},
          {"min_by", 1, make_order<Ordering::minimum>},
          {"max", 0, make_order<Ordering::maximum>},
          {"max_by", 1, make_order<Ordering::maximum>},
          {"with_entries", 1,
           [](Arguments a) {
             NodePtr mapped = make_array(make_pipe(make_iterate(make_identity()), std::move(a[0])));
             return make_pipe(call_value("to_entries"),
                              make_pipe(std::move(mapped), call_value("from_entries")));
           }},
          {"INDEX", 1,
           [](Arguments a) -> NodePtr {
             return std::make_unique<IndexBy>(make_iterate(make_identity()), std::move(a[0]));
           }},
          {"INDEX", 2, [](Arguments a) -> NodePtr {
             return std::make_unique<IndexBy>(std::move(a[0]), std::move(a[1]));
           }}};
}

}  // namespace millrace::expr
