// Reading and changing parts of values: `.[key]`, paths, getpath, setpath, delpaths.
#pragma once

#include <string_view>
#include <type_traits>
#include <vector>

#include "expr/evaluation.hpp"

namespace millrace::expr {

/// `container[key]` as jq reads it: a reference into the container, or `scratch` for what must be
/// built (slices, searches). Null on failure.
const Json* read_key(Evaluation& state, const Json& container, const Json& key, Json& scratch);
/// One member by name.
const Json* read_name(Evaluation& state, const Json& container, std::string_view name);
/// container[from:to]; null bounds are open.
bool read_slice(Evaluation& state, const Json& container, const Json& from, const Json& to,
                Json& out);

/// Calls `change(state, part)` on the part of `root` at `path`, making what is missing.
bool change_at(Evaluation& state, Json& root, const JsonArray& path, std::size_t from,
               bool (*change)(void*, Json&), void* argument);
template <typename F>
bool change_at(Evaluation& state, Json& root, const JsonArray& path, F&& change) {
  return change_at(
      state, root, path, 0,
      [](void* object, Json& part) -> bool {
        return (*static_cast<std::remove_reference_t<F>*>(object))(part);
      },
      &change);
}
/// The part at `path`; null for what is missing.
bool read_path(Evaluation& state, const Json& root, const JsonArray& path, Json& out);
/// Deletes all the paths, the deepest and last first.
bool delete_paths(Evaluation& state, Json& root, std::vector<JsonArray> paths);

}  // namespace millrace::expr
