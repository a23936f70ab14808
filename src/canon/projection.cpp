#include "canon/projection.hpp"

#include <fmt/format.h>

#include <charconv>

namespace millrace::canon {

std::string encode(const Projection& projection) {
  std::string text;
  text.reserve(projection.data.size() + 256);
  // The revision is text: it does not fit the integers every JSON reader keeps exactly.
  fmt::format_to(std::back_inserter(text), R"({{"rev":"{}","program":"{}","version":{})",
                 projection.rev, projection.program, projection.version);
  if (projection.has_cause) {
    fmt::format_to(std::back_inserter(text), R"(,"cause":"{}:{}")", projection.cause_partition,
                   projection.cause_offset);
  }
  if (projection.deleted) text += R"(,"deleted":true)";
  text += ",\"name\":";
  append_json_string(text, projection.name);
  text += ",\"data\":";
  text += projection.data;
  text += '}';
  return text;
}

namespace {

Projection header_of(const Json& json) {
  Projection projection;
  const std::string_view rev = string_or(json, "rev", "");
  std::from_chars(rev.data(), rev.data() + rev.size(), projection.rev);
  projection.program = string_or(json, "program", "");
  projection.deleted = bool_or(json, "deleted", false);
  const Json* version = find(json, "version");
  projection.version = version ? write_json(*version) : "null";
  const std::string_view cause = string_or(json, "cause", "");
  if (const std::size_t colon = cause.find(':'); colon != cause.npos) {
    projection.has_cause = true;
    std::from_chars(cause.data(), cause.data() + colon, projection.cause_partition);
    std::from_chars(cause.data() + colon + 1, cause.data() + cause.size(), projection.cause_offset);
  }
  return projection;
}

}  // namespace

Result<Projection> decode_projection_header(std::string_view text) {
  // Members stand in the order in which encode() writes them; no text in them has a bare quote.
  const std::size_t end = text.find(R"(,"name":)");
  if (end == text.npos) return fail(Errc::corrupt, "a projection row has no name");
  MILLRACE_TRY(json, parse_json(std::string(text.substr(0, end)) + "}"));
  return header_of(json);
}

Result<Projection> decode_projection(std::string_view text) {
  MILLRACE_TRY(json, parse_json(text));
  Projection projection = header_of(json);
  projection.name = string_or(json, "name", "");
  const Json* data = find(json, "data");
  if (data == nullptr) return fail(Errc::corrupt, "a projection row has no data");
  projection.data = write_json(*data);
  return projection;
}

bool same_data(const Json& data, std::string_view stored) {
  if (write_json(data) == stored) return true;
  const auto before = parse_json(stored);
  return before && equal_json(data, *before);
}

}  // namespace millrace::canon
