#include "route/render.hpp"

#include <fmt/format.h>

#include "millrace/state_keys.hpp"
#include "millrace/utf8.hpp"

namespace millrace::route {
namespace {

enum class Place { path, query, header };

// A rendered piece as text: strings as they are, numbers and booleans as JSON writes them.
Result<std::string> as_text(const Json& value, std::string_view what) {
  if (value.is_string() && !value.get_string().empty()) return std::string(value.get_string());
  if (value.is_number() || value.is_bool()) return write_json(value);
  return fail(Errc::invalid_argument,
              fmt::format("`${{ }}` in the {} gave {}; such a request is never sent", what,
                          value.is_null()     ? "null"
                          : value.is_string() ? "an empty text"
                                              : "no plain value"));
}

Result<std::string> render_template(const config::Template& text, Place place,
                                    const DecodedEvent& event, const ExpressionContext& context) {
  std::string out = text.literals.empty() ? text.text : text.literals.front();
  for (std::size_t i = 0; i < text.programs.size(); ++i) {
    MILLRACE_TRY(value, text.programs[i].compiled->evaluate(event.input, context));
    MILLRACE_TRY(piece, as_text(value, place == Place::path ? "path" : "request"));
    // A header value must not smuggle a second header in.
    if (place == Place::header &&
        piece.find_first_of(std::string_view("\r\n\0", 3)) != piece.npos) {
      return fail(Errc::invalid_argument, "a header value contains a line break");
    }
    out += place == Place::header ? piece : percent_encode(piece);
    out += text.literals[i + 1];
  }
  return out;
}

// `.` of treat and remember: the event plus `.answer`. What comes of it may be kept and sent on, so
// it is text whatever the target sent.
Json with_answer(const DecodedEvent& event, const HttpResponse& answer) {
  Json input = event.input;
  JsonObject headers;
  for (const auto& [name, value] : answer.headers)
    headers.emplace(valid_utf8(name), valid_utf8(value));
  JsonObject object;
  object.emplace("status", answer.status);
  object.emplace("headers", std::move(headers));
  auto body = parse_json(answer.body);
  object.emplace("body", body ? *std::move(body) : Json(valid_utf8(answer.body)));
  input.as_object().emplace("answer", std::move(object));
  return input;
}

}  // namespace

Result<HttpRequest> render(const config::RouteRequest& request, const config::ConfigHost& host,
                           const DecodedEvent& event, WallTime appended_at) {
  const RouteBindings bindings(event, appended_at);
  const ExpressionContext context{&bindings.bindings(), &host, {}};
  HttpRequest out;
  out.method = request.method;
  MILLRACE_TRY(path, render_template(request.path, Place::path, event, context));
  out.target = std::move(path);
  char separator = out.target.find('?') == out.target.npos ? '?' : '&';
  for (const auto& [name, text] : request.query) {
    MILLRACE_TRY(value, render_template(text, Place::query, event, context));
    out.target += separator + percent_encode(name) + "=" + value;
    separator = '&';
  }
  for (const auto& [name, text] : request.headers) {
    MILLRACE_TRY(value, render_template(text, Place::header, event, context));
    out.headers.emplace_back(name, std::move(value));
  }
  if (request.body) {
    MILLRACE_TRY(body, request.body->compiled->write(event.input, context));
    out.body = std::move(body);
  }
  return out;
}

Result<std::string> exclusive(const config::Program& program, const config::ConfigHost& host,
                              const DecodedEvent& event, WallTime appended_at) {
  const RouteBindings bindings(event, appended_at);
  const ExpressionContext context{&bindings.bindings(), &host, {}};
  MILLRACE_TRY(value, program.compiled->evaluate(event.input, context));
  const bool nothing = value.is_null() || (value.is_string() && value.get_string().empty());
  return nothing ? std::string() : write_json(value);
}

Result<std::optional<std::string>> treat(const config::Treat& rules, const config::ConfigHost& host,
                                         const DecodedEvent& event, const HttpResponse& answer,
                                         WallTime appended_at) {
  if (rules.rules.empty()) return std::optional<std::string>{};
  const Json input = with_answer(event, answer);
  const RouteBindings bindings(event, appended_at);
  const ExpressionContext context{&bindings.bindings(), &host, {}};
  for (const auto& [outcome, program] : rules.rules) {
    MILLRACE_TRY(holds, program.compiled->test(input, context));
    if (holds) return std::optional(outcome);
  }
  return std::optional<std::string>{};
}

Result<bool> applied(const config::Program& program, const config::ConfigHost& host,
                     const DecodedEvent& event, const HttpResponse& answer, WallTime appended_at) {
  const Json input = with_answer(event, answer);
  const RouteBindings bindings(event, appended_at);
  return program.compiled->test(input, {&bindings.bindings(), &host, {}});
}

std::optional<std::string> remember(const config::Program& program, const config::ConfigHost& host,
                                    const DecodedEvent& event, const HttpResponse& answer,
                                    WallTime appended_at) {
  const Json input = with_answer(event, answer);
  const RouteBindings bindings(event, appended_at);
  const ExpressionContext context{&bindings.bindings(), &host, {}};
  auto value = program.compiled->evaluate(input, context);
  if (!value) return std::nullopt;
  auto text = as_text(*value, "answer");
  return text && is_identifier(*text) ? std::optional(*std::move(text)) : std::nullopt;
}

}  // namespace millrace::route
