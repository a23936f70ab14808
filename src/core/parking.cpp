#include "millrace/parking.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <iterator>
#include <utility>
#include <vector>

namespace millrace {
namespace {

constexpr std::array<std::string_view, 9> kStates{
    "retrying", "behind", "held",        "waiting_reference", "needs_decision",
    "unknown",  "dead",   "resubmitted", "discarded"};

// Hexadecimal digits at the end of a key.
constexpr std::size_t kOffset = 16;
constexpr std::size_t kSend = 2;

std::string key_of(std::string_view owner, Partition partition, Offset offset, int send) {
  return row_key(std::string(owner), fmt::format("{:02x}", partition),
                 fmt::format("{:016x}{:02x}", offset, send));
}

void add_text(std::string& out, std::string_view key, std::string_view value) {
  fmt::format_to(std::back_inserter(out), R"(,"{}":)", key);
  append_json_string(out, value);
}

void add_number(std::string& out, std::string_view key, std::int64_t value) {
  fmt::format_to(std::back_inserter(out), R"(,"{}":{})", key, value);
}

void add_request(std::string& out, const HttpRequest& request) {
  out += R"(,"request":{"method":)";
  append_json_string(out, request.method);
  add_text(out, "target", request.target);
  out += R"(,"headers":[)";
  for (const auto& [name, value] : request.headers) {
    out += out.back() == '[' ? "[" : ",[";
    append_json_string(out, name);
    out.push_back(',');
    append_json_string(out, value);
    out.push_back(']');
  }
  out.push_back(']');
  add_text(out, "body", request.body);
  out.push_back('}');
}

HttpHeaders headers_of(const Json* list) {
  HttpHeaders headers;
  if (list == nullptr || !list->is_array()) return headers;
  for (const Json& pair : list->get_array()) {
    const JsonArray* both = pair.if_array();
    if (both == nullptr || both->size() != 2 || !(*both)[0].is_string() ||
        !(*both)[1].is_string()) {
      continue;
    }
    headers.emplace_back((*both)[0].get_string(), (*both)[1].get_string());
  }
  return headers;
}

std::string text_of(const Json& json, std::string_view key) {
  return std::string(string_or(json, key, ""));
}

}  // namespace

std::string_view to_string(ParkedState state) {
  return kStates.at(std::to_underlying(state));
}

Result<ParkedState> parse_parked_state(std::string_view text) {
  for (std::size_t i = 0; i < kStates.size(); ++i) {
    if (kStates[i] == text) return static_cast<ParkedState>(i);
  }
  return fail(Errc::corrupt, fmt::format("'{}' is no state of a parked row", text));
}

std::string parked_owner(std::string_view stage, std::string_view owner) {
  return stage == "deliver" ? std::string(owner) : fmt::format("{}.{}", stage, owner);
}

std::string parked_prefix(std::string_view owner, Partition partition) {
  return row_key(std::string(owner), fmt::format("{:02x}", partition)) + '\0';
}

std::string ParkedRow::id() const {
  std::string text = fmt::format("{}:{}:{}", parked_owner(stage, owner), partition, offset);
  if (send != 0) text += fmt::format(":{}", send);
  return text;
}

std::string ParkedRow::key() const {
  return key_of(parked_owner(stage, owner), partition, offset, send);
}

Result<std::string> parse_parked_id(std::string_view id) {
  std::vector<std::string_view> parts;
  for (std::string_view rest = id;;) {
    const std::size_t colon = rest.find(':');
    parts.push_back(rest.substr(0, colon));
    if (colon == rest.npos) break;
    rest.remove_prefix(colon + 1);
  }
  std::array<std::uint64_t, 3> numbers{};
  bool ok = parts.size() == 3 || parts.size() == 4;
  for (std::size_t i = 1; ok && i < parts.size(); ++i) {
    const auto [end, error] =
        std::from_chars(parts[i].data(), parts[i].data() + parts[i].size(), numbers[i - 1]);
    ok = error == std::errc{} && end == parts[i].data() + parts[i].size();
  }
  if (!ok || numbers[0] >= kPartitionCount || numbers[2] > 255) {
    return fail(
        Errc::invalid_argument,
        fmt::format("'{}' is no id of a parked row; they look like order-to-mes:12:345", id));
  }
  return key_of(parts[0], static_cast<Partition>(numbers[0]), numbers[1],
                static_cast<int>(numbers[2]));
}

Partition parked_partition(std::string_view key) {
  constexpr std::size_t kPartition = 2;
  constexpr std::size_t kBehind = kOffset + kSend + 1;  // and the separator
  MILLRACE_INVARIANT(key.size() >= kPartition + kBehind);
  Partition partition = 0;
  const char* digits = key.data() + key.size() - kPartition - kBehind;
  std::from_chars(digits, digits + kPartition, partition, 16);
  return partition;
}

Offset parked_offset(std::string_view key) {
  MILLRACE_INVARIANT(key.size() >= kOffset + kSend);
  Offset offset = 0;
  const char* digits = key.data() + key.size() - kOffset - kSend;
  std::from_chars(digits, digits + kOffset, offset, 16);
  return offset;
}

int parked_send(std::string_view key) {
  MILLRACE_INVARIANT(key.size() >= kOffset + kSend);
  int send = 0;
  std::from_chars(key.data() + key.size() - kSend, key.data() + key.size(), send, 16);
  return send;
}

std::uint64_t revision_of(const Json& object) {
  std::uint64_t rev = 0;
  const std::string_view text = string_or(object, "rev", "");
  std::from_chars(text.data(), text.data() + text.size(), rev);
  return rev;
}

WallTime appended_at_of(const ParkedRow& row) {
  return parse_rfc3339(string_or(row.payload, "appendedat", "")).value_or(row.since);
}

std::string encode(const ParkedRow& row) {
  return encode(row, write_json(row.payload));
}

std::string encode(const ParkedRow& row, std::string_view payload) {
  constexpr std::size_t kRest = 1024;
  std::string text;
  text.reserve(kRest + payload.size() + row.request.body.size() * 5 / 4);
  text += R"({"stage":)";
  append_json_string(text, row.stage);
  add_text(text, "owner", row.owner);
  add_text(text, "record", row.record);
  add_number(text, "partition", row.partition);
  add_number(text, "offset", static_cast<std::int64_t>(row.offset));
  add_number(text, "send", row.send);
  add_text(text, "state", to_string(row.state));
  add_text(text, "type", row.type);
  add_text(text, "subject", row.subject);
  add_text(text, "reason", row.reason);
  add_text(text, "cause", row.cause);
  if (!row.waits_for.empty()) add_text(text, "waits_for", row.waits_for);
  if (row.unanswered) text += R"(,"unanswered":true)";
  if (row.replay != 0) add_number(text, "replay", static_cast<std::int64_t>(row.replay));
  if (row.new_key) text += R"(,"new_key":true)";
  add_number(text, "attempts", row.attempts);
  add_number(text, "spent_ms", row.spent.count());
  add_text(text, "since", to_rfc3339(row.since));
  add_text(text, "next_at", to_rfc3339(row.next_at));
  add_text(text, "request_name", row.request_name);
  if (row.rendered) add_request(text, row.request);
  if (row.answer_status != 0) {
    text += fmt::format(R"(,"answer":{{"status":{})", row.answer_status);
    add_text(text, "body", row.answer_body);
    text.push_back('}');
  }
  text += R"(,"payload":)";
  text += payload;
  text.push_back('}');
  return text;
}

Result<ParkedRow> decode_parked_row(std::string_view text) {
  MILLRACE_TRY(json, parse_json(text));
  ParkedRow row;
  row.stage = text_of(json, "stage");
  row.owner = text_of(json, "owner");
  row.record = text_of(json, "record");
  row.partition = static_cast<Partition>(int_or(json, "partition", 0));
  row.offset = static_cast<Offset>(int_or(json, "offset", 0));
  row.send = static_cast<int>(int_or(json, "send", 0));
  MILLRACE_TRY(state, parse_parked_state(string_or(json, "state", "")));
  row.state = state;
  row.type = text_of(json, "type");
  row.subject = text_of(json, "subject");
  row.reason = text_of(json, "reason");
  row.cause = text_of(json, "cause");
  row.waits_for = text_of(json, "waits_for");
  if (const Json* unanswered = find(json, "unanswered")) {
    row.unanswered = unanswered->is_bool() && unanswered->get_bool();
  }
  row.replay = static_cast<std::uint64_t>(int_or(json, "replay", 0));
  row.new_key = bool_or(json, "new_key", false);
  row.attempts = static_cast<int>(int_or(json, "attempts", 0));
  row.spent = milliseconds(int_or(json, "spent_ms", 0));
  MILLRACE_TRY(since, parse_rfc3339(string_or(json, "since", "")));
  MILLRACE_TRY(next_at, parse_rfc3339(string_or(json, "next_at", "")));
  row.since = since;
  row.next_at = next_at;
  row.request_name = text_of(json, "request_name");
  if (json.is_object()) {
    if (Json* payload = json.get_object().if_contains("payload")) {
      row.payload = std::move(*payload);
    }
  }
  if (const Json* request = find(json, "request")) {
    row.rendered = true;
    row.request.method = text_of(*request, "method");
    row.request.target = text_of(*request, "target");
    row.request.headers = headers_of(find(*request, "headers"));
    row.request.body = text_of(*request, "body");
  }
  if (const Json* answer = find(json, "answer")) {
    row.answer_status = static_cast<int>(int_or(*answer, "status", 0));
    row.answer_body = text_of(*answer, "body");
  }
  return row;
}

}  // namespace millrace
