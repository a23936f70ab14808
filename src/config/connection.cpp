// Documents that begin with `connection:`. The keys of every connection are read here, the others
// by the connector's own Spec; both look at the same mapping.
#include <fmt/core.h>

#include <algorithm>

#include "config/loading.hpp"
#include "config/nearest.hpp"
#include "config/object_specs.hpp"
#include "config/text_values.hpp"
#include "millrace/state_keys.hpp"

namespace millrace::config {
namespace {

struct VerifyYaml {
  std::vector<std::string> standard_webhooks;
  std::optional<HmacVerify> hmac;
};
struct ConnectionYaml {
  std::string connection;
  std::string type;
  std::string system;
  std::string url;
  std::vector<std::string> hook_tokens;
  std::optional<VerifyYaml> verify;
  Limits limits;
  Breaker breaker;
  bool idempotent = false;
  seconds remembers_keys{24 * 3600};
  std::optional<Program> record;
  std::optional<Program> version;
  std::optional<Program> id;
  std::optional<EventScope> events;
  std::vector<std::pair<std::int64_t, std::string>> companies;
  milliseconds settle{1000};
  seconds longest_transaction{150};
};

// One secret or a list of them.
SpecCodec<std::vector<std::string>> secrets_codec() {
  SpecCodec<std::vector<std::string>> made;
  made.type = "string or list of strings";
  made.read = [](const Node& node, SpecReader& reader, const SpecOption& option,
                 std::vector<std::string>& out) {
    const auto one = [&](const Node& item) {
      return spec_detail::read_string(item, reader, option, out.emplace_back());
    };
    out.clear();
    return node.kind == Node::Kind::sequence ? spec_detail::read_items(node, reader, one)
                                             : one(node);
  };
  made.show = [](const SpecOption&, const std::vector<std::string>& values) {
    JsonArray shown;
    for (const auto& value : values) shown.emplace_back(value);
    return Json(std::move(shown));
  };
  made.schema = [](const SpecOption&) {
    return Json(JsonObject{{"type", JsonArray{"string", "array"}},
                           {"items", JsonObject{{"type", "string"}}}});
  };
  return made;
}

const Spec<HmacVerify>& hmac_spec() {
  static const auto made =
      Spec<HmacVerify>("hmac", "A keyed hash of the message in one of its headers.")
          .option("algorithm", &HmacVerify::algorithm, "The hash.")
          .one_of({"sha256", "sha512"})
          .option("header", &HmacVerify::header, "The header that carries the signature.")
          .required()
          .example("X-Signature")
          .option("encoding", &HmacVerify::encoding, "How the signature is written.")
          .one_of({"hex", "base64"})
          .option("signed", &HmacVerify::signed_text,
                  "What is signed: `body`, or a text with {timestamp}, {id} and {body}.")
          .example("\"{timestamp}.{body}\"")
          .option("timestamp_header", &HmacVerify::timestamp_header,
                  "The header with the time that is signed, in seconds since 1970.")
          .option("tolerance", &HmacVerify::tolerance, "How far that time may be from ours.")
          .bounds(std::chrono::seconds(1), std::chrono::hours(24))
          .option("secrets", &HmacVerify::secrets, "Valid keys; two while one is rotated.",
                  secrets_codec())
          .secret()
          .required()
          .check([](const HmacVerify& verify) -> std::string {
            if (verify.secrets.empty()) return "`secrets:` is empty: name at least one";
            const bool dated = verify.signed_text.find("{timestamp}") != std::string::npos;
            if (dated && verify.timestamp_header.empty()) {
              return "`signed:` has {timestamp}, so `timestamp_header:` is needed";
            }
            return {};
          });
  return made;
}

const Spec<VerifyYaml>& verify_spec() {
  static const auto made =
      Spec<VerifyYaml>("verify", "How a hook proves where it comes from.")
          .option("standard_webhooks", &VerifyYaml::standard_webhooks,
                  "Secrets of Standard Webhooks; two while one is rotated.", secrets_codec())
          .secret()
          .example("\"${secret.acme}\"")
          .option("hmac", &VerifyYaml::hmac, "A keyed hash in a header.", hmac_spec())
          .exactly_one_of({"standard_webhooks", "hmac"});
  return made;
}

std::string check_patterns(const EventScope& scope) {
  const auto empty = [](const std::vector<std::string>& patterns) {
    return patterns.empty() || std::ranges::find(patterns, "") != patterns.end();
  };
  if (!empty(scope.sources) && !empty(scope.types)) return {};
  return "`sources:` and `types:` name what is taken in; `\"*\"` takes in any";
}

const Spec<EventScope>& events_spec() {
  static const auto made =
      Spec<EventScope>("events", "Records are CloudEvents, checked as those sent to `/events`.")
          .option("sources", &EventScope::sources, "Sources taken in; `*` stands for any text.")
          .required()
          .example("[ \"/lab/*\" ]")
          .option("types", &EventScope::types, "Types taken in; `*` stands for any text.")
          .required()
          .example("[ \"inspection.*\" ]")
          .check(check_patterns);
  return made;
}

const Spec<Limits>& limits_spec() {
  static const auto made =
      Spec<Limits>("limits", "What one connection may take.")
          .option("in_flight", &Limits::in_flight, "Requests on the wire at once.")
          .bounds(1, 1000)
          .option("per_second", &Limits::per_second, "Requests started a second; 0: no pace.")
          .bounds(0, 100'000)
          .option("body", &Limits::body_bytes_max, "Largest body taken in.")
          .bytes()
          .bounds(1024, 16 << 20)
          .option("unrecorded", &Limits::unrecorded,
                  "Deliveries settled and not yet recorded; a crash repeats at most so many. "
                  "Default 1024; 64 when the target is not idempotent.")
          .bounds(1, 4096);
  return made;
}

const Spec<Breaker>& breaker_spec() {
  static const auto made =
      Spec<Breaker>("breaker", "When a target counts as down.")
          .option("opens_after", &Breaker::opens_after,
                  "So many failures in a row while nothing was delivered within `probes_every`, or "
                  "slow answers in a row; over at least three records.")
          .bounds(1, 1000)
          .option("slow_after", &Breaker::slow_after,
                  "An answer that takes longer is slow; default: two thirds of the request's "
                  "`timeout`.")
          .bounds(std::chrono::milliseconds(10), std::chrono::minutes(10))
          .option("probes_every", &Breaker::probes_every, "How often a paused target is tried.")
          .bounds(std::chrono::milliseconds(100), std::chrono::hours(1));
  return made;
}

const Spec<ConnectionYaml>& spec() {
  using namespace std::chrono_literals;
  static const auto made =
      Spec<ConnectionYaml>(
          "connection",
          "A system the broker speaks with. Keys of every type; those of one type follow.")
          .option("connection", &ConnectionYaml::connection, "Its name.")
          .required()
          .example("mes")
          .option("type", &ConnectionYaml::type, "Which connector speaks with it.")
          .required()
          .example("http")
          .option("system", &ConnectionYaml::system,
                  "Its name in the identity map; default: the connection's.")
          .option("url", &ConnectionYaml::url, "Address, http or https; not for hooks and Kafka.")
          .example("https://mes.example.com")
          .option("hook_tokens", &ConnectionYaml::hook_tokens,
                  "Tokens for `POST /hooks/<connection>/<token>`; two while one is rotated.")
          .secret()
          .option("verify", &ConnectionYaml::verify,
                  "Hooks: how the sender proves who it is, instead of a token.", verify_spec())
          .option("limits", &ConnectionYaml::limits, "What it may take.", limits_spec())
          .option("breaker", &ConnectionYaml::breaker, "When it counts as down.", breaker_spec())
          .option("idempotent", &ConnectionYaml::idempotent,
                  "The target honours Idempotency-Key: an unanswered POST may be sent again.")
          .option("remembers_keys", &ConnectionYaml::remembers_keys,
                  "How long the target remembers Idempotency-Keys; `millrace replay` warns of what "
                  "is older.")
          .bounds(1s, 24h * 3660)
          .option("record", &ConnectionYaml::record,
                  "Hooks and Kafka: whose news a message is, from its body (`$headers` too); "
                  "ordering and "
                  "identity hang on it.")
          .option("version", &ConnectionYaml::version,
                  "Hooks and Kafka: what grows with each change of the record; a message that is "
                  "older than the "
                  "last applied is dropped and counted as stale.")
          .option("id", &ConnectionYaml::id,
                  "Hooks and Kafka: the message's own id; a repeat is dropped.")
          .option("events", &ConnectionYaml::events,
                  "Kafka: each record is a CloudEvent, checked as those sent to `/events` are, "
                  "instead of a payload for `record:`.",
                  events_spec())
          .option("companies", &ConnectionYaml::companies,
                  "Sources that are read back: company id to the code used everywhere else.")
          .example("{ 1: lyon, 3: turin }")
          .option("settle", &ConnectionYaml::settle,
                  "Sources that are read back: a read begun so long after a change settles it.")
          .bounds(0s, 60s)
          .option("longest_transaction", &ConnectionYaml::longest_transaction,
                  "Sources that are read back: how late a commit may come after its doorbell.")
          .bounds(1s, 3600s)
          .not_yet("proxy")
          .not_yet("egress");
  return made;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  });
  return text;
}

const ConnectorType* find_type(Loading& loading, const Document& document) {
  const Node* type = document.node.find("type");
  if (type == nullptr || !type->is_string()) return nullptr;  // reported by the common keys
  const ConnectorType* found = loading.options.connectors.find(type->text);
  if (found != nullptr) return found;
  std::vector<std::string> names;
  for (const auto& known : loading.options.connectors.types()) names.emplace_back(known->name());
  const bool later = std::ranges::find(kTypesNotYet, type->text) != kTypesNotYet.end();
  loading.error(place_of(document, "type"), title(document) + " / type",
                later ? fmt::format("type `{}` is not supported yet", type->text)
                      : fmt::format("unknown type `{}`; known are {}{}", type->text,
                                    list_names(names), did_you_mean(type->text, names)));
  return nullptr;
}

// Without a known type, a key that no type has is still a typing error.
void report_foreign_keys(const Loading& loading, const Document& document, SpecReader& reader) {
  std::vector<std::string> keys;
  const auto add = [&keys](const AnySpec& from) {
    for (const SpecOption& option : from.options()) keys.push_back(option.key);
    keys.insert(keys.end(), from.keys_not_yet().begin(), from.keys_not_yet().end());
  };
  add(connection_spec());
  for (const auto& type : loading.options.connectors.types()) add(type->spec());
  for (const Node::Member& member : document.node.members) {
    if (std::ranges::find(keys, member.key) != keys.end()) continue;
    reader.error_at(member.line, member.column,
                    fmt::format("unknown key `{}`{}", member.key, did_you_mean(member.key, keys)));
  }
}

void check_hook(Loading& loading, const Document& document, const Connection& connection) {
  const Place place = connection.place;
  if (!connection.record) {
    loading.error(place, title(document),
                  "a hook needs `record:`, the expression that says whose news a message is, as "
                  "`record: .order.id`; ordering and identity hang on it");
  }
  if (!connection.verify && connection.hook_tokens.empty()) {
    loading.error(place, title(document),
                  "anyone could post here: write `verify:` (how the sender signs) or "
                  "`hook_tokens: [ \"${secret.name}\" ]`");
  }
  if (connection.record && !connection.version) {
    loading.warning(place, title(document),
                    "no `version:`: a message that arrives late overwrites a newer one; name what "
                    "grows with each change, as `version: .updated_at`");
  }
}

void check_kafka(Loading& loading, const Document& document, const Connection& connection) {
  if (connection.events) {
    for (const std::string_view key : {"record", "version", "id"}) {
      if (document.node.find(key) == nullptr) continue;
      loading.error(
          place_of(document, key), fmt::format("{} / {}", title(document), key),
          fmt::format("`{}` has no meaning beside `events:`: a CloudEvent says it itself", key));
    }
    return;
  }
  if (!connection.record) {
    loading.error(
        connection.place, title(document),
        "a kafka connection needs `record:`, the expression that says whose news a record "
        "is, as `record: $headers.kafka_key`; ordering and identity hang on it; or `events:`, when "
        "records are CloudEvents");
  }
  // A producer that sends again, or a topic that is read again, brings old records after new ones.
  if (!connection.version) {
    loading.error(connection.place, title(document),
                  "a kafka connection needs `version:`, what grows with each change, as `version: "
                  ".updated_at`: a record that comes again would overwrite a newer one");
  }
}

// Keys that mean nothing to a type are refused: accepted and ignored would mislead.
void check_by_type(Loading& loading, const Document& document, const Connection& connection) {
  const auto refuse = [&](std::string_view key, std::string_view why) {
    if (document.node.find(key) == nullptr) return;
    loading.error(place_of(document, key), fmt::format("{} / {}", title(document), key),
                  fmt::format("`{}` has no meaning for type {}: {}", key, connection.type, why));
  };
  if (connection.type != "kafka") refuse("events", "it belongs to type kafka");
  if (connection.type == "hook") {
    check_hook(loading, document, connection);
    refuse("url", "a hook is posted to us");
    refuse("companies", "it belongs to sources that are read back");
    return;
  }
  if (connection.type == "kafka") {
    check_kafka(loading, document, connection);
    refuse("url", "write `brokers:` and `topic:`");
    for (const std::string_view key : {"verify", "hook_tokens"}) {
      refuse(key, "nothing posts to it");
    }
    refuse("companies", "it belongs to sources that are read back");
    return;
  }
  for (const std::string_view key : {"record", "version", "id"}) {
    refuse(key, "it belongs to types hook and kafka");
  }
  refuse("verify", "it belongs to type hook");
  if (connection.type == "http") {
    refuse("companies", "it belongs to sources that are read back");
    refuse("hook_tokens", "what posts to us is of type hook");
  }
  if (connection.url.empty() && document.node.find("url") == nullptr) {
    loading.error(connection.place, title(document),
                  "`url:` is missing. Write `url: https://host.example.com`.");
  } else if (!connection.url.empty() && !connection.url.starts_with("http://") &&
             !connection.url.starts_with("https://")) {
    loading.error(place_of(document, "url"), title(document) + " / url",
                  "the url must begin with http:// or https://");
  }
}

}  // namespace

const AnySpec& connection_spec() {
  return spec();
}

void read_connection(Loading& loading, Document& document) {
  SpecReader reader = loading.reader(document);
  const SpecReader::Step step(reader, title(document));
  const ConnectorType* type = find_type(loading, document);
  const AnySpec* own = type ? &type->spec() : nullptr;
  ConnectionYaml yaml;
  if (own == nullptr) report_foreign_keys(loading, document, reader);
  bool good = spec().read(document.node, reader, yaml, {own, own != nullptr});
  Connection out;
  if (own != nullptr) {
    const std::size_t before = reader.errors();
    out.options = own->parse(document.node, reader, {&spec(), false});
    good = good && reader.errors() == before;
  }
  out.place = {document.file, document.node.line, document.node.column};
  out.name = document.name;
  out.type = yaml.type;
  out.system = yaml.system.empty() ? document.name : yaml.system;
  if (out.system.size() > kObjectNameBytesMax || out.system.find('\0') != out.system.npos) {
    loading.error(place_of(document, "system"), title(document) + " / system",
                  fmt::format("a system's name has at most {} bytes", kObjectNameBytesMax));
  }
  out.hook_tokens = std::move(yaml.hook_tokens);
  if (yaml.verify) {
    out.verify.emplace();
    out.verify->standard_webhooks = std::move(yaml.verify->standard_webhooks);
    out.verify->hmac = std::move(yaml.verify->hmac);
    if (out.verify->hmac) {
      out.verify->hmac->header = lower(out.verify->hmac->header);
      out.verify->hmac->timestamp_header = lower(out.verify->hmac->timestamp_header);
    }
  }
  out.limits = yaml.limits;
  out.breaker = yaml.breaker;
  out.idempotent = yaml.idempotent;
  out.remembers_keys = yaml.remembers_keys;
  out.url = std::move(yaml.url);
  out.record = std::move(yaml.record);
  out.version = std::move(yaml.version);
  out.id = std::move(yaml.id);
  out.events = std::move(yaml.events);
  out.companies = std::move(yaml.companies);
  out.settle = yaml.settle;
  out.longest_transaction = yaml.longest_transaction;
  for (auto [key, program] :
       {std::pair("record", &out.record), {"version", &out.version}, {"id", &out.id}}) {
    if (*program) {
      loading.compiler.compile(**program, ScopeKind::hook,
                               fmt::format("{} / {}", title(document), key));
    }
  }
  if (type != nullptr && good) check_by_type(loading, document, out);
  loading.config->connections.insert_or_assign(document.name, std::move(out));
}

}  // namespace millrace::config
