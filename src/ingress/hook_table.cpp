#include "ingress/hook_table.hpp"

#include <algorithm>
#include <array>
#include <boost/json/monotonic_resource.hpp>

#include "millrace/ids.hpp"
#include "millrace/utf8.hpp"
#include "net/ascii.hpp"

namespace millrace::ingress {
namespace {

constexpr std::array<std::string_view, 9> kKeptHeaders{
    "content-type", "user-agent",   "webhook-id",       "webhook-timestamp", "traceparent",
    "tracestate",   "x-request-id", "x-correlation-id", "idempotency-key"};

// Names that tell of a credential; with `$headers` everything else is kept.
constexpr std::array<std::string_view, 8> kSecretWords{
    "authorization", "cookie", "signature", "token", "secret", "api-key", "apikey", "hmac"};

bool is_kept(std::string_view name) {
  return std::any_of(kKeptHeaders.begin(), kKeptHeaders.end(),
                     [&](std::string_view kept) { return equal_ignoring_case(name, kept); });
}

bool is_secret(std::string_view lower_name, const HookSource& source) {
  if (source.verify && source.verify->hmac && lower_name == source.verify->hmac->header)
    return true;
  return std::any_of(kSecretWords.begin(), kSecretWords.end(), [&](std::string_view word) {
    return lower_name.find(word) != lower_name.npos;
  });
}

HttpHeaders kept_headers(const HookSource& source, const HttpHeaders& headers) {
  HttpHeaders kept;
  kept.reserve(source.keeps_headers ? headers.size() : 4);
  for (const auto& [name, value] : headers) {
    if (source.keeps_headers ? !is_secret(ascii_lower(std::string_view(name)), source)
                             : is_kept(name)) {
      kept.emplace_back(ascii_lower(std::string_view(name)), valid_utf8(value));
    }
  }
  return kept;
}

bool reads_headers(const std::optional<config::Program>& program) {
  return program && program->text.find("$headers") != program->text.npos;
}

// Adds the program either to the values picked from bytes or as an expression over the tree.
void prepare(const std::optional<config::Program>& program, std::vector<MemberPath>& paths,
             std::optional<Expression>& expression) {
  if (program->compiled->is_plain_path()) {
    paths.push_back(program->compiled->path());
  } else {
    expression = program->compiled;
    paths.emplace_back();
  }
}

void add_models(const config::Config& config, HookSource& source) {
  for (const auto& [name, entity] : config.entities) {
    for (const config::EntitySource& from : entity.from) {
      if (from.connection != source.connection || from.model.empty()) continue;
      source.models.insert(from.model);
      for (const auto& [model, field] : from.touched_by) source.models.insert(model);
    }
  }
}

}  // namespace

HookSource prepare_source(const config::Config& config, const config::Connection& connection) {
  HookSource source;
  source.connection = connection.name;
  source.tokens = connection.hook_tokens;
  source.verify = connection.verify;
  source.body_bytes_max = connection.limits.body_bytes_max;
  if (connection.type != "hook" && connection.type != "kafka") {
    source.kind = HookSource::Kind::doorbell;
    source.paths = {{"_model"}, {"_id"}};
    add_models(config, source);
    return source;
  }
  if (connection.events) {
    source.events = connection.events;
    source.keeps_headers = true;  // attributes are among them
    return source;
  }
  prepare(connection.record, source.paths, source.record);
  source.has_id = connection.id.has_value();
  if (source.has_id) prepare(connection.id, source.paths, source.id);
  source.keeps_headers = reads_headers(connection.record) || reads_headers(connection.id) ||
                         reads_headers(connection.version);
  return source;
}

namespace {

constexpr std::size_t kTreeBytes = 8 * 1024;  ///< of a usual body; a larger one asks for more

Result<Json> evaluate(const Expression& expression, const Json& body, const HttpHeaders& headers) {
  JsonObject object;
  for (const auto& [name, value] : headers) object.emplace(name, value);
  const Json headers_value(std::move(object));
  ExpressionBindings bindings;
  bindings.set("headers", &headers_value);
  ExpressionContext context;
  context.bindings = &bindings;
  return expression.evaluate(body, context);
}

// Picks record and id; the error's message becomes the reason of the dead letter.
Result<void> read_values(const HookSource& source, const RawMessage& message, Picked& record,
                         Picked& id) {
  std::array<Picked, 2> picked;
  MILLRACE_CHECK_OK(
      pick_values(message.body, source.paths, std::span(picked).first(source.paths.size())));
  record = std::move(picked[0]);
  id = std::move(picked[1]);
  if (!source.record && !source.id) return {};
  thread_local std::array<unsigned char, kTreeBytes> buffer;
  boost::json::monotonic_resource memory(buffer.data(), buffer.size());
  MILLRACE_TRY(body, parse_json(message.body, {}, &memory));
  if (source.record) {
    MILLRACE_TRY(value, evaluate(*source.record, body, message.headers));
    record = picked_from(value);
  }
  if (source.id) {
    MILLRACE_TRY(value, evaluate(*source.id, body, message.headers));
    id = picked_from(value);
  }
  return {};
}

ReadHook unreadable(ReadHook hook, std::string problem) {
  make_unreadable(hook.message, std::move(problem));
  return hook;
}

// Zero, signs and leading zeros name no Odoo record.
bool is_positive(const Picked& id) {
  return id.kind == Picked::Kind::integer && !id.text.empty() && id.text.front() != '-' &&
         id.text.front() != '0' && id.text.size() <= 18;
}

ReadHook read_doorbell(const HookSource& source, ReadHook hook) {
  std::array<Picked, 2> picked;
  if (const auto ok = pick_values(hook.message.body, source.paths, picked); !ok) {
    return unreadable(std::move(hook), ok.error().message);
  }
  const Picked& model = picked[0];
  if (model.kind != Picked::Kind::text || !is_identifier(model.text) || !is_positive(picked[1])) {
    return unreadable(std::move(hook), "the body has no _model and _id as Odoo sends them");
  }
  if (!source.models.contains(model.text)) {
    hook.model_not_read = true;
    return hook;
  }
  std::string& record = hook.message.record;
  record.reserve(source.connection.size() + model.text.size() + picked[1].text.size() + 2);
  record.append(source.connection).append("/").append(model.text).append("/");
  record.append(picked[1].text);
  return hook;
}

ReadHook read_payload(const HookSource& source, ReadHook hook) {
  Picked record;
  Picked id;
  if (const auto ok = read_values(source, hook.message, record, id); !ok) {
    return unreadable(std::move(hook), ok.error().message);
  }
  const bool named = record.kind == Picked::Kind::text || record.kind == Picked::Kind::integer;
  if (!named || !is_identifier(record.text)) {
    return unreadable(std::move(hook),
                      "`record:` gives no text or whole number that could name a record");
  }
  // Without a usable id the message is still news; it is only not protected against repeats.
  const bool has_id = id.kind == Picked::Kind::text || id.kind == Picked::Kind::integer;
  if (source.has_id && has_id && is_identifier(id.text)) hook.message.id = std::move(id.text);
  hook.message.record.reserve(source.connection.size() + record.text.size() + 1);
  hook.message.record.append(source.connection).append("/").append(record.text);
  return hook;
}

}  // namespace

bool HookSource::accepts_token(std::string_view token) const {
  bool accepted = false;
  for (const std::string& expected : tokens) {
    if (!expected.empty() && equal_constant_time(token, expected)) accepted = true;
  }
  return accepted;
}

HookTable::HookTable(const config::Config& config) {
  for (const auto& [name, connection] : config.connections) {
    if (connection.hook_tokens.empty() && !connection.verify) continue;
    if (connection.type == "hook" && !connection.record) continue;
    sources_.emplace(name, prepare_source(config, connection));
    body_bytes_max_ = std::max(body_bytes_max_, connection.limits.body_bytes_max);
  }
}

const HookSource* HookTable::find(std::string_view connection) const {
  const auto found = sources_.find(connection);
  return found == sources_.end() ? nullptr : &found->second;
}

RawMessage raw_message(const HookSource& source, const HttpHeaders& headers, std::string body,
                       WallTime now) {
  RawMessage message;
  message.connection = source.connection;
  message.origin = "hook";
  message.received_at = now;
  message.headers = kept_headers(source, headers);
  message.body = std::move(body);
  return message;
}

ReadHook read_hook(const HookSource& source, const HttpHeaders& headers, std::string body,
                   WallTime now) {
  ReadHook hook;
  hook.message = raw_message(source, headers, std::move(body), now);
  if (source.kind == HookSource::Kind::doorbell) {
    hook.message.kind = RawMessage::Kind::doorbell;
    return read_doorbell(source, std::move(hook));
  }
  hook = read_payload(source, std::move(hook));
  // Standard Webhooks gives every message an id and signs it: it serves where `id:` is not said.
  if (hook.message.id.empty() && !source.has_id && source.verify &&
      !source.verify->standard_webhooks.empty()) {
    const auto id = header(headers, "webhook-id");
    if (id && is_identifier(*id)) hook.message.id = *id;
  }
  return hook;
}

}  // namespace millrace::ingress
