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
#include "millrace/spec_codec.hpp"

namespace millrace {

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
  /// Groups of keys of which exactly one must be given.
  const std::vector<std::vector<std::string>>& exactly_one_of() const { return exactly_one_of_; }
  /// What a mapping without any key holds, secrets hidden.
  virtual Json defaults() const = 0;

  /// Reads a mapping into a new T; every problem goes to the reader.
  virtual std::any parse(const config::Node& node, config::SpecReader& reader,
                         const SpecBeside& beside = {}) const = 0;
  /// The values with secrets shown as "***".
  virtual Json redacted(const std::any& value) const = 0;

  /// draft-07, for editors; unknown keys are refused.
  Json json_schema() const;
  /// A table of the options, those of nested mappings too: key, type, default, what it is for.
  std::string reference_markdown() const;

  /// Parses a YAML text by itself; the error lists every problem, one a line.
  Result<std::any> parse_yaml(std::string_view yaml) const;

 protected:
  AnySpec(std::string name, std::string summary)
      : name_(std::move(name)), summary_(std::move(summary)) {}
  void read_members(const config::Node& node, config::SpecReader& reader, const SpecBeside& beside,
                    void* target) const;
  Json show_members(const void* source) const;

  std::string name_;
  std::string summary_;
  std::vector<SpecOption> options_;
  std::vector<std::string> not_yet_;
  std::vector<std::vector<std::string>> exactly_one_of_;
};

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
  using AnySpec::exactly_one_of;
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
  Json defaults() const override {
    const T value{};
    return show_members(&value);
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
    made.nested = self;
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
    made.one_of = codec.one_of;
    made.nested = codec.nested;
    made.within = codec.within;
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
    made.one_of = texts;
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

  std::vector<std::function<std::string(const T&)>> checks_;
};

}  // namespace millrace
