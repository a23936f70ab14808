// How scalars and containers of a Spec are read.
#include <fmt/core.h>

#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include "config/nearest.hpp"
#include "config/node_json.hpp"
#include "config/spec_reader.hpp"
#include "config/yaml.hpp"
#include "millrace/spec.hpp"

namespace millrace::spec_detail {
namespace {

using std::chrono::nanoseconds;

struct Unit {
  std::string_view name;
  std::int64_t size;
};
// Longest first where one is the beginning of another ("ms" before "m").
constexpr std::array<Unit, 7> kDurations{{{"ms", 1'000'000},
                                          {"us", 1'000},
                                          {"s", 1'000'000'000},
                                          {"m", 60'000'000'000},
                                          {"h", 3'600'000'000'000},
                                          {"d", 86'400'000'000'000},
                                          {"w", 604'800'000'000'000}}};
constexpr std::array<Unit, 8> kSizes{{{"KiB", 1 << 10},
                                      {"MiB", 1 << 20},
                                      {"GiB", 1 << 30},
                                      {"TiB", std::int64_t{1} << 40},
                                      {"KB", 1000},
                                      {"MB", 1'000'000},
                                      {"GB", 1'000'000'000},
                                      {"B", 1}}};

bool fail(const Node& node, SpecReader& reader, std::string message) {
  reader.error(node, std::move(message));
  return false;
}

std::string shown(const Node& node, const SpecOption& option) {
  if (!node.is_scalar()) return std::string(config::name_of(node.kind));
  if (option.secret) return "the value";
  std::string text = node.text.substr(0, 60);
  if (node.kind == Node::Kind::null) return "nothing";
  return "`" + text + "`";
}

// A scalar's text, with ${...} resolved, and the kind that text has.
bool scalar_text(const Node& node, SpecReader& reader, std::string& text, Node::Kind& kind) {
  kind = node.kind;
  if (!node.is_string() || node.text.find("${") == node.text.npos) {
    text = node.text;
    return true;
  }
  if (!reader.resolve(node, text)) return false;
  kind = config::resolve_plain(text);
  return true;
}

bool within(const Node& node, SpecReader& reader, const SpecOption& option, double value) {
  if ((!option.min || value >= *option.min) && (!option.max || value <= *option.max)) return true;
  const bool duration = option.type.find("duration") != std::string::npos;
  const auto text = [&](double bound) -> std::string {
    if (duration) {
      const auto exact = nanoseconds(static_cast<std::int64_t>(bound * 1e9));
      return std::string(show_duration(exact).get_string());
    }
    if (option.unit == SpecUnit::percent) return fmt::format("{}%", bound * 100);
    return fmt::format("{}", bound);
  };
  std::string limits;
  if (option.min && option.max) {
    limits = fmt::format("from {} to {}", text(*option.min), text(*option.max));
  } else if (option.min) {
    limits = fmt::format("at least {}", text(*option.min));
  } else {
    limits = fmt::format("at most {}", text(*option.max));
  }
  return fail(node, reader, fmt::format("{} is out of bounds: {}", shown(node, option), limits));
}

bool parse_int(std::string_view text, std::int64_t& out) {
  int base = 10;
  if (text.starts_with("0x")) base = 16;
  if (text.starts_with("0o")) base = 8;
  if (base != 10) text.remove_prefix(2);
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
}

bool parse_number(std::string_view text, double& out) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), out);
  return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() && std::isfinite(out);
}

// "1.5h": a decimal number directly followed by one of `units`.
template <std::size_t N>
bool parse_with_unit(std::string_view text, const std::array<Unit, N>& units, double& out) {
  for (const Unit& unit : units) {
    if (!text.ends_with(unit.name)) continue;
    double number = 0;
    if (!parse_number(text.substr(0, text.size() - unit.name.size()), number) || number < 0) break;
    out = number * static_cast<double>(unit.size);
    return out < 9e18;
  }
  return false;
}

}  // namespace

bool read_string(const Node& node, SpecReader& reader, const SpecOption& option, std::string& out) {
  if (node.kind == Node::Kind::null) return fail(node, reader, "a string is expected here");
  if (!node.is_scalar()) {
    return fail(node, reader, fmt::format("expected a string, found {}", name_of(node.kind)));
  }
  if (!node.is_string()) {
    return fail(node, reader,
                fmt::format("expected a string, found {}; write \"{}\" in quotes",
                            name_of(node.kind), option.secret ? "..." : node.text));
  }
  std::string text;
  if (!reader.resolve(node, text)) return false;
  if (option.secret && !text.empty() && node.text.find("${") == node.text.npos) {
    reader.warning(node,
                   "a secret stands in the configuration itself; keep it in a file of the secrets "
                   "directory and write \"${secret.name}\"");
  }
  if (!option.one_of.empty() && std::ranges::find(option.one_of, text) == option.one_of.end()) {
    return fail(node, reader,
                fmt::format("`{}` is not one of {}{}", text, config::list_names(option.one_of),
                            config::did_you_mean(text, option.one_of)));
  }
  out = std::move(text);
  return true;
}

bool read_bool(const Node& node, SpecReader& reader, const SpecOption& option, bool& out) {
  std::string text;
  Node::Kind kind{};
  if (!scalar_text(node, reader, text, kind)) return false;
  if (kind != Node::Kind::boolean) {
    return fail(node, reader, fmt::format("expected true or false, found {}", shown(node, option)));
  }
  out = text.front() == 't' || text.front() == 'T';
  return true;
}

bool read_integer(const Node& node, SpecReader& reader, const SpecOption& option, std::int64_t min,
                  std::int64_t max, std::int64_t& out) {
  std::string text;
  Node::Kind kind{};
  if (!scalar_text(node, reader, text, kind)) return false;
  if (option.unit == SpecUnit::bytes) {
    double bytes = 0;
    if (!parse_with_unit(text, kSizes, bytes) || bytes != std::trunc(bytes)) {
      return fail(node, reader,
                  fmt::format("expected a size such as 512KiB, 1MiB or 2GB, found {}",
                              shown(node, option)));
    }
    out = static_cast<std::int64_t>(bytes);
  } else if (kind != Node::Kind::integer) {
    return fail(node, reader, fmt::format("expected an integer, found {}", shown(node, option)));
  } else if (!parse_int(text, out) || out < min || out > max) {
    return fail(node, reader,
                fmt::format("{} is out of range: {} to {}", shown(node, option), min, max));
  }
  return within(node, reader, option, static_cast<double>(out));
}

bool read_double(const Node& node, SpecReader& reader, const SpecOption& option, double& out) {
  std::string text;
  Node::Kind kind{};
  if (!scalar_text(node, reader, text, kind)) return false;
  if (option.unit == SpecUnit::percent) {
    if (!text.ends_with('%') ||
        !parse_number(std::string_view(text).substr(0, text.size() - 1), out)) {
      return fail(node, reader,
                  fmt::format("expected a percentage such as 80%, found {}", shown(node, option)));
    }
    out /= 100;
  } else if (kind == Node::Kind::integer) {
    std::int64_t integer = 0;
    if (!parse_int(text, integer)) {
      return fail(node, reader, fmt::format("{} is out of range", shown(node, option)));
    }
    out = static_cast<double>(integer);
  } else if (kind != Node::Kind::number || !parse_number(text, out)) {
    return fail(node, reader, fmt::format("expected a number, found {}", shown(node, option)));
  }
  return within(node, reader, option, out);
}

bool read_duration(const Node& node, SpecReader& reader, const SpecOption& option,
                   nanoseconds resolution, nanoseconds& out) {
  std::string text;
  Node::Kind kind{};
  if (!scalar_text(node, reader, text, kind)) return false;
  if (kind == Node::Kind::integer || kind == Node::Kind::number) {
    return fail(node, reader, fmt::format("a duration needs its unit: write {0}s or {0}ms", text));
  }
  double value = 0;
  if (kind != Node::Kind::string || !parse_with_unit(text, kDurations, value)) {
    return fail(node, reader,
                fmt::format("expected a duration such as 150ms, 30s, 5m, 24h or 7d, found {}",
                            shown(node, option)));
  }
  out = nanoseconds(std::llround(value));
  if (out % resolution != nanoseconds::zero()) {
    return fail(node, reader,
                fmt::format("{} is finer than {}", shown(node, option),
                            std::string_view(show_duration(resolution).get_string())));
  }
  return within(node, reader, option, value / 1e9);
}

bool read_json(const Node& node, SpecReader& reader, const SpecOption&, Json& out) {
  return config::to_json(node, reader, out);
}

bool read_name(const Node& node, SpecReader& reader, const std::vector<std::string>& names,
               std::size_t& index) {
  std::string text;
  Node::Kind kind{};
  if (!node.is_scalar()) {
    return fail(
        node, reader,
        fmt::format("expected one of {}, found {}", config::list_names(names), name_of(node.kind)));
  }
  if (!scalar_text(node, reader, text, kind)) return false;
  const auto found = std::ranges::find(names, text);
  if (found == names.end()) {
    return fail(node, reader,
                fmt::format("`{}` is not one of {}{}", text, config::list_names(names),
                            config::did_you_mean(text, names)));
  }
  index = static_cast<std::size_t>(found - names.begin());
  return true;
}

bool read_items(const Node& node, SpecReader& reader,
                const std::function<bool(const Node&)>& item) {
  if (node.kind != Node::Kind::sequence) {
    return fail(node, reader,
                fmt::format("expected a list, found {}; write [ ... ] or one `- ` a line",
                            name_of(node.kind)));
  }
  bool good = true;
  std::size_t index = 0;
  for (const Node& element : node.items) {
    const SpecReader::Step step(reader, fmt::format("[{}]", ++index));
    good = item(element) && good;
  }
  return good;
}

bool read_entries(const Node& node, SpecReader& reader,
                  const std::function<bool(const std::string& key, const Node&)>& entry) {
  if (node.kind != Node::Kind::mapping) {
    return fail(
        node, reader,
        fmt::format("expected a mapping (`name: value` lines), found {}", name_of(node.kind)));
  }
  bool good = true;
  for (const Node::Member& member : node.members) {
    const SpecReader::Step step(reader, member.key);
    good = entry(member.key, member.value) && good;
  }
  return good;
}

bool read_integer_key(const std::string& key, const Node& value, SpecReader& reader,
                      std::int64_t& out) {
  if (config::resolve_plain(key) == Node::Kind::integer && parse_int(key, out)) return true;
  return fail(value, reader, fmt::format("the key `{}` must be an integer", key));
}

void report(const Node& node, SpecReader& reader, std::string message) {
  reader.error(node, std::move(message));
}

std::size_t error_count(const SpecReader& reader) {
  return reader.errors();
}

}  // namespace millrace::spec_detail
