#include "kafka/cloud_event_binding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "millrace/json.hpp"

namespace millrace {

namespace {

constexpr std::string_view kPrefix = "ce_";
constexpr std::string_view kContentType = "content-type";
constexpr std::string_view kData = "data";
constexpr std::string_view kDataContentType = "datacontenttype";
constexpr std::array<std::string_view, 4> kRequired{"specversion", "id", "source", "type"};

Result<BoundEvent> not_ours() {
  return fail(Errc::malformed, "an event's payload does not have the documented form");
}

// The end of the quoted string that begins at `at`, one past its quote; npos when there is none.
std::size_t end_of_string(std::string_view text, std::size_t at) {
  if (at >= text.size() || text[at] != '"') return text.npos;
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\')
      ++at;
    else if (text[at] == '"')
      return at + 1;
  }
  return text.npos;
}

// Most attributes are written as they are; only the others need a parser.
Result<std::string> text_of(std::string_view quoted) {
  const auto inner = quoted.substr(1, quoted.size() - 2);
  if (inner.find('\\') == inner.npos) return std::string(inner);
  MILLRACE_TRY(parsed, parse_json(quoted));
  return std::string(parsed.get_string().c_str(), parsed.get_string().size());
}

}  // namespace

Result<BoundEvent> bind_event(std::string_view payload) {
  BoundEvent bound;
  bound.headers.reserve(20);
  std::size_t at = 1;
  if (payload.size() < 2 || payload.front() != '{' || payload.back() != '}') return not_ours();
  while (true) {
    const std::size_t name_end = end_of_string(payload, at);
    if (name_end == payload.npos || name_end >= payload.size() || payload[name_end] != ':')
      return not_ours();
    const auto name = payload.substr(at + 1, name_end - at - 2);
    const std::size_t value_at = name_end + 1;
    if (name == kData) {
      // encode() writes it last.
      bound.value = payload.substr(value_at, payload.size() - 1 - value_at);
      return bound;
    }
    const std::size_t value_end = end_of_string(payload, value_at);
    if (value_end == payload.npos || value_end >= payload.size() || payload[value_end] != ',')
      return not_ours();
    MILLRACE_TRY(value, text_of(payload.substr(value_at, value_end - value_at)));
    if (name == kDataContentType)
      bound.headers.push_back({std::string(kContentType), std::move(value)});
    else
      bound.headers.push_back({std::string(kPrefix).append(name), std::move(value)});
    at = value_end + 1;
  }
}

Result<std::string> unbind_event(KafkaHeaderViews headers, std::string_view value) {
  std::string payload;
  payload.reserve(value.size() + 1024);
  std::size_t required = 0;
  for (const auto& [header, text] : headers) {
    const bool is_type = header == kContentType;
    if (!is_type && !header.starts_with(kPrefix)) continue;
    const auto name = is_type ? kDataContentType : header.substr(kPrefix.size());
    if (std::ranges::find(kRequired, name) != kRequired.end()) ++required;
    payload.push_back(payload.empty() ? '{' : ',');
    append_json_string(payload, name);
    payload.push_back(':');
    append_json_string(payload, text);
  }
  if (required != kRequired.size())
    return fail(Errc::malformed, fmt::format("a record lacks one of the headers {}{}", kPrefix,
                                             fmt::join(kRequired, fmt::format(", {}", kPrefix))));
  payload += ",\"data\":";
  payload += value.empty() ? "null" : value;
  payload.push_back('}');
  return payload;
}

bool is_bound_event(KafkaHeaderViews headers) {
  return std::ranges::any_of(headers,
                             [](const auto& header) { return header.first == "ce_specversion"; });
}

}  // namespace millrace
