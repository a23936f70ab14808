#include "millrace/event.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace millrace {
namespace {

constexpr char kRawMessageVersion = 1;
// A header, so that the format stays as it is.
constexpr std::string_view kUnreadableReason = "millrace-unreadable";

void put_text(std::string& out, std::string_view text) {
  std::uint64_t size = text.size();
  do {
    out.push_back(static_cast<char>((size & 0x7F) | (size > 0x7F ? 0x80 : 0)));
    size >>= 7;
  } while (size != 0);
  out += text;
}

// Reads what put_text wrote; every get fails once the bytes are too short.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}

  bool number(std::uint64_t& out) {
    out = 0;
    for (int shift = 0; shift < 63; shift += 7) {
      if (bytes_.empty()) return false;
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      out |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  bool text(std::string& out) {
    std::uint64_t size = 0;
    if (!number(size) || size > bytes_.size()) return false;
    out.assign(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return true;
  }

  bool done() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};

void put_number(std::string& out, std::uint64_t number) {
  while (number > 0x7F) {
    out.push_back(static_cast<char>((number & 0x7F) | 0x80));
    number >>= 7;
  }
  out.push_back(static_cast<char>(number));
}

void member(std::string& out, std::string_view key, std::string_view value) {
  if (value.empty()) return;
  out += ",\"";
  out += key;
  out += "\":";
  append_json_string(out, value);
}

// The attributes behind the id, in the order they are written.
template <typename Put>
void each_attribute(const Event& event, const Put& put) {
  put("source", event.source);
  put("type", event.type);
  put("subject", event.subject);
  put("time", to_rfc3339(event.time));
  put("datacontenttype", "application/json");
  put("record", event.record);
  if (event.rev != 0) put("rev", fmt::format_int(event.rev).c_str());
  put("entityversion", fmt::format_int(event.entity_version).c_str());
  std::string types;
  for (const std::string& type : event.types) {
    if (!types.empty()) types.push_back(',');
    types += type;
  }
  put("types", types);
  put("cause", event.cause);
  put("origin", event.origin);
  put("correlationid", event.correlation_id);
  put("traceparent", event.traceparent);
  put("program", event.program);
  put("recordversion", event.version);
  put("request", event.request);
}

std::vector<std::string> split_types(std::string_view list) {
  std::vector<std::string> types;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    types.emplace_back(list.substr(0, comma));
    list = comma == list.npos ? "" : list.substr(comma + 1);
  }
  return types;
}

struct Attribute {
  std::string_view name;
  void (*read)(Event& event, std::string_view text);
};

template <std::string Event::* kText>
void read_text(Event& event, std::string_view text) {
  event.*kText = text;
}

template <auto kNumber>
void read_number(Event& event, std::string_view text) {
  std::from_chars(text.data(), text.data() + text.size(), event.*kNumber);
}

// In the order they are written, so that one after the other is found at the first look.
constexpr std::array kAttributes{
    Attribute{"id", read_text<&Event::id>},
    Attribute{"source", read_text<&Event::source>},
    Attribute{"type", read_text<&Event::type>},
    Attribute{"subject", read_text<&Event::subject>},
    Attribute{"record", read_text<&Event::record>},
    Attribute{"rev", read_number<&Event::rev>},
    Attribute{"entityversion", read_number<&Event::entity_version>},
    Attribute{"types",
              [](Event& event, std::string_view text) { event.types = split_types(text); }},
    Attribute{"cause", read_text<&Event::cause>},
    Attribute{"origin", read_text<&Event::origin>},
    Attribute{"correlationid", read_text<&Event::correlation_id>},
    Attribute{"traceparent", read_text<&Event::traceparent>},
    Attribute{"program", read_text<&Event::program>},
    Attribute{"recordversion", read_text<&Event::version>},
    Attribute{"request", read_text<&Event::request>}};

// All of it but the data.
Result<void> read_attributes(const Json& json, Event& event) {
  if (!json.is_object()) return fail(Errc::malformed, "an event is not a JSON object");
  auto next = kAttributes.begin();
  for (const auto& [key, value] : json.get_object()) {
    if (!value.is_string()) continue;
    const auto named = [&key](const Attribute& attribute) { return attribute.name == key; };
    auto found = std::find_if(next, kAttributes.end(), named);
    if (found == kAttributes.end()) found = std::find_if(kAttributes.begin(), next, named);
    if (found == next && !named(*found)) continue;
    found->read(event, value.get_string());
    next = std::next(found) == kAttributes.end() ? kAttributes.begin() : std::next(found);
  }
  if (event.types.empty()) event.types = split_types(event.type);
  event.entity = event.type.substr(0, event.type.find('.'));
  const std::string_view time = string_or(json, "time", "");
  if (time.empty()) return {};
  MILLRACE_TRY(parsed, parse_rfc3339(time));
  event.time = parsed;
  return {};
}

// Up to the value of `data`, which comes last.
std::string encode_attributes(const Event& event) {
  std::string out;
  out.reserve(768);
  out += R"({"specversion":"1.0","id":)";
  append_json_string(out, event.id);
  each_attribute(event,
                 [&out](std::string_view key, std::string_view value) { member(out, key, value); });
  out += ",\"data\":";
  return out;
}

Json* data_of(Json& event) {
  return event.get_object().if_contains("data");
}

Json expression_input(const Event& event, Json data) {
  const JsonMemory memory = data.storage();
  JsonObject input(memory);
  input.reserve(16);
  input.emplace("id", event.id);
  input.emplace("type", event.type);
  input.emplace("source", event.source);
  input.emplace("subject", event.subject);
  input.emplace("time", to_rfc3339(event.time));
  input.emplace("record", event.record);
  if (event.rev != 0)
    input.emplace("rev", event.rev <= INT64_MAX ? Json(static_cast<std::int64_t>(event.rev))
                                                : Json(event.rev));
  input.emplace("entityversion", static_cast<std::int64_t>(event.entity_version));
  JsonArray types(memory);
  for (const std::string& type : event.types) types.emplace_back(type);
  input.emplace("types", std::move(types));
  if (!event.cause.empty()) input.emplace("cause", event.cause);
  if (!event.origin.empty()) input.emplace("origin", event.origin);
  if (!event.correlation_id.empty()) input.emplace("correlationid", event.correlation_id);
  input.emplace("data", std::move(data));
  return Json(std::move(input));
}

}  // namespace

void make_unreadable(RawMessage& message, std::string reason) {
  message.kind = RawMessage::Kind::unreadable;
  message.record.clear();
  message.headers.emplace_back(kUnreadableReason, std::move(reason));
}

std::string take_reason(RawMessage& message) {
  // The last of that name is ours, whatever was sent.
  if (message.headers.empty() || message.headers.back().first != kUnreadableReason)
    return "the body is not JSON, too deep, or does not say whose record it is";
  std::string reason = std::move(message.headers.back().second);
  message.headers.pop_back();
  return reason;
}

std::string encode(const RawMessage& message) {
  std::string out;
  out.reserve(message.body.size() + message.record.size() + 128);
  out.push_back(kRawMessageVersion);
  out.push_back(static_cast<char>(message.kind));
  put_text(out, message.connection);
  put_text(out, message.record);
  put_text(out, message.id);
  put_text(out, message.origin);
  put_number(out, static_cast<std::uint64_t>(message.received_at.time_since_epoch().count()));
  put_number(out, message.headers.size());
  for (const auto& [name, value] : message.headers) {
    put_text(out, name);
    put_text(out, value);
  }
  put_text(out, message.body);
  return out;
}

Result<RawMessage> decode_raw_message(std::string_view bytes) {
  if (bytes.size() < 2) return fail(Errc::corrupt, "an inbox payload is shorter than its header");
  if (bytes[0] != kRawMessageVersion) {
    return fail(Errc::newer_format,
                fmt::format("an inbox payload has format {}; this binary knows {}",
                            static_cast<int>(bytes[0]), static_cast<int>(kRawMessageVersion)));
  }
  RawMessage message;
  message.kind = static_cast<RawMessage::Kind>(bytes[1]);
  Cursor cursor(bytes.substr(2));
  std::uint64_t micros = 0;
  std::uint64_t headers = 0;
  bool ok = cursor.text(message.connection) && cursor.text(message.record) &&
            cursor.text(message.id) && cursor.text(message.origin) && cursor.number(micros) &&
            cursor.number(headers);
  for (; ok && headers > 0; --headers) {
    auto& [name, value] = message.headers.emplace_back();
    ok = cursor.text(name) && cursor.text(value);
  }
  if (!ok || !cursor.text(message.body) || !cursor.done()) {
    return fail(Errc::corrupt, "an inbox payload does not have the documented form");
  }
  message.received_at = WallTime(microseconds(static_cast<std::int64_t>(micros)));
  return message;
}

std::string_view Event::name() const {
  const std::string_view whole(type);
  const std::size_t dot = whole.rfind('.');
  return dot == whole.npos ? whole : whole.substr(dot + 1);
}

std::string encode(const Event& event) {
  return encode(event, event.data);
}

std::string encode(const Event& event, const Json& data) {
  std::string out = encode_attributes(event);
  append_json(out, data);
  out.push_back('}');
  return out;
}

std::string encode_with(const Event& event, std::string_view data) {
  std::string out = encode_attributes(event);
  out.reserve(out.size() + data.size() + 1);
  out += data;
  out.push_back('}');
  return out;
}

Result<Event> decode_event(std::string_view bytes) {
  MILLRACE_TRY(json, parse_json(bytes));
  return event_of(std::move(json));
}

Result<Event> event_of(Json json) {
  Result<Event> event(std::in_place);
  MILLRACE_CHECK_OK(read_attributes(json, *event));
  if (Json* data = data_of(json)) event->data = std::move(*data);
  return event;
}

Json to_expression_input(Event& event) {
  return expression_input(event, std::exchange(event.data, nullptr));
}

Result<DecodedEvent> read_event(std::string_view bytes, JsonMemory memory) {
  MILLRACE_TRY(json, parse_json(bytes, {}, memory));
  Result<DecodedEvent> decoded(std::in_place, Event{}, Json(memory));
  MILLRACE_CHECK_OK(read_attributes(json, decoded->event));
  Json* data = data_of(json);
  decoded->input =
      expression_input(decoded->event, data != nullptr ? std::move(*data) : Json(memory));
  return decoded;
}

DecodedEventPtr make_decoded(Event event) {
  auto decoded = std::make_shared<DecodedEvent>();
  decoded->input = to_expression_input(event);
  decoded->event = std::move(event);
  return decoded;
}

}  // namespace millrace
