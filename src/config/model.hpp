// The configuration as values: what a directory of YAML says after parsing, defaults and checks.
// Immutable once loaded; shared between generations as std::shared_ptr<const Config>.
#pragma once

#include <any>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "millrace/clock.hpp"
#include "millrace/expression.hpp"
#include "millrace/json.hpp"
#include "millrace/record_reader.hpp"
#include "millrace/state_store.hpp"

namespace millrace::config {

/// Where something stands in the configuration; lines and columns count from 1.
struct Place {
  std::string file;  ///< relative to the configuration directory
  int line = 0;
  int column = 0;
};

/// An expression with its place, compiled when loaded.
struct Program {
  std::string text;
  Place place;
  std::optional<Expression> compiled;  ///< always set in a loaded Config
  bool cut_by_comment = false;         ///< YAML took ` #...` behind it for a comment
  std::string functions;               ///< the shared functions it uses, as text
};

/// Text with `${ jq }` pieces, evaluated per event: literals and programs in turn.
/// "/work-orders/${ x }" is {"/work-orders/", x, ""}: literals.size() == programs.size() + 1.
struct Template {
  std::string text;
  Place place;
  std::vector<std::string> literals;
  std::vector<Program> programs;
};

struct Retention {
  std::chrono::hours inbox{7 * 24};
  std::chrono::hours events{30 * 24};
  std::chrono::hours trail{90 * 24};
  double size_fraction = 0.8;       ///< of the file system
  double min_free_fraction = 0.05;  ///< ingress answers 503 below it
};

/// The certificate of both listeners; empty: plain HTTP.
struct TlsFiles {
  std::string certificate;  ///< PEM, the chain from leaf to root
  std::string key;          ///< PEM
};

/// How long before its end the certificate of the listeners is an alarm: time enough for a person
/// where renewal is by hand, and past the day on which what renews by itself should have.
inline constexpr std::chrono::hours kCertificateAlarm{14 * 24};

struct KafkaTls {
  std::string ca;  ///< PEM file; empty: the system's authorities
  std::string certificate;
  std::string key;
  bool operator==(const KafkaTls&) const = default;
};
struct KafkaSasl {
  std::string mechanism = "SCRAM-SHA-512";
  std::string user;
  std::string password;
  bool operator==(const KafkaSasl&) const = default;
};
/// log: { kafka: ... }
struct KafkaLog {
  std::string brokers;
  std::string prefix;  ///< of its topics; never empty once it is loaded
  std::optional<KafkaTls> tls;
  std::optional<KafkaSasl> sasl;
  std::string ack;    ///< auto, kafka or local; never empty once it is loaded
  std::string spool;  ///< directory; empty: none
  bool operator==(const KafkaLog&) const = default;
};

struct Installation {
  std::string name;
  std::string environment = "dev";
  std::string listen = "127.0.0.1:8480";
  std::string admin = "127.0.0.1:8481";
  std::string log_directory;  ///< log: { files: ... }; empty: on Kafka
  std::optional<KafkaLog> kafka_log;
  StateChoice state;
  std::string data_directory;     ///< default: parent of log.files, else of state.sqlite
  std::string secrets_directory;  ///< empty: none
  std::optional<TlsFiles> tls;
  Retention retention;
  std::chrono::hours dedupe_window{7 * 24};
  std::uint64_t dedupe_ids_max = 50'000'000;
  Place place;
};

struct Limits {
  int in_flight = 8;
  double per_second = 0;  ///< 0: no pace
  std::size_t body_bytes_max = 1 << 20;
  std::optional<int> unrecorded;  ///< default 1,024; 64 when the target is not idempotent
};

struct Breaker {
  int opens_after = 5;
  milliseconds probes_every{1000};
  std::optional<milliseconds> slow_after;  ///< default: two thirds of the request's timeout
};

/// hmac: {algorithm, header, encoding, signed, tolerance, secrets}.
struct HmacVerify {
  std::string algorithm = "sha256";  ///< sha256, sha512
  std::string header;                ///< lower case
  std::string encoding = "hex";      ///< hex or base64; a "sha256=" prefix is accepted
  std::string signed_text = "body";  ///< "body" or a text with {timestamp}, {id}, {body}
  std::string timestamp_header;      ///< lower case; empty when nothing dated is signed
  seconds tolerance{300};
  std::vector<std::string> secrets;
};

struct Verify {
  std::vector<std::string> standard_webhooks;  ///< secrets, "whsec_..." or plain; empty: not used
  std::optional<HmacVerify> hmac;
};

/// Which CloudEvents a connection takes: patterns, in which `*` stands for any text.
struct EventScope {
  std::vector<std::string> sources;
  std::vector<std::string> types;
};

/// A connection: common keys here, those of its type in `options` (the connector's own struct).
struct Connection {
  std::string name;
  std::string type;                      ///< "odoo", "http", "hook"
  std::string system;                    ///< default: the name
  std::vector<std::string> hook_tokens;  ///< at most two are usual: one being rotated
  std::optional<Verify> verify;
  Limits limits;
  Breaker breaker;
  bool idempotent = false;
  seconds remembers_keys{24 * 3600};  ///< how long the target knows an Idempotency-Key
  std::string url;                    ///< empty for hooks
  std::any options;                   ///< what the connector's Spec read
  // type: hook
  std::optional<Program> record;  ///< `.` is the body, `$headers` too
  std::optional<Program> version;
  std::optional<Program> id;
  std::optional<EventScope> events;  ///< type: kafka, whose records are CloudEvents
  // sources that are read back
  std::vector<std::pair<std::int64_t, std::string>> companies;  ///< id -> code
  milliseconds settle{1000};
  seconds longest_transaction{150};
  std::string document;     ///< as config/texts.hpp keeps it
  std::string fingerprint;  ///< hash of everything above; equal means unchanged
  Place place;
};

enum class FirstSeen : std::uint8_t { baseline, emit };

/// One `from:` entry of an entity.
struct EntitySource {
  std::string connection;
  std::string model;  ///< read-back sources only
  std::vector<std::pair<std::string, std::string>>
      touched_by;              ///< model -> field naming the parent
  FieldPlan read;              ///< empty for payloads
  std::optional<Json> domain;  ///< Odoo domain, refined by the sweep
  std::optional<Program> only;
  Program map;  ///< `.` is the source record
  std::optional<seconds> sweep;
  std::optional<FirstSeen> first_seen;  ///< default by kind of source
  std::string program;                  ///< hash of read + map + functions + tables + companies
  std::string filter;                   ///< hash of domain + only; empty without them
  Place place;
};

struct EntityEvent {
  std::string name;  ///< "confirmed"
  Program when;      ///< `.` is the new data, `$before` the old or null
};

struct Entity {
  std::string name;
  std::uint32_t version = 1;
  std::optional<Program> key;       ///< `.` is the canonical data
  std::vector<EntitySource> from;   ///< empty: only sent by others to /events
  std::vector<EntityEvent> events;  ///< in this order
  std::string schema_path;          ///< relative to the directory; empty: none
  Json schema;                      ///< draft-07; null: none
  std::string fingerprint;
  Place place;
};

enum class Missing : std::uint8_t { park, skip, error, null };

struct TableObject {
  std::string name;
  Missing missing = Missing::error;
  std::map<std::string, Json, std::less<>> rows;  ///< key as text
  std::string document;                           ///< as config/texts.hpp keeps it
  std::string fingerprint;
  Place place;
};

struct Treat {  ///< keys in order delivered, again, rejected, unknown, needs_decision; first true
                ///< wins
  std::vector<std::pair<std::string, Program>> rules;
};

enum class UnknownPolicy : std::uint8_t { by_method, retry, ask };

struct Probe;

struct RouteRequest {
  std::string event;  ///< "confirmed"
  std::string method = "POST";
  Template path;
  std::vector<std::pair<std::string, Template>> query;
  std::vector<std::pair<std::string, Template>> headers;
  std::optional<Program> body;
  std::optional<Program> remember;  ///< `.` is the event plus `.answer`
  Treat treat;
  Missing missing = Missing::park;  ///< what `xref` does when it finds nothing
  UnknownPolicy unknown = UnknownPolicy::by_method;
  std::shared_ptr<const Probe> probe;  ///< nullptr: none
  milliseconds timeout{30'000};
  Place place;
};

/// How the target is asked whether a request was applied.
struct Probe {
  RouteRequest request;
  Program applied;                  ///< on the event plus the probe's `.answer`
  std::optional<Program> remember;  ///< absent: the request's own
};

struct RetryPolicy {
  milliseconds initial{1000};
  milliseconds max_interval{300'000};
  milliseconds give_up_after{24 * 3600 * 1000};
};

enum class AfterDeadLetter : std::uint8_t { carry_on, hold };

struct RouteStart {
  enum class Kind : std::uint8_t { now, beginning, time } kind = Kind::now;
  WallTime time;
};

struct Route {
  std::string name;
  std::string summary;
  std::string owner;
  std::string criticality;  ///< low, normal, high; shown, not acted on
  milliseconds slo_within{15 * 60 * 1000};
  std::string slo_target;  ///< shown
  std::string entity;      ///< from: sales_order
  std::string only_event;  ///< from: sales_order.confirmed; else empty
  std::string to;          ///< connection
  std::optional<Program> when;
  std::optional<Program> exclusive;    ///< two events with one value are never in flight together
  std::vector<RouteRequest> requests;  ///< in the YAML's order
  RetryPolicy retry;
  AfterDeadLetter after_dead_letter = AfterDeadLetter::carry_on;
  RouteStart start;
  std::string was;  ///< its first name keeps the route's id
  std::uint64_t parked_max = 1'000'000;
  std::string document;     ///< as config/texts.hpp keeps it
  std::string functions;    ///< the shared functions its expressions use, as text
  std::string text;         ///< hash of its text (config/texts.hpp)
  std::string fingerprint;  ///< hash of its text and of what it uses, resolved
  Place place;

  const std::string& id() const { return was.empty() ? name : was; }
};

/// One `test:` document, kept as values; `millrace test` runs it.
struct ConfigTest {
  std::string name;
  Json given;
  Json expect;
  Place place;
};

struct Config {
  Installation installation;
  std::map<std::string, Connection, std::less<>> connections;
  std::map<std::string, Entity, std::less<>> entities;
  std::map<std::string, TableObject, std::less<>> tables;
  std::map<std::string, Route, std::less<>> routes;
  std::vector<ConfigTest> tests;
  std::string content_hash;  ///< of all files read
};
using ConfigPtr = std::shared_ptr<const Config>;

/// One thing to tell the operator about the configuration.
struct Problem {
  enum class Level : std::uint8_t { error, warning } level = Level::error;
  Place place;
  std::string path;     ///< "route order-to-mes / requests / confirmed / method"
  std::string message;  ///< what is wrong, what was expected, the nearest known name, what to write
  std::string source;   ///< the line at `place`, for the caret
  bool hide_source = false;  ///< the line may hold a secret: it is never shown
};

}  // namespace millrace::config
