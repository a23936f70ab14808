#include "expr/access.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "expr/functions.hpp"
#include "expr/unicode.hpp"

namespace millrace::expr {
namespace {

bool is_slice(const Json& key) {
  return key.is_object() && find(key, "start") != nullptr && find(key, "end") != nullptr;
}

std::string cannot_index(const Json& container, const Json& key) {
  if (key.is_string()) {
    return fmt::format("Cannot index {} with \"{}\"", type_name(container), view(key));
  }
  return fmt::format("Cannot index {} with {}", type_name(container), type_name(key));
}

struct Range {
  std::size_t from = 0;
  std::size_t to = 0;
};

// jq floors the start, raises the end, counts negative bounds from the back and clamps both.
bool slice_range(Evaluation& state, std::size_t size, const Json& from, const Json& to,
                 Range& range) {
  if ((!from.is_null() && !is_number(from)) || (!to.is_null() && !is_number(to))) {
    return state.fail("Start and end indices of an array slice must be numbers");
  }
  const auto length = static_cast<double>(size);
  double start = from.is_null() ? 0 : to_double(from);
  double end = to.is_null() ? length : to_double(to);
  if (start < 0) start += length;
  if (end < 0) end += length;
  start = std::clamp(std::floor(start), 0.0, length);
  end = std::clamp(std::ceil(end), start, length);
  range = {static_cast<std::size_t>(start), static_cast<std::size_t>(end)};
  return true;
}

// Where an array holds another as a run; what `array[array]` and indices answer.
bool find_runs(Evaluation& state, const JsonArray& array, const JsonArray& wanted, Json& out) {
  JsonArray found;
  if (!wanted.empty()) {
    for (std::size_t i = 0; i + wanted.size() <= array.size(); ++i) {
      bool equal = true;
      for (std::size_t j = 0; equal && j < wanted.size(); ++j) {
        int order = 0;
        if (!state.step() || !state.compare(array[i + j], wanted[j], order)) return false;
        equal = order == 0;
      }
      if (!equal) continue;
      if (!state.charge(kSlotBytes)) return false;
      found.emplace_back(static_cast<std::int64_t>(i));
    }
    out = std::move(found);
  } else {
    out = nullptr;
  }
  return true;
}

}  // namespace

const Json* read_name(Evaluation& state, const Json& container, std::string_view name) {
  if (const auto* object = container.if_object()) {
    const Json* found = object->if_contains(name);
    return found != nullptr ? found : &null_value();
  }
  if (container.is_null()) return &null_value();
  state.fail(fmt::format("Cannot index {} with \"{}\"", type_name(container), name));
  return nullptr;
}

bool read_slice(Evaluation& state, const Json& container, const Json& from, const Json& to,
                Json& out) {
  out = nullptr;
  Range range;
  if (container.is_null()) return slice_range(state, 0, from, to, range);
  if (const auto* array = container.if_array()) {
    if (!slice_range(state, array->size(), from, to, range)) return false;
    JsonArray part;
    part.reserve(range.to - range.from);
    for (std::size_t i = range.from; i < range.to; ++i) {
      Json item;
      if (!state.charge(kSlotBytes) || !state.copy((*array)[i], item)) return false;
      part.push_back(std::move(item));
    }
    out = std::move(part);
    return true;
  }
  if (container.is_string()) {
    const std::string_view text = view(container);
    if (!state.steps(text.size() / 64)) return false;
    if (!slice_range(state, count_characters(text), from, to, range)) return false;
    const std::size_t start = byte_offset(text, range.from);
    const std::string_view rest = text.substr(start);
    const std::string_view part = rest.substr(0, byte_offset(rest, range.to - range.from));
    if (!state.charge(part.size())) return false;
    out = part;
    return true;
  }
  return state.fail(fmt::format("Cannot index {} with object", type_name(container)));
}

const Json* read_key(Evaluation& state, const Json& container, const Json& key, Json& scratch) {
  if (key.is_string()) return read_name(state, container, view(key));
  if (is_number(key)) {
    if (container.is_null()) return &null_value();
    if (const auto* array = container.if_array()) {
      const double place = std::trunc(to_double(key));
      const double index = place < 0 ? place + static_cast<double>(array->size()) : place;
      if (index < 0 || index >= static_cast<double>(array->size())) return &null_value();
      return &(*array)[static_cast<std::size_t>(index)];
    }
  } else if (is_slice(key)) {
    const bool read = read_slice(state, container, *find(key, "start"), *find(key, "end"), scratch);
    return read ? &scratch : nullptr;
  } else if (key.is_array() && container.is_array()) {
    return find_runs(state, container.get_array(), key.get_array(), scratch) ? &scratch : nullptr;
  } else if (key.is_object() && container.is_null()) {
    return &null_value();
  }
  state.fail(cannot_index(container, key));
  return nullptr;
}

bool change_at(Evaluation& state, Json& root, const JsonArray& path, std::size_t from,
               bool (*change)(void*, Json&), void* argument) {
  if (from == path.size()) return change(argument, root);
  if (!state.step()) return false;
  if (from >= kValueDepthMax) {
    return state.fail(Error(Errc::budget_exceeded, "the path is too long"));
  }
  const Json& key = path[from];
  if (key.is_string() && (root.is_object() || root.is_null())) {
    if (root.is_null()) root = JsonObject();
    JsonObject& object = root.get_object();
    Json* member = object.if_contains(view(key));
    if (member == nullptr) {
      if (!state.charge(2 * kSlotBytes + view(key).size())) return false;
      member = &object.emplace(view(key), nullptr).first->value();
    }
    return change_at(state, *member, path, from + 1, change, argument);
  }
  if (is_number(key) && (root.is_array() || root.is_null())) {
    if (root.is_null()) root = JsonArray();
    JsonArray& array = root.get_array();
    const std::int64_t place = to_integer(key);
    const std::int64_t index = place < 0 ? place + static_cast<std::int64_t>(array.size()) : place;
    if (index < 0) return state.fail("Out of bounds negative array index");
    const auto wanted = static_cast<std::size_t>(index);
    if (wanted >= array.size()) {
      if (wanted > (std::size_t{1} << 29)) return state.fail("Array index too large");
      if (!state.charge(kSlotBytes * (wanted + 1 - array.size()))) return false;
      array.resize(wanted + 1);
    }
    return change_at(state, array[wanted], path, from + 1, change, argument);
  }
  if (is_slice(key) && (root.is_array() || root.is_null())) {
    Json part;
    if (!read_slice(state, root, *find(key, "start"), *find(key, "end"), part)) return false;
    if (!change_at(state, part, path, from + 1, change, argument)) return false;
    if (!part.is_array()) {
      return state.fail("A slice of an array can only be assigned another array");
    }
    if (root.is_null()) root = JsonArray();
    JsonArray& array = root.get_array();
    Range range;
    if (!slice_range(state, array.size(), *find(key, "start"), *find(key, "end"), range)) {
      return false;
    }
    array.erase(array.begin() + range.from, array.begin() + range.to);
    JsonArray& items = part.get_array();
    array.insert(array.begin() + range.from, std::make_move_iterator(items.begin()),
                 std::make_move_iterator(items.end()));
    return true;
  }
  return state.fail(cannot_index(root, key));
}

bool read_path(Evaluation& state, const Json& root, const JsonArray& path, Json& out) {
  const Json* value = &root;
  Json scratch;
  for (const Json& key : path) {
    if (value->is_null()) {
      out = nullptr;
      return true;
    }
    Json next;
    const Json* found = read_key(state, *value, key, next);
    if (found == nullptr) return false;
    if (found == &next) {
      scratch = std::move(next);
      found = &scratch;
    }
    value = found;
  }
  return state.copy(*value, out);
}

namespace {

bool delete_key(Evaluation& state, Json& container, const Json& key) {
  if (container.is_null()) return true;
  if (key.is_string() && container.is_object()) {
    JsonObject& object = container.get_object();
    if (const auto found = object.find(view(key)); found != object.end()) {
      if (!state.steps(object.size())) return false;
      object.stable_erase(found);
    }
    return true;
  }
  if (is_number(key) && container.is_array()) {
    JsonArray& array = container.get_array();
    std::int64_t index = to_integer(key);
    if (index < 0) index += static_cast<std::int64_t>(array.size());
    if (index >= 0 && index < static_cast<std::int64_t>(array.size())) {
      array.erase(array.begin() + index);
    }
    return true;
  }
  if (is_slice(key) && container.is_array()) {
    JsonArray& array = container.get_array();
    Range range;
    if (!slice_range(state, array.size(), *find(key, "start"), *find(key, "end"), range)) {
      return false;
    }
    array.erase(array.begin() + range.from, array.begin() + range.to);
    return true;
  }
  if (key.is_string()) {
    return state.fail(fmt::format("Cannot delete field at {} index of {}",
                                  container.is_array() ? "object" : "string",
                                  type_name(container)));
  }
  return state.fail(fmt::format("Cannot delete field at {} index of {}",
                                container.is_object() ? "array" : type_name(key),
                                type_name(container)));
}

bool delete_path(Evaluation& state, Json& container, const JsonArray& path, std::size_t from) {
  if (!state.step()) return false;
  if (container.is_null()) return true;
  if (from + 1 == path.size()) return delete_key(state, container, path[from]);
  const Json& key = path[from];
  Json scratch;
  const Json* part = read_key(state, container, key, scratch);
  if (part == nullptr) return false;
  if (part->is_null()) return true;
  if (part != &scratch) return delete_path(state, const_cast<Json&>(*part), path, from + 1);
  // Inside a slice: change the copy and put it back.
  if (!delete_path(state, scratch, path, from + 1)) return false;
  JsonArray head(path.begin() + from, path.begin() + from + 1);
  return change_at(state, container, head, [&](Json& old) {
    old = std::move(scratch);
    return true;
  });
}

}  // namespace

bool delete_paths(Evaluation& state, Json& root, std::vector<JsonArray> paths) {
  std::vector<Json> sorted;
  sorted.reserve(paths.size());
  for (JsonArray& path : paths) sorted.emplace_back(std::move(path));
  if (!sort_values(state, sorted)) return false;
  for (auto path = sorted.rbegin(); path != sorted.rend(); ++path) {
    if (path->get_array().empty()) {
      root = nullptr;
      return true;
    }
    if (path->get_array().size() > kValueDepthMax) {
      return state.fail(Error(Errc::budget_exceeded, "the path is too long"));
    }
    if (!delete_path(state, root, path->get_array(), 0)) return false;
  }
  return true;
}

}  // namespace millrace::expr
