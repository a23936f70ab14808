#include "net/problem.hpp"

#include <fmt/format.h>

#include "net/http_wire.hpp"

namespace millrace {

namespace {

std::string quoted(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      json += fmt::format("\\u{:04x}", byte);
    } else {
      json += c;
    }
  }
  json += '"';
  return json;
}

}  // namespace

HttpResponse problem(int status, std::string_view title, std::string_view detail) {
  HttpResponse response;
  response.status = status;
  response.headers.emplace_back("Content-Type", "application/problem+json");
  response.body = fmt::format(R"({{"type":"about:blank","title":{},"status":{})",
                              quoted(title.empty() ? reason_phrase(status) : title), status);
  if (!detail.empty()) response.body += fmt::format(R"(,"detail":{})", quoted(detail));
  response.body += "}\n";
  return response;
}

}  // namespace millrace
