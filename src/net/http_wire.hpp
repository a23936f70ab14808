// HTTP/1.1 on the wire: pure functions over bytes. Beast 1.81 accepts messages that other servers
// frame differently (request smuggling), so framing is decided here, strictly: what RFC 9110 and
// 9112 forbid or leave ambiguous is refused, and whoever refuses closes the connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "millrace/http.hpp"

namespace millrace {

/// Why a message is refused: the status to answer with and a sentence without internals.
struct HttpRefusal {
  int status = 400;
  std::string_view reason;
};

struct HttpHeadLimits {
  std::size_t bytes_max = 8192;  ///< request line or status line, fields and the empty line
  std::size_t fields_max = 100;
};

enum class BodyFraming : std::uint8_t { none, length, chunked, until_close };

struct HttpRequestHead {
  std::string method;
  std::string target;   ///< as received: starts with '/'
  HttpHeaders headers;  ///< names in lower case, values without blanks around them
  BodyFraming framing = BodyFraming::none;
  std::uint64_t content_length = 0;
  bool keep_alive = true;
  bool expects_continue = false;
  bool http_1_0 = false;
};

struct HttpResponseHead {
  int status = 0;
  HttpHeaders headers;  ///< names in lower case
  BodyFraming framing = BodyFraming::none;
  std::uint64_t content_length = 0;
  bool keep_alive = true;
};

/// Finds the end of a head in bytes that arrive in pieces, and refuses control bytes (NUL, a bare
/// CR or LF) as soon as they are seen, so that a peer with another idea of lines does not hang.
class HeadScanner {
 public:
  enum class State : std::uint8_t { more, complete, refused };
  explicit HeadScanner(HttpHeadLimits limits) : limits_(limits) {}
  /// `buffer` is everything received since the message began.
  State scan(std::string_view buffer);
  std::size_t begin() const { return begin_; }   ///< after an empty line sent ahead (RFC 9112 2.2)
  std::size_t end() const { return position_; }  ///< after the empty line, when complete
  HttpRefusal refusal() const { return refusal_; }

 private:
  State refuse(int status, std::string_view reason);

  HttpHeadLimits limits_;
  std::size_t begin_ = 0;
  std::size_t position_ = 0;
  std::size_t line_start_ = 0;
  bool first_line_done_ = false;
  HttpRefusal refusal_;
};

/// `head` ends with its empty line.
std::expected<HttpRequestHead, HttpRefusal> parse_request_head(std::string_view head,
                                                               const HttpHeadLimits& limits);
/// `answers_head`: the request was HEAD, whose answer has no body whatever its fields say.
std::expected<HttpResponseHead, HttpRefusal> parse_response_head(std::string_view head,
                                                                 const HttpHeadLimits& limits,
                                                                 bool answers_head);

struct ChunkLimits {
  std::size_t body_max = 1 << 20;
  std::size_t extension_bytes_max = 4096;  ///< of all chunks together
  std::size_t chunks_max = 16384;
  std::size_t trailer_bytes_max = 8192;
  std::size_t trailer_fields_max = 100;
};

/// Decodes a chunked body that arrives in pieces. Trailers are checked and dropped.
class ChunkDecoder {
 public:
  enum class State : std::uint8_t { more, done, refused };
  explicit ChunkDecoder(ChunkLimits limits) : limits_(limits) {}
  /// Consumes what it can from `input`, appends data to `body` (never beyond body_max). After
  /// `done` the rest of `input` belongs to the next message.
  State feed(std::string_view& input, std::string& body);
  HttpRefusal refusal() const { return refusal_; }

 private:
  enum class Step : std::uint8_t { size, data, data_end, trailer };
  State refuse(int status, std::string_view reason);
  State take_line(std::string_view& input, std::size_t bytes_max);
  State begin_chunk(const std::string& body);
  State take_trailer();

  ChunkLimits limits_;
  Step step_ = Step::size;
  std::string line_;  ///< the unfinished size or trailer line
  std::uint64_t left_ = 0;
  std::size_t extension_bytes_ = 0;
  std::size_t chunks_ = 0;
  std::size_t trailer_bytes_ = 0;
  std::size_t trailer_fields_ = 0;
  HttpRefusal refusal_;
};

/// uri-host [":" port] as it may stand in Host.
bool is_valid_host(std::string_view value);
/// Whether a field may be written: a token name, no control bytes in the value.
bool is_writable_field(std::string_view name, std::string_view value);
/// The usual words after a status code; "Status" for unusual ones.
std::string_view reason_phrase(int status);

}  // namespace millrace
