#include "ingress/body_picker.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <memory>

namespace millrace::ingress {
namespace {

/// A thread keeps its parser's buffers up to bodies of this size; larger ones are freed after use.
constexpr std::size_t kKeptBodyBytesMax = std::size_t{1} << 20;

// simdjson counts the document as a level and an empty innermost array as none, so this accepts
// nothing that parse_json refuses; the few texts it refuses wrongly are judged by parse_json.
constexpr std::size_t kDepthMax = JsonLimits{}.depth_max;

std::unique_ptr<simdjson::dom::parser> make_parser() {
  auto parser = std::make_unique<simdjson::dom::parser>();
  if (parser->allocate(std::size_t{4} << 10, kDepthMax) != simdjson::SUCCESS) {
    abort_with("no memory for a JSON parser");
  }
  return parser;
}

std::unique_ptr<simdjson::dom::parser>& thread_parser() {
  thread_local auto parser = make_parser();
  return parser;
}

// False when the member stands there twice: which of the two is meant cannot be known.
bool follow(simdjson::dom::element& at, std::string_view member, bool& absent) {
  simdjson::dom::object object;
  if (at.get(object) != simdjson::SUCCESS) {
    absent = true;
    return true;
  }
  bool found = false;
  for (const simdjson::dom::key_value_pair field : object) {
    if (field.key != member) continue;
    if (found) return false;
    found = true;
    at = field.value;
  }
  absent = !found;
  return true;
}

void read_value(simdjson::dom::element at, Picked& out) {
  switch (at.type()) {
    case simdjson::dom::element_type::STRING:
      out.kind = Picked::Kind::text;
      out.text.assign(at.get_string().value_unsafe());
      return;
    case simdjson::dom::element_type::INT64:
      out.kind = Picked::Kind::integer;
      out.text = fmt::format_int(at.get_int64().value_unsafe()).str();
      return;
    case simdjson::dom::element_type::UINT64:
      out.kind = Picked::Kind::integer;
      out.text = fmt::format_int(at.get_uint64().value_unsafe()).str();
      return;
    case simdjson::dom::element_type::NULL_VALUE:
      out.kind = Picked::Kind::absent;
      return;
    default:
      out.kind = Picked::Kind::other;
  }
}

Result<void> pick_from_tree(std::string_view body, std::span<const MemberPath> paths,
                            std::span<Picked> out) {
  MILLRACE_TRY(tree, parse_json(body));
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const Json* at = &tree;
    for (const std::string& member : paths[i]) {
      if (at != nullptr) at = find(*at, member);
    }
    out[i] = at == nullptr ? Picked{} : picked_from(*at);
  }
  return {};
}

}  // namespace

Result<void> pick_values(std::string_view body, std::span<const MemberPath> paths,
                         std::span<Picked> out) {
  MILLRACE_INVARIANT(paths.size() == out.size());
  auto& parser = thread_parser();
  simdjson::dom::element root;
  // The copy into the parser's own padded buffer is cheaper than asking every caller for padding.
  const auto error = parser->parse(body.data(), body.size(), true).get(root);
  // parse_json is the one authority on what is JSON, also for the words of the refusal.
  if (error != simdjson::SUCCESS) return pick_from_tree(body, paths, out);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    simdjson::dom::element at = root;
    bool absent = false;
    for (const std::string& member : paths[i]) {
      if (!follow(at, member, absent)) {
        return fail(Errc::malformed, fmt::format("the member \"{}\" is given twice", member));
      }
      if (absent) break;
    }
    out[i] = Picked{};
    if (!absent) read_value(at, out[i]);
  }
  if (body.size() > kKeptBodyBytesMax) parser = make_parser();
  return {};
}

Picked picked_from(const Json& value) {
  switch (value.kind()) {
    case boost::json::kind::null:
      return {Picked::Kind::absent, {}};
    case boost::json::kind::string:
      return {Picked::Kind::text, std::string(value.get_string())};
    case boost::json::kind::int64:
      return {Picked::Kind::integer, fmt::format_int(value.get_int64()).str()};
    case boost::json::kind::uint64:
      return {Picked::Kind::integer, fmt::format_int(value.get_uint64()).str()};
    default:
      return {Picked::Kind::other, {}};
  }
}

}  // namespace millrace::ingress
