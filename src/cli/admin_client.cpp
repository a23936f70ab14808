#include "cli/admin_client.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <charconv>
#include <future>

#include "net/egress.hpp"
#include "net/http_client.hpp"
#include "net/shard.hpp"

namespace millrace::cli {
namespace {

bool is_loopback(const std::string& host) {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return host == "localhost";
}

// What went wrong, in terms of the daemon that was asked.
Error explained(const Error& error, const AdminAddress& address, milliseconds limit) {
  switch (error.code) {
    case Errc::unanswered:
      return {Errc::unanswered,
              fmt::format("millraced at {} did not answer within {} s, or cut its answer off: what "
                          "was asked may have happened; look before you repeat it",
                          address.text(), std::chrono::ceil<seconds>(limit).count())};
    case Errc::too_large:
      return {Errc::too_large, "the answer is larger than 64 MB; ask for less, e.g. --limit"};
    case Errc::tls:
      return {Errc::tls,
              fmt::format("{} is not to be trusted with the token: {}; give --ca FILE when its "
                          "certificate is of another authority",
                          address.text(), error.message)};
    default:
      return {error.code,
              fmt::format("cannot reach millraced at {}: is it running? ({}; systemctl status "
                          "millraced, or millraced --config DIR)",
                          address.text(), error.message)};
  }
}

Awaitable<void> send(HttpClient* client, HttpRequest request, milliseconds limit,
                     std::promise<Result<HttpResponse>> answered) {
  auto answer = co_await client->send(std::move(request), limit);
  answered.set_value(std::move(answer));
}

std::string value_text(const Json& value) {
  return value.is_string() ? std::string(value.get_string()) : write_json(value);
}

std::string fill_path(std::string_view pattern, JsonObject& arguments) {
  std::string path;
  while (!pattern.empty()) {
    const std::size_t open = pattern.find('{');
    path += pattern.substr(0, open);
    if (open == pattern.npos) break;
    const std::size_t close = pattern.find('}', open);
    const std::string_view name = pattern.substr(open + 1, close - open - 1);
    if (const Json* value = arguments.if_contains(name)) {
      path += percent_encode(value_text(*value));
      arguments.stable_erase(arguments.find(name));
    }
    pattern.remove_prefix(close + 1);
  }
  return path;
}

}  // namespace

std::string AdminAddress::text() const {
  return host.find(':') == host.npos ? host + ":" + port : "[" + host + "]:" + port;
}

Result<AdminAddress> parse_admin_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  AdminAddress address;
  if (colon != text.npos) {
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    address = {std::string(host), std::string(text.substr(colon + 1))};
  }
  const bool digits = !address.port.empty() && address.port.size() <= 5 &&
                      address.port.find_first_not_of("0123456789") == address.port.npos;
  if (address.host.empty() || !digits) {
    return fail(Errc::invalid_argument,
                fmt::format("\"{}\" is no address; write for example 127.0.0.1:8481", text));
  }
  return address;
}

Result<HttpResponse> AdminClient::exchange(HttpRequest request) const {
  if (!trust_.is_tls() && !is_loopback(address_.host)) {
    return fail(Errc::forbidden,
                fmt::format("{} is not on this machine: the token would travel unencrypted; run "
                            "millrace there, for example through ssh, or give --ca FILE for TLS",
                            address_.text()));
  }
  HttpClientOptions options;
  options.url.tls = trust_.is_tls();
  options.url.host = address_.host;
  std::from_chars(address_.port.data(), address_.port.data() + address_.port.size(),
                  options.url.port);
  options.connect_limit = limit_;
  options.answer_bytes_max = kAnswerBytesMax;
  if (trust_.is_tls()) {
    MILLRACE_TRY(tls, make_tls_client_context({.ca_file = trust_.ca_file,
                                               .certificate_file = {},
                                               .key_file = {},
                                               .pinned_file = trust_.pinned_file}));
    options.tls = tls;
  }
  const EgressGate gate({options.url});
  ShardSet shards(1);
  MILLRACE_TRY(client, make_http_client(shards.at(0), std::move(options), gate));
  shards.start();
  std::promise<Result<HttpResponse>> answered;
  auto answer = answered.get_future();
  shards.at(0).spawn("call", send(client.get(), std::move(request), limit_, std::move(answered)));
  auto result = answer.get();
  shards.stop(seconds(1));
  if (!result) return std::unexpected(explained(result.error(), address_, limit_));
  return result;
}

Result<AdminAnswer> AdminClient::call(const admin::OperationSpec& operation,
                                      JsonObject arguments) const {
  HttpRequest request;
  request.method = operation.method;
  request.target = fill_path(operation.path, arguments);
  request.headers = {{"Authorization", "Bearer " + token_}};
  if (operation.method == "POST") {
    if (!arguments.empty()) {
      request.body = write_json(Json(std::move(arguments)));
      request.headers.emplace_back("Content-Type", "application/json");
    }
  } else {
    char separator = '?';
    for (const auto& argument : arguments) {
      request.target += separator;
      request.target += percent_encode({argument.key().data(), argument.key().size()});
      request.target += '=';
      request.target += percent_encode(value_text(argument.value()));
      separator = '&';
    }
  }
  MILLRACE_TRY(answered, exchange(std::move(request)));
  AdminAnswer answer;
  answer.status = answered.status;
  if (auto json = parse_json(answered.body)) answer.body = *std::move(json);
  return answer;
}

}  // namespace millrace::cli
