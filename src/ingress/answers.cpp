#include "ingress/answers.hpp"

#include "net/ascii.hpp"

namespace millrace::ingress {
HttpResponse accepted_hook() {
  HttpResponse answer;
  answer.headers.reserve(1);
  answer.headers.emplace_back("Content-Type", "application/json");
  answer.body = "{}";
  return answer;
}

HttpResponse not_found() {
  return problem(404, "", "");
}

HttpResponse method_not_allowed(std::string_view allow) {
  HttpResponse answer = problem(405, "", "");
  answer.headers.emplace_back("Allow", allow);
  return answer;
}

HttpResponse refusal(const Error& error) {
  if (error.code == Errc::too_large) return problem(413, "", "the message is too large");
  HttpResponse answer = problem(503, "", error.message);
  // A full disk needs a person; the other reasons pass by themselves.
  answer.headers.emplace_back("Retry-After", error.code == Errc::disk_full ? "30" : "1");
  return answer;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    if (!is_hex_digit(text[i + 1]) || !is_hex_digit(text[i + 2])) return std::nullopt;
    out.push_back(static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2])));
    i += 2;
  }
  return out;
}

}  // namespace millrace::ingress
