#include "net/http_wire.hpp"

#include <gtest/gtest.h>

#include "http_vectors.hpp"

namespace millrace {
namespace {

using testing_net::HttpVector;

/// What the whole message comes to: 0 when accepted, -1 when unfinished, else the refusal's status.
int judge(std::string_view message, std::size_t step) {
  const HttpHeadLimits limits;
  HeadScanner scanner(limits);
  auto state = HeadScanner::State::more;
  for (std::size_t size = std::min(step, message.size());;
       size = std::min(size + step, message.size())) {
    state = scanner.scan(message.substr(0, size));
    if (state != HeadScanner::State::more || size == message.size()) break;
  }
  if (state == HeadScanner::State::refused) return scanner.refusal().status;
  if (state == HeadScanner::State::more) return -1;
  const auto head = parse_request_head(message.substr(0, scanner.end()), limits);
  if (!head) return head.error().status;
  std::string_view rest = message.substr(scanner.end());
  if (head->framing != BodyFraming::chunked) return rest.size() == head->content_length ? 0 : -1;
  ChunkDecoder decoder({});
  std::string body;
  while (true) {
    std::string_view part = rest.substr(0, step);
    const std::size_t before = part.size();
    const auto decoded = decoder.feed(part, body);
    rest.remove_prefix(before - part.size());
    if (decoded == ChunkDecoder::State::refused) return decoder.refusal().status;
    if (decoded == ChunkDecoder::State::done) return rest.empty() ? 0 : -1;
    if (rest.empty()) return -1;
  }
}

TEST(HttpWire, RefusesEveryVectorHoweverItIsCut) {
  EXPECT_GE(testing_net::kRefused.size(), 60u);
  for (const HttpVector& vector : testing_net::kRefused) {
    for (const std::size_t step : {1u, 2u, 7u, 100'000u}) {
      const int status = judge(vector.bytes, step);
      EXPECT_TRUE(status >= 400 && status < 600)
          << vector.name << " in steps of " << step << " gave " << status;
    }
  }
}

TEST(HttpWire, AcceptsEveryValidVectorHoweverItIsCut) {
  EXPECT_GE(testing_net::kValid.size(), 13u);
  for (const HttpVector& vector : testing_net::kValid) {
    for (const std::size_t step : {1u, 2u, 7u, 100'000u}) {
      EXPECT_EQ(judge(vector.bytes, step), 0) << vector.name << " in steps of " << step;
    }
  }
}

TEST(HttpWire, ReadsARequestHead) {
  const auto head = parse_request_head(
      "POST /hooks/odoo?x=1 HTTP/1.1\r\nHost: a\r\nX-Thing:  two words \r\nContent-Length: 12\r\n"
      "Expect: 100-Continue\r\nConnection: foo, Close\r\n\r\n",
      {});
  ASSERT_TRUE(head);
  EXPECT_EQ(head->method, "POST");
  EXPECT_EQ(head->target, "/hooks/odoo?x=1");
  EXPECT_EQ(header(head->headers, "X-THING"), "two words");
  EXPECT_EQ(head->headers[1].first, "x-thing");
  EXPECT_EQ(head->framing, BodyFraming::length);
  EXPECT_EQ(head->content_length, 12u);
  EXPECT_TRUE(head->expects_continue);
  EXPECT_FALSE(head->keep_alive);
}

TEST(HttpWire, KeepsAnHttp10ConnectionOnlyWhenAsked) {
  EXPECT_FALSE(parse_request_head("GET / HTTP/1.0\r\n\r\n", {})->keep_alive);
  EXPECT_TRUE(
      parse_request_head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", {})->keep_alive);
}

TEST(HttpWire, TellsTooLongLinesHeadersAndFieldCountsApart) {
  const std::string long_target = "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(judge(long_target, 1000), 414);
  const std::string long_field =
      "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(9000, 'a') + "\r\n\r\n";
  EXPECT_EQ(judge(long_field, 1000), 431);
  std::string fields = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 99; ++i) fields += "X: 1\r\n";
  EXPECT_EQ(judge(fields + "\r\n", 100'000), 0);
  EXPECT_EQ(judge(fields + "X: 1\r\n\r\n", 100'000), 431);
}

TEST(HttpWire, AcceptsAHeaderOfExactlyTheLimit) {
  const std::string frame = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
  const auto filled = [&](std::size_t size) {
    return "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(size - frame.size(), 'a') + "\r\n\r\n";
  };
  EXPECT_EQ(judge(filled(8192), 100'000), 0);
  EXPECT_EQ(judge(filled(8193), 100'000), 431);
  EXPECT_EQ(judge(filled(8193), 1), 431);
}

TEST(HttpWire, CapsChunkExtensionsOverTheWholeBody) {
  ChunkDecoder decoder({});
  std::string body;
  const std::string chunk = "1;x=" + std::string(1000, 'y') + "\r\na\r\n";
  auto state = ChunkDecoder::State::more;
  int chunks = 0;
  while (state == ChunkDecoder::State::more && chunks < 100) {
    std::string_view input = chunk;
    state = decoder.feed(input, body);
    ++chunks;
  }
  EXPECT_EQ(state, ChunkDecoder::State::refused);
  EXPECT_EQ(decoder.refusal().status, 400);
  EXPECT_EQ(chunks, 5);
}

TEST(HttpWire, RefusesAnEndlessChunkExtensionBeforeItsLineEnds) {
  ChunkDecoder decoder({});
  std::string body;
  const std::string endless = "1;x=" + std::string(5000, 'y');
  std::string_view input = endless;
  EXPECT_EQ(decoder.feed(input, body), ChunkDecoder::State::refused);
}

TEST(HttpWire, CapsTheNumberOfChunks) {
  ChunkLimits limits;
  limits.chunks_max = 3;
  ChunkDecoder decoder(limits);
  std::string body;
  std::string_view input = "1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n";
  EXPECT_EQ(decoder.feed(input, body), ChunkDecoder::State::refused);
  EXPECT_EQ(body, "aaa");
}

TEST(HttpWire, RefusesAChunkBeyondTheBodyLimitBeforeItsData) {
  ChunkLimits limits;
  limits.body_max = 10;
  ChunkDecoder decoder(limits);
  std::string body;
  std::string_view input = "6\r\nabcdef\r\n5\r\n";
  EXPECT_EQ(decoder.feed(input, body), ChunkDecoder::State::refused);
  EXPECT_EQ(decoder.refusal().status, 413);
}

TEST(HttpWire, CapsTrailers) {
  ChunkDecoder decoder({});
  std::string body;
  std::string message = "0\r\n";
  for (int i = 0; i < 101; ++i) message += "X: 1\r\n";
  std::string_view input = message;
  EXPECT_EQ(decoder.feed(input, body), ChunkDecoder::State::refused);
  EXPECT_EQ(decoder.refusal().status, 431);
}

TEST(HttpWire, LeavesWhatFollowsAChunkedBody) {
  ChunkDecoder decoder({});
  std::string body;
  std::string_view input = "1\r\na\r\n0\r\n\r\nGET /";
  EXPECT_EQ(decoder.feed(input, body), ChunkDecoder::State::done);
  EXPECT_EQ(input, "GET /");
}

BodyFraming framing_of(std::string_view head, bool answers_head = false) {
  const auto parsed = parse_response_head(head, {}, answers_head);
  EXPECT_TRUE(parsed) << head;
  return parsed ? parsed->framing : BodyFraming::none;
}

TEST(HttpWire, FramesAnswers) {
  EXPECT_EQ(framing_of("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), BodyFraming::length);
  EXPECT_EQ(framing_of("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true), BodyFraming::none);
  EXPECT_EQ(framing_of("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n"), BodyFraming::chunked);
  EXPECT_EQ(framing_of("HTTP/1.1 204 \r\n\r\n"), BodyFraming::none);
  EXPECT_EQ(framing_of("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n"),
            BodyFraming::none);
  EXPECT_EQ(framing_of("HTTP/1.1 100 Continue\r\n\r\n"), BodyFraming::none);
  EXPECT_EQ(framing_of("HTTP/1.0 200 OK\r\n\r\n"), BodyFraming::until_close);
}

TEST(HttpWire, RefusesAmbiguousAnswers) {
  for (const std::string_view head :
       {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 99 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 600 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\n\r\n"}) {
    EXPECT_FALSE(parse_response_head(head, {}, false)) << head;
  }
}

}  // namespace
}  // namespace millrace
