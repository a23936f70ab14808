// Spec<T>: the one declaration of T's options. From it come strict parsing with file:line:column,
// the nearest known name, JSON Schema for editors, reference docs and redacted values; defaults are
// the struct's own initialisers.
//
// A connector declares its options once and returns the declaration from ConnectorType::spec():
//
//   struct Basic { std::string user; std::string password; };
//   struct MqttOptions { std::chrono::milliseconds timeout{10'000}; std::optional<Basic> basic; };
//
//   const AnySpec& MqttType::spec() const {
//     static const auto basic = Spec<Basic>("basic", "User name and password.")
//         .option("user", &Basic::user, "User name.").required()
//         .option("password", &Basic::password, "Password.").required().secret();
//     static const auto spec = Spec<MqttOptions>("mqtt", "Publish events to an MQTT broker.")
//         .option("timeout", &MqttOptions::timeout, "Time allowed for one publish.")
//             .bounds(std::chrono::seconds(1), std::chrono::minutes(5)).example("10s")
//         .option("basic", &MqttOptions::basic, "Log in with a password.", basic)
//         .not_yet("qos");                    // known to the design, refused as not supported yet
//     return spec;
//   }
//   ... make_sink(const std::any& options, ...) { std::any_cast<const MqttOptions&>(options) ... }
//
// Member types: std::string (resolves ${var.x}, ${env.X}, ${secret.x}), bool, integers, double, any
// std::chrono::duration ("150ms" "30s" "5m" "24h" "7d"; bare numbers are refused), Json (any
// value), a struct with its own Spec (4th argument), an enum with SpecNames (4th argument); of all
// of these std::optional<M>, std::vector<M>, std::map<std::string, M> and, where order matters,
// std::vector<std::pair<std::string or integer, M>>. `.bytes()` makes an integer a size ("1MiB"),
// `.percent()` a double a share ("80%" -> 0.8).
// Tests read options without a configuration: Spec<T>::from_yaml("timeout: 5s\n").
#pragma once

#include <algorithm>
#include <any>
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
#include "millrace/result.hpp"

namespace millrace {

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
};

/// The names of an enum's values, in the order they are offered.
template <typename E>
using SpecNames = std::vector<std::pair<std::string, E>>;

/// Two specs may read one mapping: the keys of `beside` are known here too.
struct SpecBeside {
  const class AnySpec* spec = nullptr;
  bool report_unknown = true;  ///< one of the two reports the keys neither knows
};

/// The declaration without its type: what the loader, the docs and the editor schema need.
class AnySpec {
 public:
  virtual ~AnySpec() = default;

  const std::string& name() const { return name_; }
  const std::string& summary() const { return summary_; }
  const std::vector<SpecOption>& options() const { return options_; }
  /// Keys that the design knows and this version refuses.
  const std::vector<std::string>& keys_not_yet() const { return not_yet_; }

  /// Reads a mapping into a new T; every problem goes to the reader.
  virtual std::any parse(const config::Node& node, config::SpecReader& reader,
                         const SpecBeside& beside = {}) const = 0;
  /// The values with secrets shown as "***".
  virtual Json redacted(const std::any& value) const = 0;

  /// draft-07, for editors; unknown keys are refused.
  Json json_schema() const;
  /// A table of the options: key, type, default, what it is for.
  std::string reference_markdown() const;

  /// Parses a YAML text by itself; the error lists every problem, one a line.
  Result<std::any> parse_yaml(std::string_view yaml) const;

 protected:
  AnySpec(std::string name, std::string summary)
      : name_(std::move(name)), summary_(std::move(summary)) {}
  void read_members(const config::Node& node, config::SpecReader& reader, const SpecBeside& beside,
                    void* target) const;
  Json show_members(const void* source) const;
  virtual Json defaults() const = 0;

  std::string name_;
  std::string summary_;
  std::vector<SpecOption> options_;
  std::vector<std::string> not_yet_;
  std::vector<std::vector<std::string>> exactly_one_of_;
};

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

/// Lifts the codec of the innermost type to the container that holds it.
template <typename M>
struct Wrap {
  static SpecCodec<M> of(SpecCodec<M> leaf) { return leaf; }
};

template <typename M>
struct Wrap<std::optional<M>> {
  static SpecCodec<std::optional<M>> of(SpecCodec<typename Shape<M>::Leaf> leaf) {
    auto inner = std::make_shared<const SpecCodec<M>>(Wrap<M>::of(std::move(leaf)));
    SpecCodec<std::optional<M>> made;
    made.type = inner->type;
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
    SpecCodec<std::vector<M>> made;
    made.type = "list of " + inner->type;
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
    SpecCodec<Entries> made;
    made.type = "map of " + inner->type;
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
    SpecCodec<Map> made;
    made.type = inner->type;
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

template <typename T>
class Spec final : public AnySpec {
 public:
  using Value = T;

  Spec(std::string name, std::string summary) : AnySpec(std::move(name), std::move(summary)) {}

  template <typename M>
  Spec& option(std::string key, M T::* member, std::string doc) {
    using Leaf = typename spec_detail::Shape<M>::Leaf;
    return add(std::move(key), member, std::move(doc),
               spec_detail::Wrap<M>::of(SpecValue<Leaf>::codec()));
  }
  /// A struct (or a container of structs) with its own declaration.
  template <typename M, typename N>
  Spec& option(std::string key, M T::* member, std::string doc, const Spec<N>& nested) {
    return add(std::move(key), member, std::move(doc), spec_detail::Wrap<M>::of(nested.codec()));
  }
  /// An enum (or a container of enums) by names.
  template <typename M>
  Spec& option(std::string key, M T::* member, std::string doc,
               const SpecNames<typename spec_detail::Shape<M>::Leaf>& names) {
    return add(std::move(key), member, std::move(doc), spec_detail::Wrap<M>::of(enum_codec(names)));
  }
  /// A hand-written codec of the member's own type.
  template <typename M>
  Spec& option(std::string key, M T::* member, std::string doc, SpecCodec<M> codec) {
    return add(std::move(key), member, std::move(doc), std::move(codec));
  }

  // These refine the option declared last.
  Spec& required() { return options_.back().required = true, *this; }
  Spec& secret() { return options_.back().secret = true, *this; }
  Spec& bytes() { return options_.back().unit = SpecUnit::bytes, *this; }
  Spec& percent() { return options_.back().unit = SpecUnit::percent, *this; }
  Spec& example(std::string text) { return options_.back().example = std::move(text), *this; }
  Spec& deprecated(std::string use) { return options_.back().deprecated = std::move(use), *this; }
  Spec& one_of(std::vector<std::string> values) {
    return options_.back().one_of = std::move(values), *this;
  }
  /// Inclusive. For percent: fractions. `max` may be left out.
  Spec& bounds(double min, double max = std::numeric_limits<double>::infinity()) {
    options_.back().min = min;
    if (max < std::numeric_limits<double>::infinity()) options_.back().max = max;
    return *this;
  }
  template <typename R1, typename P1, typename R2, typename P2>
  Spec& bounds(std::chrono::duration<R1, P1> min, std::chrono::duration<R2, P2> max) {
    return bounds(std::chrono::duration<double>(min).count(),
                  std::chrono::duration<double>(max).count());
  }

  // These speak of the whole.
  /// Known to the design, not built: refused as "not supported yet", never accepted and ignored.
  Spec& not_yet(std::string key) { return not_yet_.push_back(std::move(key)), *this; }
  /// Exactly one of these keys must be given.
  Spec& exactly_one_of(std::vector<std::string> keys) {
    return exactly_one_of_.push_back(std::move(keys)), *this;
  }
  /// Runs when the members were read without a problem; a text that is not empty is the problem.
  Spec& check(std::function<std::string(const T&)> check) {
    return checks_.push_back(std::move(check)), *this;
  }

  /// Reads a mapping; false when anything was wrong (all of it has been reported).
  bool read(const config::Node& node, config::SpecReader& reader, T& out,
            const SpecBeside& beside = {}) const {
    const std::size_t before = spec_detail::error_count(reader);
    read_members(node, reader, beside, &out);
    if (spec_detail::error_count(reader) != before) return false;
    for (const auto& check : checks_) {
      if (auto text = check(out); !text.empty()) spec_detail::report(node, reader, std::move(text));
    }
    return spec_detail::error_count(reader) == before;
  }

  std::any parse(const config::Node& node, config::SpecReader& reader,
                 const SpecBeside& beside = {}) const override {
    T value{};
    read(node, reader, value, beside);
    return value;
  }
  Json redacted(const std::any& value) const override {
    const T* typed = std::any_cast<T>(&value);
    return typed ? show_members(typed) : Json();
  }
  Result<T> from_yaml(std::string_view yaml) const {
    auto parsed = parse_yaml(yaml);
    if (!parsed) return std::unexpected(std::move(parsed).error());
    return std::any_cast<T>(std::move(*parsed));
  }

  SpecCodec<T> codec() const {
    auto self = std::make_shared<const Spec>(*this);
    SpecCodec<T> made;
    made.type = "`" + name_ + "`";
    made.read = [self](const config::Node& n, config::SpecReader& r, const SpecOption&, T& out) {
      return self->read(n, r, out);
    };
    made.show = [self](const SpecOption&, const T& value) { return self->show_members(&value); };
    made.schema = [self](const SpecOption&) { return self->json_schema(); };
    return made;
  }

 private:
  template <typename M>
  Spec& add(std::string key, M T::* member, std::string doc, SpecCodec<M> codec) {
    SpecOption made;
    made.key = std::move(key);
    made.doc = std::move(doc);
    made.type = codec.type;
    made.schema = codec.schema;
    made.read = [member, read = codec.read](const config::Node& n, config::SpecReader& r,
                                            const SpecOption& o, void* target) {
      read(n, r, o, static_cast<T*>(target)->*member);
    };
    made.show = [member, show = codec.show](const SpecOption& o, const void* source) {
      return show(o, static_cast<const T*>(source)->*member);
    };
    options_.push_back(std::move(made));
    return *this;
  }

  template <typename E>
  static SpecCodec<E> enum_codec(const SpecNames<E>& names) {
    std::vector<std::string> texts;
    for (const auto& [text, value] : names) texts.push_back(text);
    SpecCodec<E> made;
    made.type = "name";
    made.read = [names, texts](const config::Node& n, config::SpecReader& r, const SpecOption&,
                               E& out) {
      std::size_t index = 0;
      if (!spec_detail::read_name(n, r, texts, index)) return false;
      out = names[index].second;
      return true;
    };
    made.show = [names](const SpecOption&, const E& value) {
      for (const auto& [text, named] : names) {
        if (named == value) return Json(text);
      }
      return Json();
    };
    made.schema = [texts](const SpecOption&) { return spec_detail::schema_of_names(texts); };
    return made;
  }

  Json defaults() const override {
    const T value{};
    return show_members(&value);
  }

  std::vector<std::function<std::string(const T&)>> checks_;
};

}  // namespace millrace
