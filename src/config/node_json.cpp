#include "config/node_json.hpp"

#include <fmt/core.h>

#include <charconv>
#include <cmath>

namespace millrace::config {
namespace {

bool fail(const Node& node, SpecReader& reader, std::string message) {
  reader.error(node, std::move(message));
  return false;
}

bool integer_to_json(const Node& node, SpecReader& reader, Json& out) {
  std::string_view text = node.text;
  int base = 10;
  if (text.starts_with("0x")) base = 16;
  if (text.starts_with("0o")) base = 8;
  if (base != 10) text.remove_prefix(2);
  if (text.starts_with('+')) text.remove_prefix(1);
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (base == 10 && digits.size() > 1 && digits.front() == '0') {
    return fail(node, reader,
                fmt::format("`{}` would lose its leading zeros: write \"{}\"", text, text));
  }
  std::int64_t number = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), number, base).ec == std::errc{}) {
    out = number;
    return true;
  }
  std::uint64_t large = 0;
  if (text.front() != '-' &&
      std::from_chars(text.data(), text.data() + text.size(), large, base).ec == std::errc{}) {
    out = large;
    return true;
  }
  return fail(node, reader, fmt::format("`{}` does not fit 64 bits: write \"{}\"", text, text));
}

bool number_to_json(const Node& node, SpecReader& reader, Json& out) {
  std::string_view text = node.text;
  if (text.starts_with('+')) text.remove_prefix(1);
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc{} || !std::isfinite(number)) {
    return fail(node, reader, fmt::format("`{}` is no JSON number", node.text));
  }
  out = number;
  return true;
}

bool string_to_json(const Node& node, SpecReader& reader, Json& out) {
  const std::size_t at = node.text.find("${");
  const std::size_t end = at == node.text.npos ? at : node.text.find('}', at);
  if (end == node.text.npos ||
      !is_reference(std::string_view(node.text).substr(at + 2, end - at - 2))) {
    out = node.text;
    return true;
  }
  std::string text;
  if (!reader.resolve(node, text)) return false;
  out = text;
  return true;
}

}  // namespace

bool to_json(const Node& node, SpecReader& reader, Json& out) {
  switch (node.kind) {
    case Node::Kind::null:
      out = nullptr;
      return true;
    case Node::Kind::boolean:
      out = node.text.front() == 't' || node.text.front() == 'T';
      return true;
    case Node::Kind::integer:
      return integer_to_json(node, reader, out);
    case Node::Kind::number:
      return number_to_json(node, reader, out);
    case Node::Kind::string:
      return string_to_json(node, reader, out);
    case Node::Kind::sequence: {
      JsonArray& array = out.emplace_array();
      bool good = true;
      for (const Node& item : node.items) {
        good = to_json(item, reader, array.emplace_back(nullptr)) && good;
      }
      return good;
    }
    case Node::Kind::mapping: {
      JsonObject& object = out.emplace_object();
      bool good = true;
      for (const Node::Member& member : node.members) {
        good = to_json(member.value, reader, object[member.key]) && good;
      }
      return good;
    }
  }
  return false;
}

namespace {

std::string resolve_what_can_be(std::string_view text, const Substitute& substitute) {
  std::string out;
  std::size_t at = 0;
  for (;;) {
    const std::size_t begin = text.find("${", at);
    out += text.substr(at, begin - at);
    if (begin == text.npos) return out;
    const std::size_t end = text.find('}', begin);
    const std::string_view inside =
        end == text.npos ? std::string_view() : text.substr(begin + 2, end - begin - 2);
    at = begin + 2;
    if (is_reference(inside)) {
      const std::size_t dot = inside.find('.');
      if (auto value = substitute(inside.substr(0, dot), inside.substr(dot + 1))) {
        out += *value;
        at = end + 1;
        continue;
      }
    }
    out += "${";
  }
}

}  // namespace

Json to_hashed_json(const Node& node, const Substitute& substitute) {
  if (node.kind == Node::Kind::sequence) {
    JsonArray array;
    for (const Node& item : node.items) array.push_back(to_hashed_json(item, substitute));
    return array;
  }
  if (node.kind == Node::Kind::mapping) {
    JsonObject object;
    for (const Node::Member& member : node.members) {
      object[member.key] = to_hashed_json(member.value, substitute);
    }
    return object;
  }
  if (node.kind == Node::Kind::null) return nullptr;
  return Json(resolve_what_can_be(node.text, substitute));
}

}  // namespace millrace::config
