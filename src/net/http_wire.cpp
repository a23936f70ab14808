#include "net/http_wire.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/byte_scan.hpp"
#include "net/ascii.hpp"

namespace millrace {

namespace {

using Refused = std::unexpected<HttpRefusal>;

Refused refused(int status, std::string_view reason) {
  return Refused(HttpRefusal{status, reason});
}

constexpr std::array<std::string_view, 7> kMethods = {"GET",   "POST",   "HEAD",   "PUT",
                                                      "PATCH", "DELETE", "OPTIONS"};

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

/// Cuts the next line off `text`; its end was checked by the scanner.
std::string_view next_line(std::string_view& text) {
  const auto end = text.find("\r\n");
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 2);
  return line;
}

std::string_view check_target(std::string_view target) {
  if (target.empty() || target.front() != '/') return "the request target must start with '/'";
  for (std::size_t i = 0; i < target.size(); ++i) {
    const char c = target[i];
    if (c < 0x21 || c > 0x7e) return "the request target must be visible ASCII";
    if (c == '#') return "the request target must not have a fragment";
    if (c != '%') continue;
    const bool triplet =
        i + 2 < target.size() && is_hex_digit(target[i + 1]) && is_hex_digit(target[i + 2]);
    if (!triplet) return "the request target has a malformed percent-encoding";
  }
  return {};
}

/// Fields that decide framing and reuse, gathered while the fields are read.
struct Framing {
  std::size_t host_count = 0;
  std::size_t length_count = 0;
  std::size_t encoding_count = 0;
  std::string_view host;
  std::string_view length;
  std::string_view encoding;
  std::string_view expect;
  bool close = false;
  bool keep_alive = false;
};

void read_connection_options(std::string_view value, Framing& framing) {
  while (true) {
    const auto comma = value.find(',');
    const std::string_view option = trim_blanks(value.substr(0, comma));
    if (equal_ignoring_case(option, "close")) framing.close = true;
    if (equal_ignoring_case(option, "keep-alive")) framing.keep_alive = true;
    if (comma == std::string_view::npos) return;
    value.remove_prefix(comma + 1);
  }
}

void note_field(std::string_view name, std::string_view value, Framing& framing) {
  if (name == "host") {
    ++framing.host_count;
    framing.host = value;
  } else if (name == "content-length") {
    ++framing.length_count;
    framing.length = value;
  } else if (name == "transfer-encoding") {
    ++framing.encoding_count;
    framing.encoding = value;
  } else if (name == "connection") {
    read_connection_options(value, framing);
  } else if (name == "expect") {
    framing.expect = value;
  }
}

/// Reads all field lines up to the empty line. Empty: fine.
HttpRefusal read_fields(std::string_view text, const HttpHeadLimits& limits, HttpHeaders& headers,
                        Framing& framing) {
  headers.reserve(12);
  while (true) {
    const std::string_view line = next_line(text);
    if (line.empty()) break;
    if (line.front() == ' ' || line.front() == '\t') {
      return {400, "a header field is folded over several lines"};
    }
    if (headers.size() == limits.fields_max) return {431, "there are too many header fields"};
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
      return {400, "a header field's name is malformed"};
    }
    const std::string_view value = trim_blanks(line.substr(colon + 1));
    headers.emplace_back(ascii_lower(line.substr(0, colon)), value);
    note_field(headers.back().first, value, framing);
  }
  if (!text.empty()) return {400, "the header does not end at its empty line"};
  return {0, {}};
}

/// Digits only, and no more than fit.
bool parse_length(std::string_view text, std::uint64_t& length) {
  if (text.empty() || text.size() > 18 || !std::ranges::all_of(text, is_digit)) return false;
  std::from_chars(text.data(), text.data() + text.size(), length);
  return true;
}

/// Transfer-Encoding and Content-Length, for both directions.
HttpRefusal decide_framing(const Framing& fields, bool http_1_0, BodyFraming& framing,
                           std::uint64_t& length) {
  if (fields.encoding_count > 0) {
    if (http_1_0) return {400, "Transfer-Encoding is not part of HTTP/1.0"};
    if (fields.encoding_count > 1) return {400, "there are several Transfer-Encoding fields"};
    if (!equal_ignoring_case(fields.encoding, "chunked")) {
      return {400, "Transfer-Encoding may only be chunked"};
    }
    if (fields.length_count > 0)
      return {400, "Transfer-Encoding and Content-Length exclude each other"};
    framing = BodyFraming::chunked;
    return {0, {}};
  }
  if (fields.length_count > 1) return {400, "there are several Content-Length fields"};
  if (fields.length_count == 1) {
    if (!parse_length(fields.length, length)) return {400, "Content-Length is malformed"};
    framing = BodyFraming::length;
  }
  return {0, {}};
}

std::expected<void, HttpRefusal> parse_request_line(std::string_view line, HttpRequestHead& head) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return refused(400, "the request line is malformed");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(method)) return refused(400, "the method is malformed");
  const bool http = version.size() == 8 && version.starts_with("HTTP/") && is_digit(version[5]) &&
                    version[6] == '.' && is_digit(version[7]);
  if (!http) return refused(400, "the HTTP version is malformed");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return refused(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
  }
  if (std::ranges::find(kMethods, method) == kMethods.end())
    return refused(501, "the method is not supported");
  if (const auto problem = check_target(target); !problem.empty()) return refused(400, problem);
  head.method = method;
  head.target = target;
  head.http_1_0 = version == "HTTP/1.0";
  return {};
}

/// Puts the scanner's checks before the parse, so that the parse may rely on clean lines.
HttpRefusal check_lines(std::string_view& head, const HttpHeadLimits& limits) {
  HeadScanner scanner(limits);
  switch (scanner.scan(head)) {
    case HeadScanner::State::refused:
      return scanner.refusal();
    case HeadScanner::State::more:
      return {400, "the header has no end"};
    case HeadScanner::State::complete:
      break;
  }
  if (scanner.end() != head.size()) return {400, "the header ends before its bytes do"};
  head.remove_prefix(scanner.begin());
  return {0, {}};
}

}  // namespace

HeadScanner::State HeadScanner::refuse(int status, std::string_view reason) {
  refusal_ = {status, reason};
  return State::refused;
}

HeadScanner::State HeadScanner::scan(std::string_view buffer) {
  const std::size_t limit = std::min(buffer.size(), begin_ + limits_.bytes_max);
  while ((position_ = find_special<false>(buffer.substr(0, limit), position_)) < limit) {
    const char c = buffer[position_];
    if (c == '\r') {
      if (position_ + 1 == buffer.size()) break;
      if (buffer[position_ + 1] != '\n') return refuse(400, "a line ends with a bare CR");
      const bool empty_line = position_ == line_start_;
      position_ += 2;
      line_start_ = position_;
      if (!empty_line) {
        first_line_done_ = true;
      } else if (first_line_done_) {
        return position_ - begin_ <= limits_.bytes_max ? State::complete
                                                       : refuse(431, "the header is too large");
      } else if (begin_ == 0) {
        begin_ = position_;
        return scan(buffer);
      } else {
        return refuse(400, "there is no request line");
      }
      continue;
    }
    if (c == '\n') return refuse(400, "a line ends with a bare LF");
    if (is_control(c)) return refuse(400, "the header has control bytes");
    ++position_;
  }
  if (buffer.size() - begin_ < limits_.bytes_max) return State::more;
  if (!first_line_done_) return refuse(414, "the request line is too long");
  return refuse(431, "the header is too large");
}

std::expected<HttpRequestHead, HttpRefusal> parse_request_head(std::string_view head,
                                                               const HttpHeadLimits& limits) {
  if (const auto bad = check_lines(head, limits); bad.status != 0) return Refused(bad);
  HttpRequestHead request;
  if (auto line = parse_request_line(next_line(head), request); !line) return Refused(line.error());
  Framing fields;
  const auto bad = read_fields(head, limits, request.headers, fields);
  if (bad.status != 0) return Refused(bad);
  // HTTP/1.0 knows no Host; health checkers leave it out there.
  if (fields.host_count > 1) return refused(400, "there are several Host fields");
  if (fields.host_count == 0 && !request.http_1_0) return refused(400, "the Host field is missing");
  if (fields.host_count == 1 && !is_valid_host(fields.host)) {
    return refused(400, "the Host field is malformed");
  }
  const auto misframed =
      decide_framing(fields, request.http_1_0, request.framing, request.content_length);
  if (misframed.status != 0) return Refused(misframed);
  if (!fields.expect.empty()) {
    if (!equal_ignoring_case(fields.expect, "100-continue")) {
      return refused(417, "the expectation cannot be met");
    }
    request.expects_continue = !request.http_1_0;
  }
  request.keep_alive = !fields.close && (!request.http_1_0 || fields.keep_alive);
  return request;
}

std::expected<HttpResponseHead, HttpRefusal> parse_response_head(std::string_view head,
                                                                 const HttpHeadLimits& limits,
                                                                 bool answers_head) {
  if (const auto bad = check_lines(head, limits); bad.status != 0) return Refused(bad);
  const std::string_view line = next_line(head);
  HttpResponseHead response;
  const bool http_1_0 = line.starts_with("HTTP/1.0 ");
  if (!http_1_0 && !line.starts_with("HTTP/1.1 ")) return refused(400, "it is not HTTP/1.1");
  const std::string_view code = line.substr(9, 3);
  const bool three_digits = code.size() == 3 && std::ranges::all_of(code, is_digit);
  if (!three_digits || code[0] < '1' || code[0] > '5' || (line.size() > 12 && line[12] != ' ')) {
    return refused(400, "its status line is malformed");
  }
  response.status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
  Framing fields;
  const auto bad = read_fields(head, limits, response.headers, fields);
  if (bad.status != 0) return Refused(bad);
  const auto misframed =
      decide_framing(fields, http_1_0, response.framing, response.content_length);
  if (misframed.status != 0) return Refused(misframed);
  response.keep_alive = !fields.close && (!http_1_0 || fields.keep_alive);
  const bool bodiless =
      answers_head || response.status < 200 || response.status == 204 || response.status == 304;
  if (bodiless) {
    response.framing = BodyFraming::none;
  } else if (response.framing == BodyFraming::none) {
    response.framing = BodyFraming::until_close;
    response.keep_alive = false;
  }
  return response;
}

bool is_valid_host(std::string_view value) {
  if (value.empty() || value.size() > 255 + 6) return false;
  std::string_view host = value;
  std::string_view after;
  if (value.front() == '[') {
    const auto bracket = value.find(']');
    if (bracket == std::string_view::npos) return false;
    host = value.substr(1, bracket - 1);
    after = value.substr(bracket + 1);
    const auto literal_char = [](char c) { return is_hex_digit(c) || c == ':' || c == '.'; };
    if (host.size() < 2 || !host.contains(':') || !std::ranges::all_of(host, literal_char)) {
      return false;
    }
  } else {
    const auto colon = value.find(':');
    host = value.substr(0, colon);
    if (colon != std::string_view::npos) after = value.substr(colon);
    if (host.empty()) return false;
    const auto name_char = [](char c) { return is_alnum(c) || c == '-' || c == '.' || c == '_'; };
    if (!std::ranges::all_of(host, name_char)) return false;
  }
  if (after.empty()) return true;
  const std::string_view port = after.substr(1);
  if (after.front() != ':' || port.empty() || port.size() > 5) return false;
  unsigned number = 0;
  if (!std::ranges::all_of(port, is_digit)) return false;
  std::from_chars(port.data(), port.data() + port.size(), number);
  return number > 0 && number <= 65535;
}

bool is_writable_field(std::string_view name, std::string_view value) {
  return is_token(name) && std::ranges::none_of(value, is_control);
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status";
  }
}

}  // namespace millrace
