// How the values of a Spec are read, shown and described, type by type. Connectors include
// millrace/spec.hpp; this is its lower half.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "millrace/json.hpp"

namespace millrace {

class AnySpec;

namespace config {
struct Node;       ///< a parsed value with its place (src/config/node.hpp)
class SpecReader;  ///< collects problems, resolves ${...} (src/config/spec_reader.hpp)
}  // namespace config

/// How a number is written.
enum class SpecUnit : std::uint8_t { none, bytes, percent };

/// One declared key. `read` and `show` take a pointer to the struct that holds the member.
struct SpecOption {
  std::string key;
  std::string doc;
  std::string type;  ///< for people: "duration", "list of strings"
  std::string example;
  std::string deprecated;  ///< what to write instead; empty: not deprecated
  bool required = false;
  bool secret = false;
  SpecUnit unit = SpecUnit::none;
  std::optional<double> min;  ///< durations in seconds
  std::optional<double> max;
  std::vector<std::string> one_of;
  std::shared_ptr<const AnySpec> nested;  ///< the keys inside it; null: a plain value
  std::string within;                     ///< where they stand: "" in it, "[]", ".<name>"
  std::function<void(const config::Node&, config::SpecReader&, const SpecOption&, void*)> read;
  std::function<Json(const SpecOption&, const void*)> show;
  std::function<Json(const SpecOption&)> schema;
};

/// How one type is read, shown and described.
template <typename M>
struct SpecCodec {
  /// Reports every problem to the reader; false when `out` must not be used.
  std::function<bool(const config::Node&, config::SpecReader&, const SpecOption&, M& out)> read;
  std::function<Json(const SpecOption&, const M&)> show;
  std::function<Json(const SpecOption&)> schema;
  std::string type;
  std::vector<std::string> one_of;
  std::shared_ptr<const AnySpec> nested;
  std::string within;
};

/// The names of an enum's values, in the order they are offered.
template <typename E>
using SpecNames = std::vector<std::pair<std::string, E>>;

namespace spec_detail {

using config::Node;
using config::SpecReader;

bool read_string(const Node&, SpecReader&, const SpecOption&, std::string& out);
bool read_bool(const Node&, SpecReader&, const SpecOption&, bool& out);
bool read_integer(const Node&, SpecReader&, const SpecOption&, std::int64_t min, std::int64_t max,
                  std::int64_t& out);
bool read_double(const Node&, SpecReader&, const SpecOption&, double& out);
/// `resolution` is the smallest step the member can hold; finer values are refused.
bool read_duration(const Node&, SpecReader&, const SpecOption&, std::chrono::nanoseconds resolution,
                   std::chrono::nanoseconds& out);
bool read_json(const Node&, SpecReader&, const SpecOption&, Json& out);
bool read_name(const Node&, SpecReader&, const std::vector<std::string>& names, std::size_t& index);
/// Refuses anything but a sequence (mapping); false when it or any element failed.
bool read_items(const Node&, SpecReader&, const std::function<bool(const Node&)>& item);
bool read_entries(const Node&, SpecReader&,
                  const std::function<bool(const std::string& key, const Node&)>& entry);
bool read_integer_key(const std::string& key, const Node& value, SpecReader&, std::int64_t& out);
/// Reports that T's own check refused the mapping.
void report(const Node&, SpecReader&, std::string message);
std::size_t error_count(const SpecReader&);

Json show_integer(const SpecOption&, std::int64_t value);
Json show_double(const SpecOption&, double value);
Json show_duration(std::chrono::nanoseconds value);
Json schema_of(std::string_view type, const SpecOption& option);
Json schema_of_names(const std::vector<std::string>& names);
Json schema_of_list(Json items);
Json schema_of_map(Json values);

template <typename M>
struct IsDuration : std::false_type {};
template <typename R, typename P>
struct IsDuration<std::chrono::duration<R, P>> : std::true_type {};

/// Which container a member is, and of what.
template <typename M>
struct Shape {
  using Leaf = M;
};
template <typename M>
struct Shape<std::optional<M>> {
  using Leaf = typename Shape<M>::Leaf;
};
template <typename M>
struct Shape<std::vector<M>> {
  using Leaf = typename Shape<M>::Leaf;
};
template <typename K, typename M>
struct Shape<std::vector<std::pair<K, M>>> {
  using Leaf = typename Shape<M>::Leaf;
};
template <typename M, typename C>
struct Shape<std::map<std::string, M, C>> {
  using Leaf = typename Shape<M>::Leaf;
};

}  // namespace spec_detail

/// How a plain type is read; src/config adds expressions and templates.
template <typename M>
struct SpecValue {
  static SpecCodec<M> codec() {
    using namespace spec_detail;
    SpecCodec<M> made;
    if constexpr (std::is_same_v<M, bool>) {
      made.type = "boolean";
      made.read = [](const Node& n, SpecReader& r, const SpecOption& o, M& out) {
        return read_bool(n, r, o, out);
      };
      made.show = [](const SpecOption&, const M& value) { return Json(value); };
    } else if constexpr (std::is_integral_v<M>) {
      made.type = "integer";
      made.read = [](const Node& n, SpecReader& r, const SpecOption& o, M& out) {
        using Limits = std::numeric_limits<M>;
        std::int64_t value = 0;
        const auto max = static_cast<std::int64_t>(std::min<std::uint64_t>(
            static_cast<std::uint64_t>(Limits::max()), std::numeric_limits<std::int64_t>::max()));
        if (!read_integer(n, r, o, static_cast<std::int64_t>(Limits::min()), max, value)) {
          return false;
        }
        out = static_cast<M>(value);
        return true;
      };
      made.show = [](const SpecOption& o, const M& value) {
        return show_integer(o, static_cast<std::int64_t>(value));
      };
    } else if constexpr (std::is_floating_point_v<M>) {
      made.type = "number";
      made.read = [](const Node& n, SpecReader& r, const SpecOption& o, M& out) {
        return read_double(n, r, o, out);
      };
      made.show = [](const SpecOption& o, const M& value) { return show_double(o, value); };
    } else if constexpr (IsDuration<M>::value) {
      made.type = "duration";
      made.read = [](const Node& n, SpecReader& r, const SpecOption& o, M& out) {
        std::chrono::nanoseconds value{};
        if (!read_duration(n, r, o, M(1), value)) return false;
        out = std::chrono::duration_cast<M>(value);
        return true;
      };
      made.show = [](const SpecOption&, const M& value) { return show_duration(value); };
    } else if constexpr (std::is_same_v<M, Json>) {
      made.type = "any value";
      made.read = [](const Node& n, SpecReader& r, const SpecOption& o, M& out) {
        return read_json(n, r, o, out);
      };
      made.show = [](const SpecOption&, const M& value) { return value; };
    } else {
      static_assert(std::is_same_v<M, std::string>,
                    "this type needs a Spec or SpecNames as the fourth argument of option()");
      made.type = "string";
      made.read = [](const Node& n, SpecReader& r, const SpecOption& o, M& out) {
        return read_string(n, r, o, out);
      };
      made.show = [](const SpecOption&, const M& value) { return Json(value); };
    }
    made.schema = [type = made.type](const SpecOption& o) { return schema_of(type, o); };
    return made;
  }
};

namespace spec_detail {

/// What a container says of itself: `type` is its own, the rest is that of what it holds.
template <typename M, typename Inner>
SpecCodec<M> described(std::string type, std::string_view within, const Inner& inner) {
  SpecCodec<M> made;
  made.type = std::move(type);
  made.one_of = inner.one_of;
  made.nested = inner.nested;
  made.within = std::string(within) + inner.within;
  return made;
}

/// Lifts the codec of the innermost type to the container that holds it.
template <typename M>
struct Wrap {
  static SpecCodec<M> of(SpecCodec<M> leaf) { return leaf; }
};

template <typename M>
struct Wrap<std::optional<M>> {
  static SpecCodec<std::optional<M>> of(SpecCodec<typename Shape<M>::Leaf> leaf) {
    auto inner = std::make_shared<const SpecCodec<M>>(Wrap<M>::of(std::move(leaf)));
    auto made = described<std::optional<M>>(inner->type, "", *inner);
    made.schema = inner->schema;
    made.read = [inner](const Node& n, SpecReader& r, const SpecOption& o, std::optional<M>& out) {
      return inner->read(n, r, o, out.emplace());
    };
    made.show = [inner](const SpecOption& o, const std::optional<M>& value) {
      return value ? inner->show(o, *value) : Json();
    };
    return made;
  }
};

template <typename M>
struct Wrap<std::vector<M>> {
  static SpecCodec<std::vector<M>> of(SpecCodec<typename Shape<M>::Leaf> leaf) {
    auto inner = std::make_shared<const SpecCodec<M>>(Wrap<M>::of(std::move(leaf)));
    auto made = described<std::vector<M>>("list of " + inner->type, "[]", *inner);
    made.schema = [inner](const SpecOption& o) { return schema_of_list(inner->schema(o)); };
    made.read = [inner](const Node& n, SpecReader& r, const SpecOption& o, std::vector<M>& out) {
      out.clear();
      return read_items(n, r, [&](const Node& item) {
        // What was read is kept even when it is wrong, so that later checks see the rest.
        M value{};
        const bool good = inner->read(item, r, o, value);
        out.push_back(std::move(value));
        return good;
      });
    };
    made.show = [inner](const SpecOption& o, const std::vector<M>& values) {
      JsonArray shown;
      for (const M& value : values) shown.push_back(inner->show(o, value));
      return Json(std::move(shown));
    };
    return made;
  }
};

template <typename K, typename M>
struct Wrap<std::vector<std::pair<K, M>>> {
  using Entries = std::vector<std::pair<K, M>>;
  static SpecCodec<Entries> of(SpecCodec<typename Shape<M>::Leaf> leaf) {
    auto inner = std::make_shared<const SpecCodec<M>>(Wrap<M>::of(std::move(leaf)));
    auto made = described<Entries>("map of " + inner->type, ".<name>", *inner);
    made.schema = [inner](const SpecOption& o) { return schema_of_map(inner->schema(o)); };
    made.read = [inner](const Node& n, SpecReader& r, const SpecOption& o, Entries& out) {
      out.clear();
      return read_entries(n, r, [&](const std::string& text, const Node& item) {
        K key{};
        if constexpr (std::is_integral_v<K>) {
          std::int64_t number = 0;
          if (!read_integer_key(text, item, r, number)) return false;
          key = static_cast<K>(number);
        } else {
          key = text;
        }
        M value{};
        const bool good = inner->read(item, r, o, value);
        out.emplace_back(std::move(key), std::move(value));
        return good;
      });
    };
    made.show = [inner](const SpecOption& o, const Entries& entries) {
      JsonObject shown;
      for (const auto& [key, value] : entries) {
        if constexpr (std::is_integral_v<K>) {
          shown[std::to_string(key)] = inner->show(o, value);
        } else {
          shown[key] = inner->show(o, value);
        }
      }
      return Json(std::move(shown));
    };
    return made;
  }
};

template <typename M, typename C>
struct Wrap<std::map<std::string, M, C>> {
  using Map = std::map<std::string, M, C>;
  static SpecCodec<Map> of(SpecCodec<typename Shape<M>::Leaf> leaf) {
    using Entries = std::vector<std::pair<std::string, M>>;
    auto inner = std::make_shared<const SpecCodec<Entries>>(Wrap<Entries>::of(std::move(leaf)));
    auto made = described<Map>(inner->type, "", *inner);
    made.schema = inner->schema;
    made.read = [inner](const Node& n, SpecReader& r, const SpecOption& o, Map& out) {
      Entries entries;
      if (!inner->read(n, r, o, entries)) return false;
      out.clear();
      for (auto& [key, value] : entries) out.emplace(std::move(key), std::move(value));
      return true;
    };
    made.show = [inner](const SpecOption& o, const Map& map) {
      return inner->show(o, Entries(map.begin(), map.end()));
    };
    return made;
  }
};

}  // namespace spec_detail

}  // namespace millrace
