#include "ingress/cloud_event.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "ingress/answers.hpp"
#include "ingress/hook_table.hpp"
#include "net/ascii.hpp"

namespace millrace::ingress {
namespace {

constexpr std::array<std::string_view, 12> kReserved{
    "record",        "rev",           "types",       "cause", "origin",    "program",
    "recordversion", "entityversion", "causationid", "site",  "dataclass", "request"};

using Attributes = std::map<std::string, std::string, std::less<>>;

/// How a protocol carries an event in binary mode.
struct Binding {
  std::string_view prefix;  ///< of the headers that are attributes
  bool escaped;             ///< their values are percent-encoded
  bool typed;               ///< a content type is always there
};
constexpr Binding kHttp{.prefix = "ce-", .escaped = true, .typed = true};
constexpr Binding kKafka{.prefix = "ce_", .escaped = false, .typed = false};
constexpr std::string_view kStructured = "application/cloudevents+json";
constexpr std::string_view kBatch = "application/cloudevents-batch+json";

std::unexpected<EventRefusal> refuse(int status, std::string detail, std::string pointer = {}) {
  return std::unexpected(EventRefusal{status, std::move(detail), std::move(pointer)});
}

std::string media_type(std::string_view value) {
  return ascii_lower(trim_blanks(value.substr(0, value.find(';'))));
}

bool is_json_type(std::string_view type) {
  return type == "application/json" || type.ends_with("+json");
}

bool is_attribute_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
}

std::expected<void, EventRefusal> add_attribute(Attributes& attributes, std::string_view name,
                                                std::string value) {
  if (!is_attribute_name(name)) {
    return refuse(400, "attribute names of CloudEvents are lower-case letters and digits");
  }
  if (std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end()) {
    return refuse(400, fmt::format("the attribute {} is reserved: the broker sets it", name));
  }
  if (!attributes.emplace(name, std::move(value)).second) {
    return refuse(400, fmt::format("the attribute {} is given twice", name));
  }
  return {};
}

std::expected<Json, EventRefusal> read_body(std::string_view body) {
  auto parsed = parse_json(body);
  if (!parsed) return refuse(400, "the body cannot be read as JSON: " + parsed.error().message);
  return *std::move(parsed);
}

std::expected<void, EventRefusal> read_structured(Json& event, Attributes& attributes, Json& data) {
  if (!event.is_object()) return refuse(400, "a CloudEvent is a JSON object");
  bool has_data = false;
  for (auto& member : event.get_object()) {
    const std::string_view name(member.key().data(), member.key().size());
    Json& value = member.value();
    if (name == "data") {
      data = std::move(value);
      has_data = true;
      continue;
    }
    if (name == "data_base64")
      return refuse(415, "data_base64 is not supported: send data as JSON");
    if (value.is_null()) continue;
    if (value.is_object() || value.is_array() || value.is_double()) {
      return refuse(400, "attributes of CloudEvents are texts, whole numbers or booleans");
    }
    std::string text = value.is_string() ? std::string(value.get_string()) : write_json(value);
    if (auto added = add_attribute(attributes, name, std::move(text)); !added) return added;
  }
  if (!has_data) return refuse(400, "the CloudEvent has no data", "/data");
  return {};
}

std::expected<void, EventRefusal> read_attributes(const HttpHeaders& headers,
                                                  const Binding& binding, Attributes& attributes) {
  for (const auto& [name, value] : headers) {
    if (!name.starts_with(binding.prefix)) continue;
    std::string text = value;
    if (binding.escaped) {
      auto decoded = percent_decode(value);
      if (!decoded) return refuse(400, "a ce- header has a broken percent escape");
      text = *std::move(decoded);
    }
    const auto attribute = std::string_view(name).substr(binding.prefix.size());
    auto added = add_attribute(attributes, attribute, std::move(text));
    if (!added) return added;
  }
  return {};
}

// Takes a required attribute that names something: bounded, without control characters.
std::expected<std::string, EventRefusal> required(Attributes& attributes, std::string_view name) {
  const auto found = attributes.find(name);
  if (found == attributes.end() || found->second.empty()) {
    return refuse(400, fmt::format("the attribute {} is missing", name), fmt::format("/{}", name));
  }
  if (!is_identifier(found->second)) {
    return refuse(
        400,
        fmt::format("the attribute {} is longer than {} bytes, no UTF-8, or has control characters",
                    name, kIdentifierBytesMax),
        fmt::format("/{}", name));
  }
  return std::move(found->second);
}

std::string optional_text(Attributes& attributes, std::string_view name) {
  const auto found = attributes.find(name);
  if (found == attributes.end() || !is_identifier(found->second)) return {};
  return std::move(found->second);
}

std::expected<void, EventRefusal> fill_names(Attributes& attributes, Event& event) {
  for (const auto& [name, field] :
       {std::pair{"id", &Event::id}, std::pair{"source", &Event::source},
        std::pair{"type", &Event::type}, std::pair{"subject", &Event::subject}}) {
    auto text = required(attributes, name);
    if (!text) return std::unexpected(std::move(text).error());
    event.*field = *std::move(text);
  }
  if (event.source.find(' ') != event.source.npos) {
    return refuse(400, "the attribute source is a URI reference: it has no spaces", "/source");
  }
  const std::size_t dot = event.type.find('.');
  if (dot == 0 || dot == event.type.npos || dot + 1 == event.type.size()) {
    return refuse(422, "the attribute type has the form <entity>.<event>", "/type");
  }
  // Together they are the record, a part of keys.
  if (event.source.size() + event.subject.size() > kIdentifierBytesMax) {
    return refuse(400,
                  fmt::format("the attributes source and subject are together longer than {} bytes",
                              kIdentifierBytesMax),
                  "/subject");
  }
  event.entity = event.type.substr(0, dot);
  event.record = "events:" + event.source + "/" + event.subject;
  event.types = {event.type};
  return {};
}

std::expected<Event, EventRefusal> to_event(Attributes attributes, Json data, WallTime now) {
  const auto version = attributes.find("specversion");
  if (version == attributes.end() || version->second != "1.0") {
    return refuse(400, "the attribute specversion must be \"1.0\"", "/specversion");
  }
  const auto type = attributes.find("datacontenttype");
  if (type != attributes.end() && !is_json_type(media_type(type->second))) {
    return refuse(415, "data must be JSON", "/datacontenttype");
  }
  Event event;
  if (auto filled = fill_names(attributes, event); !filled) {
    return std::unexpected(std::move(filled).error());
  }
  event.time = now;
  if (const auto time = attributes.find("time"); time != attributes.end()) {
    const auto parsed = parse_rfc3339(time->second);
    if (!parsed) return refuse(400, "the attribute time is no RFC 3339 time", "/time");
    event.time = *parsed;
  }
  event.correlation_id = optional_text(attributes, "correlationid");
  event.traceparent = optional_text(attributes, "traceparent");
  event.data = std::move(data);
  return event;
}

std::expected<Event, EventRefusal> read_one(Json& json, WallTime now) {
  Attributes attributes;
  Json data;
  auto read = read_structured(json, attributes, data);
  if (!read) return std::unexpected(std::move(read).error());
  return to_event(std::move(attributes), std::move(data), now);
}

std::expected<Event, EventRefusal> read_structured_body(std::string_view body, WallTime now) {
  auto json = read_body(body);
  if (!json) return std::unexpected(std::move(json).error());
  return read_one(*json, now);
}

std::expected<SentEvents, EventRefusal> read_batch(Json& json, WallTime now) {
  if (!json.is_array()) return refuse(400, "a batch of CloudEvents is a JSON array");
  SentEvents sent{.events = {}, .batch = true};
  for (Json& element : json.get_array()) {
    auto event = read_one(element, now);
    if (!event) return std::unexpected(in_batch(std::move(event).error(), sent.events.size()));
    sent.events.push_back(*std::move(event));
  }
  return sent;
}

// The content type says how events are sent; anything else is refused with what would be right.
std::expected<void, EventRefusal> check_binary(const HttpHeaders& headers, std::string_view type,
                                               const Binding& binding) {
  if (type.starts_with("application/cloudevents")) {
    return refuse(415, binding.escaped
                           ? "send structured CloudEvents as application/cloudevents+json, or "
                             "application/cloudevents-batch+json"
                           : "send structured CloudEvents as application/cloudevents+json, one a "
                             "record");
  }
  if (!header(headers, fmt::format("{}specversion", binding.prefix))) {
    return refuse(415, fmt::format("send a CloudEvent: application/cloudevents+json, or {} headers "
                                   "and a JSON body",
                                   binding.prefix));
  }
  if (!is_json_type(type) && (binding.typed || !type.empty())) {
    return refuse(415, "the body of a binary CloudEvent must be application/json");
  }
  return {};
}

std::expected<Event, EventRefusal> read_binary(const HttpHeaders& headers, std::string_view body,
                                               WallTime now, const Binding& binding) {
  const std::string type = media_type(header(headers, "content-type").value_or(""));
  if (auto binary = check_binary(headers, type, binding); !binary) {
    return std::unexpected(std::move(binary).error());
  }
  Attributes attributes;
  if (auto read = read_attributes(headers, binding, attributes); !read) {
    return std::unexpected(std::move(read).error());
  }
  auto data = read_body(body);
  if (!data) return std::unexpected(std::move(data).error());
  return to_event(std::move(attributes), *std::move(data), now);
}

}  // namespace

EventRefusal in_batch(EventRefusal refusal, std::size_t index) {
  if (refusal.status == 400 || refusal.status == 415) refusal.status = 422;
  refusal.detail = fmt::format("event {} of the batch: {}", index, refusal.detail);
  refusal.pointer = fmt::format("/{}{}", index, refusal.pointer);
  refusal.index = index;
  return refusal;
}

std::expected<SentEvents, EventRefusal> read_cloud_events(const HttpHeaders& headers,
                                                          std::string_view body, WallTime now) {
  const std::string type = media_type(header(headers, "content-type").value_or(""));
  if (type == kBatch) {
    auto json = read_body(body);
    if (!json) return std::unexpected(std::move(json).error());
    return read_batch(*json, now);
  }
  auto event = type == kStructured ? read_structured_body(body, now)
                                   : read_binary(headers, body, now, kHttp);
  if (!event) return std::unexpected(std::move(event).error());
  SentEvents sent;
  sent.events.push_back(*std::move(event));
  return sent;
}

std::expected<Event, EventRefusal> read_kafka_event(const HttpHeaders& headers,
                                                    std::string_view value, WallTime now) {
  const std::string type = media_type(header(headers, "content-type").value_or(""));
  return type == kStructured ? read_structured_body(value, now)
                             : read_binary(headers, value, now, kKafka);
}

}  // namespace millrace::ingress
