// The parts of Spec<T> that do not depend on T.
#include "millrace/spec.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "config/nearest.hpp"
#include "config/problems.hpp"
#include "config/spec_reader.hpp"
#include "config/yaml.hpp"

namespace millrace {
namespace {

using config::Node;
using config::SpecReader;

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

const SpecOption* find_option(const AnySpec& spec, std::string_view key) {
  const auto& options = spec.options();
  const auto found = std::ranges::find(options, key, &SpecOption::key);
  return found == options.end() ? nullptr : &*found;
}

std::vector<std::string> known_keys(const AnySpec& spec) {
  std::vector<std::string> keys;
  for (const SpecOption& option : spec.options()) keys.push_back(option.key);
  return keys;
}

void report_unknown(const AnySpec& spec, const AnySpec* beside, const Node::Member& member,
                    SpecReader& reader) {
  if (contains(spec.keys_not_yet(), member.key) ||
      (beside && contains(beside->keys_not_yet(), member.key))) {
    reader.error_at(member.line, member.column,
                    fmt::format("`{}` is not supported yet", member.key));
    return;
  }
  std::vector<std::string> keys = known_keys(spec);
  if (beside) {
    for (auto& key : known_keys(*beside)) keys.push_back(std::move(key));
  }
  reader.error_at(
      member.line, member.column,
      fmt::format("unknown key `{}`; known are {}{}", member.key, config::list_names(keys, 40),
                  config::did_you_mean(member.key, keys)));
}

Json shown_secret(const Json& value) {
  if (value.is_string()) return value.get_string().empty() ? value : Json("***");
  if (value.is_array()) {
    JsonArray hidden;
    for (const Json& item : value.get_array()) hidden.push_back(shown_secret(item));
    return hidden;
  }
  if (value.is_object()) {
    JsonObject hidden;
    for (const auto& member : value.get_object()) {
      hidden[member.key()] = shown_secret(member.value());
    }
    return hidden;
  }
  return value.is_null() ? value : Json("***");
}

}  // namespace

void AnySpec::read_members(const Node& node, SpecReader& reader, const SpecBeside& beside,
                           void* target) const {
  if (node.kind != Node::Kind::mapping) {
    reader.error(node, fmt::format("expected a mapping with {}, found {}",
                                   config::list_names(known_keys(*this)), name_of(node.kind)));
    return;
  }
  for (const Node::Member& member : node.members) {
    const SpecOption* option = find_option(*this, member.key);
    if (option == nullptr) {
      const bool known_beside = beside.spec && find_option(*beside.spec, member.key);
      if (beside.report_unknown && !known_beside) {
        report_unknown(*this, beside.spec, member, reader);
      }
      continue;
    }
    const SpecReader::Step step(reader, member.key);
    const SpecReader::Hidden hidden(reader, option->secret);
    if (!option->deprecated.empty()) {
      reader.warning(member.value,
                     fmt::format("`{}` is deprecated: {}", member.key, option->deprecated));
    }
    option->read(member.value, reader, *option, target);
  }
  for (const SpecOption& option : options_) {
    if (!option.required || node.find(option.key)) continue;
    std::string message = fmt::format("`{}:` is missing: {}", option.key, option.doc);
    if (!option.example.empty()) {
      message += fmt::format(" Write `{}: {}`.", option.key, option.example);
    }
    reader.error(node, std::move(message));
  }
  for (const auto& keys : exactly_one_of_) {
    const auto given = std::ranges::count_if(keys, [&](const auto& key) { return node.find(key); });
    // A key that is refused as not supported yet has been reported; do not ask for another one.
    const bool refused = std::ranges::any_of(
        node.members, [&](const auto& member) { return contains(not_yet_, member.key); });
    if (given == 1 || (given == 0 && refused)) continue;
    reader.error(node,
                 fmt::format("exactly one of {} is needed, {} given", config::list_names(keys),
                             given == 0 ? "none is" : "several are"));
  }
}

Json AnySpec::show_members(const void* source) const {
  JsonObject shown;
  for (const SpecOption& option : options_) {
    Json value = option.show(option, source);
    shown[option.key] = option.secret ? shown_secret(value) : std::move(value);
  }
  return shown;
}

Result<std::any> AnySpec::parse_yaml(std::string_view yaml) const {
  std::vector<config::Problem> problems;
  const auto documents = config::parse_yaml(yaml, name_ + ".yaml", problems);
  std::any value;
  if (problems.empty()) {
    Node empty;
    empty.kind = Node::Kind::mapping;
    SpecReader reader(name_ + ".yaml", problems, nullptr);
    value = parse(documents.empty() ? empty : documents.front(), reader);
  }
  std::string text;
  for (const config::Problem& problem : problems) {
    if (problem.level == config::Problem::Level::error) text += config::render_line(problem) + "\n";
  }
  if (!text.empty()) return fail(Errc::config, std::move(text));
  return value;
}

namespace spec_detail {

Json show_integer(const SpecOption& option, std::int64_t value) {
  if (option.unit != SpecUnit::bytes) return value;
  static constexpr std::array<std::string_view, 4> kUnits{"B", "KiB", "MiB", "GiB"};
  std::size_t unit = 0;
  while (unit + 1 < kUnits.size() && value != 0 && value % 1024 == 0) {
    value /= 1024;
    ++unit;
  }
  return Json(fmt::format("{}{}", value, kUnits[unit]));
}

Json show_double(const SpecOption& option, double value) {
  if (option.unit == SpecUnit::percent) return Json(fmt::format("{}%", value * 100));
  return value;
}

Json show_duration(std::chrono::nanoseconds value) {
  struct Unit {
    std::string_view name;
    std::int64_t size;
  };
  static constexpr std::array<Unit, 7> kUnits{{{"d", 86'400'000'000'000},
                                               {"h", 3'600'000'000'000},
                                               {"m", 60'000'000'000},
                                               {"s", 1'000'000'000},
                                               {"ms", 1'000'000},
                                               {"us", 1'000},
                                               {"ns", 1}}};
  const std::int64_t count = value.count();
  if (count == 0) return Json("0s");
  for (const Unit& unit : kUnits) {
    if (count % unit.size == 0) return Json(fmt::format("{}{}", count / unit.size, unit.name));
  }
  return Json(fmt::format("{}ns", count));
}

}  // namespace spec_detail
}  // namespace millrace
