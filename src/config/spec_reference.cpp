// The reference of a Spec: one table with every key, those of nested mappings by their path.
#include <fmt/core.h>

#include "config/nearest.hpp"
#include "millrace/spec.hpp"

namespace millrace {
namespace {

// Markdown tables break at a bar and at a line's end.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string code(std::string_view text) {
  return fmt::format("`{}`", text);
}

std::string text_of(const Json& value) {
  return value.is_string() ? std::string(value.get_string()) : write_json(value);
}

bool is_duration(const SpecOption& option) {
  return option.type.find("duration") != std::string::npos;
}

// A bound as an operator would write it: "10ms", "16MiB", "99%".
std::string bound(const SpecOption& option, double value) {
  if (is_duration(option)) {
    return text_of(spec_detail::show_duration(
        std::chrono::nanoseconds(static_cast<std::int64_t>(value * 1e9))));
  }
  if (option.unit == SpecUnit::percent) return text_of(spec_detail::show_double(option, value));
  return text_of(spec_detail::show_integer(option, static_cast<std::int64_t>(value)));
}

std::string type_of(const SpecOption& option) {
  if (option.nested) {
    if (option.within.empty()) return "mapping";
    return option.within == "[]" ? "list of mappings" : "mappings by name";
  }
  if (!option.one_of.empty()) {
    std::string values;
    for (const std::string& value : option.one_of) {
      values += (values.empty() ? "" : ", ") + code(value);
    }
    return "one of " + values;
  }
  std::string type = option.type;
  if (option.unit == SpecUnit::bytes) type = "size";
  if (option.unit == SpecUnit::percent) type = "share";
  if (option.min && option.max) {
    return fmt::format("{}, {} to {}", type, bound(option, *option.min),
                       bound(option, *option.max));
  }
  if (option.min) return fmt::format("{}, at least {}", type, bound(option, *option.min));
  return type;
}

std::string default_of(const SpecOption& option, const Json& defaults) {
  if (option.required) return "required";
  const Json* value = find(defaults, option.key);
  if (option.nested || value == nullptr || value->is_null() || value->is_object()) return {};
  const bool empty = (value->is_string() && value->get_string().empty()) ||
                     (value->is_array() && value->get_array().empty());
  return empty ? std::string() : code(text_of(*value));
}

std::string doc_of(const SpecOption& option) {
  std::string doc = option.doc;
  if (option.nested) {
    for (const auto& keys : option.nested->exactly_one_of()) {
      std::vector<std::string> names;
      for (const std::string& key : keys) names.push_back(code(key));
      doc += fmt::format(" Exactly one of {}.", config::list_names(names));
    }
  }
  if (!option.example.empty()) doc += fmt::format(" Example: `{}`.", option.example);
  if (!option.deprecated.empty()) doc += fmt::format(" Deprecated: {}.", option.deprecated);
  if (option.secret) doc += " A secret: never printed.";
  return doc;
}

void add_rows(const AnySpec& spec, const std::string& prefix, std::string& text,
              std::vector<std::string>& later) {
  const Json defaults = spec.defaults();
  for (const SpecOption& option : spec.options()) {
    const std::string path = prefix + option.key;
    text += fmt::format("| `{}` | {} | {} | {} |\n", path, cell(type_of(option)),
                        cell(default_of(option, defaults)), cell(doc_of(option)));
    if (option.nested) add_rows(*option.nested, path + option.within + ".", text, later);
  }
  for (const std::string& key : spec.keys_not_yet()) later.push_back(code(prefix + key));
}

}  // namespace

std::string AnySpec::reference_markdown() const {
  std::string rows;
  std::vector<std::string> later;
  add_rows(*this, "", rows, later);
  std::string text = summary_ + "\n";
  if (!rows.empty()) {
    text += "\n| key | type | default | what it is for |\n|---|---|---|---|\n" + rows;
  }
  if (!later.empty()) {
    text += fmt::format("\nNot supported yet: {}.\n", config::list_names(later, later.size()));
  }
  return text;
}

}  // namespace millrace
