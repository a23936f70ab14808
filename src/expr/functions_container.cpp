#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "expr/access.hpp"
#include "expr/arithmetic.hpp"
#include "expr/functions.hpp"
#include "expr/unicode.hpp"

namespace millrace::expr {
namespace {

bool length(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (input.is_bool()) return state.fail(fmt::format("{} has no length", describe(input)));
  if (input.is_double()) {
    out = std::abs(input.get_double());
    return true;
  }
  if (is_number(input)) {
    if (input.is_int64() && input.get_int64() < 0) {
      out = static_cast<std::uint64_t>(0) - static_cast<std::uint64_t>(input.get_int64());
      if (out.get_uint64() <= static_cast<std::uint64_t>(INT64_MAX)) {
        out = static_cast<std::int64_t>(out.get_uint64());
      }
    } else {
      out = input;
    }
    return true;
  }
  std::size_t size = 0;
  if (input.is_string()) {
    if (!state.steps(view(input).size() / 64)) return false;
    size = count_characters(view(input));
  } else if (input.is_array()) {
    size = input.get_array().size();
  } else if (input.is_object()) {
    size = input.get_object().size();
  }
  out = static_cast<std::int64_t>(size);
  return true;
}

bool negation(Evaluation&, const Json& input, const Json* const*, Json& out) {
  out = !is_true(input);
  return true;
}

bool type(Evaluation&, const Json& input, const Json* const*, Json& out) {
  out = type_name(input);
  return true;
}

template <bool Sorted>
bool keys(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  JsonArray names;
  if (const auto* array = input.if_array()) {
    if (!state.charge(kSlotBytes * array->size()) || !state.steps(array->size())) return false;
    for (std::size_t i = 0; i < array->size(); ++i)
      names.emplace_back(static_cast<std::int64_t>(i));
  } else if (const auto* object = input.if_object()) {
    std::vector<std::string_view> texts;
    for (const auto& member : *object) {
      if (!state.step() || !state.charge(kSlotBytes + member.key().size())) return false;
      texts.push_back(member.key());
    }
    if (Sorted) std::ranges::sort(texts);
    for (const std::string_view text : texts) names.emplace_back(text);
  } else {
    return state.fail(fmt::format("{} has no keys", describe(input)));
  }
  out = std::move(names);
  return true;
}

bool has(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  const Json& key = *arguments[0];
  if (input.is_object() && key.is_string()) {
    out = input.get_object().contains(view(key));
    return true;
  }
  if (input.is_array() && is_number(key)) {
    const double index = to_double(key);
    out = index >= 0 && index < static_cast<double>(input.get_array().size());
    return true;
  }
  return state.fail(
      fmt::format("Cannot check whether {} has a {} key", type_name(input), type_name(key)));
}

bool contains_value(Evaluation& state, const Json& whole, const Json& part, bool& result) {
  if (!state.step()) return false;
  if (whole.is_object() && part.is_object()) {
    result = true;
    for (const auto& member : part.get_object()) {
      const Json* found = whole.get_object().if_contains(member.key());
      result = found != nullptr;
      if (result && !contains_value(state, *found, member.value(), result)) return false;
      if (!result) return true;
    }
    return true;
  }
  if (whole.is_array() && part.is_array()) {
    result = true;
    for (const Json& wanted : part.get_array()) {
      result = false;
      for (const Json& item : whole.get_array()) {
        if (!contains_value(state, item, wanted, result)) return false;
        if (result) break;
      }
      if (!result) return true;
    }
    return true;
  }
  if (whole.is_string() && part.is_string()) {
    result = view(whole).find(view(part)) != std::string_view::npos;
    return state.steps(view(whole).size() / 64);
  }
  int order = 0;
  if (!state.compare(whole, part, order)) return false;
  result = order == 0;
  return true;
}

bool contains(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  const Json& part = *arguments[0];
  if (type_name(input) != type_name(part)) {
    return state.fail(fmt::format("{} and {} cannot have their containment checked",
                                  describe(input), describe(part)));
  }
  bool result = false;
  if (!contains_value(state, input, part, result)) return false;
  out = result;
  return true;
}

bool inside(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  const Json* part = &input;
  return contains(state, *arguments[0], &part, out);
}

bool in(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  const Json* key = &input;
  return has(state, *arguments[0], &key, out);
}

bool add(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  Json sum;
  const auto add_one = [&](const Json& item) {
    return state.step() && add_to(state, sum, item, nullptr);
  };
  if (const auto* array = input.if_array()) {
    if (!std::ranges::all_of(*array, add_one)) return false;
  } else if (const auto* object = input.if_object()) {
    for (const auto& member : *object) {
      if (!add_one(member.value())) return false;
    }
  } else {
    return state.fail(fmt::format("Cannot iterate over {}", describe(input)));
  }
  out = std::move(sum);
  return true;
}

bool to_entries(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (!input.is_object()) return state.fail(fmt::format("{} has no keys", describe(input)));
  JsonArray entries;
  for (const auto& member : input.get_object()) {
    Json value;
    if (!state.step() || !state.charge(6 * kSlotBytes + member.key().size())) return false;
    if (!state.copy(member.value(), value)) return false;
    JsonObject entry;
    entry.emplace("key", member.key());
    entry.emplace("value", std::move(value));
    entries.push_back(std::move(entry));
  }
  out = std::move(entries);
  return true;
}

const Json* first_member(const JsonObject& object, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const Json* found = object.if_contains(name);
    if (found != nullptr && !found->is_null()) return found;
  }
  return nullptr;
}

bool from_entries(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (!input.is_array() && !input.is_object()) {
    return state.fail(fmt::format("Cannot iterate over {}", describe(input)));
  }
  std::vector<Json> items;
  if (!collect_values(state, input, items)) return false;
  JsonObject result;
  for (const Json& item : items) {
    if (!item.is_object()) {
      return state.fail(fmt::format("Cannot index {} with \"key\"", type_name(item)));
    }
    const JsonObject& entry = item.get_object();
    const Json* key = first_member(entry, {"key", "k", "name", "Name", "Key", "K"});
    if (key == nullptr) return state.fail("Cannot use null (null) as object key");
    if (key->is_structured()) {
      return state.fail(fmt::format("Cannot use {} as object key", describe(*key)));
    }
    const std::string name = key->is_string() ? std::string(view(*key)) : write_json(*key);
    const Json* value = entry.if_contains("value");
    if (value == nullptr) value = first_member(entry, {"v", "Value", "V"});
    Json copy;
    if (value != nullptr && !state.copy(*value, copy)) return false;
    if (!state.charge(2 * kSlotBytes + name.size())) return false;
    result.insert_or_assign(name, std::move(copy));
  }
  out = std::move(result);
  return true;
}

bool reverse(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (input.is_null()) {
    out = JsonArray();
    return true;
  }
  if (input.is_string()) {
    std::string text;
    const std::string_view source = view(input);
    std::size_t end = source.size();
    while (end > 0) {
      std::size_t start = end - 1;
      while (start > 0 && (static_cast<unsigned char>(source[start]) & 0xC0) == 0x80) --start;
      text += source.substr(start, end - start);
      end = start;
    }
    if (!state.charge(text.size())) return false;
    out = text;
    return true;
  }
  if (!input.is_array()) {
    return state.fail(fmt::format("Cannot index {} with number", type_name(input)));
  }
  Json copy;
  if (!state.copy(input, copy)) return false;
  std::ranges::reverse(copy.get_array());
  out = std::move(copy);
  return true;
}

bool flatten_into(Evaluation& state, const Json& item, double depth, JsonArray& out) {
  if (!state.step()) return false;
  if (item.is_array() && depth >= 0) {
    return std::ranges::all_of(item.get_array(), [&](const Json& inner) {
      return flatten_into(state, inner, depth - 1, out);
    });
  }
  Json copy;
  if (!state.charge(kSlotBytes) || !state.copy(item, copy)) return false;
  out.push_back(std::move(copy));
  return true;
}

bool flatten_by(Evaluation& state, const Json& input, double depth, Json& out) {
  std::vector<Json> items;
  if (!collect_values(state, input, items)) return false;
  JsonArray flat;
  for (const Json& item : items) {
    if (!flatten_into(state, item, depth - 1, flat)) return false;
  }
  out = std::move(flat);
  return true;
}

bool flatten_all(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  return flatten_by(state, input, 1e9, out);
}

bool flatten(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  if (!is_number(*arguments[0])) {
    return state.fail(
        fmt::format("flatten depth must be a number, not {}", describe(*arguments[0])));
  }
  const double depth = to_double(*arguments[0]);
  if (depth < 0) return state.fail("flatten depth must not be negative");
  return flatten_by(state, input, depth, out);
}

bool indices_of(Evaluation& state, const Json& input, const Json& wanted, Json& out) {
  if (input.is_null()) {
    out = nullptr;
    return true;
  }
  if (input.is_string() && wanted.is_string()) {
    JsonArray found;
    const std::string_view text = view(input);
    const std::string_view part = view(wanted);
    if (part.empty()) {
      out = JsonArray();
      return true;
    }
    std::size_t characters = 0;
    std::size_t counted = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) {
      characters += count_characters(text.substr(counted, at - counted));
      counted = at;
      if (!state.step() || !state.charge(kSlotBytes)) return false;
      found.emplace_back(static_cast<std::int64_t>(characters));
    }
    out = std::move(found);
    return state.steps(text.size() / 64);
  }
  const JsonArray one = wanted.is_array() ? JsonArray() : JsonArray{wanted};
  const Json wrapped(one);
  const bool wrap = input.is_array() && !wanted.is_array();
  Json scratch;
  const Json* found = read_key(state, input, wrap ? wrapped : wanted, scratch);
  if (found == nullptr) return false;
  return state.take(*found, found == &scratch ? &scratch : nullptr, out);
}

bool indices(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  return indices_of(state, input, *arguments[0], out);
}

template <bool Last>
bool index(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  Json found;
  if (!indices_of(state, input, *arguments[0], found)) return false;
  out = nullptr;
  if (found.is_array() && !found.get_array().empty()) {
    out = Last ? found.get_array().back() : found.get_array().front();
  }
  return true;
}

bool transpose(Evaluation& state, const Json& input, const Json* const*, Json& out) {
  if (!input.is_array()) {
    return state.fail(fmt::format("Cannot iterate over {}", describe(input)));
  }
  std::size_t columns = 0;
  for (const Json& row : input.get_array()) {
    if (!row.is_array()) {
      return state.fail(fmt::format("Cannot index {} with number", type_name(row)));
    }
    columns = std::max(columns, row.get_array().size());
  }
  JsonArray result;
  for (std::size_t column = 0; column < columns; ++column) {
    JsonArray turned;
    for (const Json& row : input.get_array()) {
      Json cell;
      if (!state.step() || !state.charge(kSlotBytes)) return false;
      if (column < row.get_array().size() && !state.copy(row.get_array()[column], cell)) {
        return false;
      }
      turned.push_back(std::move(cell));
    }
    result.push_back(std::move(turned));
  }
  out = std::move(result);
  return true;
}

bool error_with(Evaluation& state, const Json&, const Json* const* arguments, Json&) {
  Json value;
  return state.copy(*arguments[0], value) && state.fail_with(std::move(value));
}
bool error_of_input(Evaluation& state, const Json& input, const Json* const*, Json&) {
  Json value;
  return state.copy(input, value) && state.fail_with(std::move(value));
}

bool set_path(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  if (!arguments[0]->is_array()) return state.fail("Path must be specified as an array");
  Json root;
  if (!state.copy(input, root)) return false;
  const bool done = change_at(state, root, arguments[0]->get_array(),
                              [&](Json& part) { return state.copy(*arguments[1], part); });
  if (done) out = std::move(root);
  return done;
}

bool delete_all(Evaluation& state, const Json& input, const Json* const* arguments, Json& out) {
  if (!arguments[0]->is_array()) return state.fail("Paths must be specified as an array");
  std::vector<JsonArray> paths;
  for (const Json& path : arguments[0]->get_array()) {
    if (!path.is_array()) return state.fail("Path must be specified as an array");
    Json copy;
    if (!state.copy(path, copy)) return false;
    paths.push_back(std::move(copy.get_array()));
  }
  Json root;
  if (!state.copy(input, root) || !delete_paths(state, root, std::move(paths))) return false;
  out = std::move(root);
  return true;
}

}  // namespace

bool collect_values(Evaluation& state, const Json& input, std::vector<Json>& values) {
  const auto collect = [&](const Json& item) {
    Json copy;
    if (!state.step() || !state.charge(kSlotBytes) || !state.copy(item, copy)) return false;
    values.push_back(std::move(copy));
    return true;
  };
  if (const auto* array = input.if_array()) return std::ranges::all_of(*array, collect);
  if (const auto* object = input.if_object()) {
    return std::ranges::all_of(*object,
                               [&](const auto& member) { return collect(member.value()); });
  }
  return state.fail(fmt::format("Cannot iterate over {}", describe(input)));
}

std::vector<FunctionEntry> container_functions() {
  return {{"length", 0, length},
          {"not", 0, negation},
          {"type", 0, type},
          {"keys", 0, keys<true>},
          {"keys_unsorted", 0, keys<false>},
          {"has", 1, has},
          {"in", 1, in},
          {"contains", 1, contains},
          {"inside", 1, inside},
          {"add", 0, add},
          {"to_entries", 0, to_entries},
          {"from_entries", 0, from_entries},
          {"reverse", 0, reverse},
          {"flatten", 0, flatten_all},
          {"flatten", 1, flatten},
          {"indices", 1, indices},
          {"index", 1, index<false>},
          {"rindex", 1, index<true>},
          {"transpose", 0, transpose},
          {"error", 0, error_of_input},
          {"error", 1, error_with},
          {"setpath", 2, set_path},
          {"delpaths", 1, delete_all}};
}

}  // namespace millrace::expr
