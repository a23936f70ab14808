// Documents that begin with `route:` and `test:`.
#include <fmt/core.h>

#include "config/loading.hpp"
#include "config/object_specs.hpp"
#include "config/text_values.hpp"

namespace millrace::config {
namespace {

struct SloYaml {
  milliseconds within{15 * 60 * 1000};
  std::string target;
};
struct TreatYaml {
  std::optional<Program> delivered;
  std::optional<Program> again;
  std::optional<Program> rejected;
  std::optional<Program> unknown;
  std::optional<Program> needs_decision;
};
struct ProbeRequestYaml {
  std::string method = "GET";
  Template path;
  std::vector<std::pair<std::string, Template>> query;
  std::vector<std::pair<std::string, Template>> headers;
  std::optional<Program> body;
};
struct ProbeYaml {
  ProbeRequestYaml request;
  Program applied;
  std::optional<Program> remember;
};
struct RequestYaml {
  std::string method = "POST";
  Template path;
  std::vector<std::pair<std::string, Template>> query;
  std::vector<std::pair<std::string, Template>> headers;
  std::optional<Program> body;
  std::optional<Program> remember;
  TreatYaml treat;
  Missing missing = Missing::park;
  std::optional<UnknownPolicy> unknown;
  std::optional<ProbeYaml> probe;
  milliseconds timeout{30'000};
};
struct RouteYaml {
  std::string route;
  std::string summary;
  std::string owner;
  std::string criticality;
  SloYaml slo;
  std::string from;
  std::string to;
  std::optional<Program> when;
  std::optional<Program> exclusive;
  std::vector<std::pair<std::string, RequestYaml>> requests;
  RetryPolicy retry;
  AfterDeadLetter after_dead_letter = AfterDeadLetter::carry_on;
  std::string start = "now";
  std::string was;
  std::uint64_t parked_max = 1'000'000;
  UnknownPolicy unknown = UnknownPolicy::by_method;
  std::optional<ProbeYaml> probe;
};
struct TestYaml {
  std::string test;
  Json given;
  Json expect;
};

const SpecNames<UnknownPolicy>& unknown_names() {
  static const SpecNames<UnknownPolicy> names{{"by_method", UnknownPolicy::by_method},
                                              {"retry", UnknownPolicy::retry},
                                              {"ask", UnknownPolicy::ask}};
  return names;
}

const Spec<ProbeYaml>& probe_spec() {
  static const auto request =
      Spec<ProbeRequestYaml>("request", "The question: a request that changes nothing.")
          .option("method", &ProbeRequestYaml::method, "HTTP method.")
          .one_of({"GET", "POST"})
          .option("path", &ProbeRequestYaml::path, "Path below the connection's url.")
          .required()
          .example("/orders?number=${ .data.number }")
          .option("query", &ProbeRequestYaml::query, "Query parameters.")
          .option("headers", &ProbeRequestYaml::headers, "Further headers.")
          .option("body", &ProbeRequestYaml::body, "The JSON body: an expression on the event.");
  static const auto made =
      Spec<ProbeYaml>("probe",
                      "How the target is asked, after a request that was sent and not answered, "
                      "whether it was applied.")
          .option("request", &ProbeYaml::request, "The question.", request)
          .required()
          .option("applied", &ProbeYaml::applied,
                  "Whether the answer (`.answer`) says that it was applied; if not, it is sent "
                  "again.")
          .required()
          .example(".answer.status == 200")
          .option("remember", &ProbeYaml::remember,
                  "The target's id of this record, from the probe's answer; without it, the "
                  "request's own `remember`.");
  return made;
}

const Spec<RequestYaml>& request_spec() {
  using namespace std::chrono_literals;
  static const auto treat =
      Spec<TreatYaml>(
          "treat", "What an answer means: expressions, `.answer` too; the first that is true wins.")
          .option("delivered", &TreatYaml::delivered, "It is applied.")
          .example(".answer.status == 409")
          .option("again", &TreatYaml::again, "Not applied; try again later.")
          .option("rejected", &TreatYaml::rejected, "Not applied, and never will be.")
          .option("unknown", &TreatYaml::unknown, "It may have been applied.")
          .option("needs_decision", &TreatYaml::needs_decision, "A person must say.");
  static const auto made =
      Spec<RequestYaml>("request", "What is sent for one event.")
          .option("method", &RequestYaml::method, "HTTP method.")
          .one_of({"GET", "POST", "PUT", "PATCH", "DELETE"})
          .option("path", &RequestYaml::path, "Path below the connection's url.")
          .required()
          .example("/orders/${ .data.number }")
          .option("query", &RequestYaml::query, "Query parameters.")
          .option("headers", &RequestYaml::headers, "Further headers.")
          .option("body", &RequestYaml::body, "The JSON body: an expression on the event.")
          .option("remember", &RequestYaml::remember,
                  "The target's id of this record, from `.answer` (`{ status, headers, body }`); "
                  "bound to "
                  "the record in the identity map.")
          .option("treat", &RequestYaml::treat,
                  "What an answer means: expressions, `.answer` too; the first that is true wins.",
                  treat)
          .option("missing", &RequestYaml::missing, "What `xref()` does when it finds nothing.",
                  SpecNames<Missing>{
                      {"park", Missing::park}, {"skip", Missing::skip}, {"error", Missing::error}})
          .option("unknown", &RequestYaml::unknown, "The route's `unknown:`, for this request.",
                  unknown_names())
          .option("timeout", &RequestYaml::timeout, "Time for one attempt.")
          .bounds(100ms, 600s)
          .option("probe", &RequestYaml::probe, "The route's `probe:`, for this request.",
                  probe_spec())
          .not_yet("answer")
          .not_yet("response");
  return made;
}

Spec<RouteYaml> make_route_spec() {
  using namespace std::chrono_literals;
  const auto slo =
      Spec<SloYaml>("slo", "The promise about this route.")
          .option("within", &SloYaml::within, "An event undelivered for longer raises an alarm.")
          .bounds(1s, 2592000s)
          .option("target", &SloYaml::target, "The share that must keep it; shown.")
          .example("99.5%");
  const auto retry =
      Spec<RetryPolicy>("retry", "How an event is tried again.")
          .option("initial", &RetryPolicy::initial, "First delay.")
          .bounds(10ms, 3600s)
          .option("max_interval", &RetryPolicy::max_interval, "Longest delay.")
          .bounds(100ms, 86400s)
          .option("give_up_after", &RetryPolicy::give_up_after,
                  "Time, in which the target answered others, until it is a dead letter.")
          .bounds(1s, 31536000s)
          .check([](const RetryPolicy& policy) -> std::string {
            return policy.initial > policy.max_interval ? "`initial` is longer than `max_interval`"
                                                        : "";
          });
  Spec<RouteYaml> made("route", "From an entity's events to requests at one connection.");
  made.option("route", &RouteYaml::route, "Its name.").required();
  made.option("summary", &RouteYaml::summary, "What it is for, in a sentence.");
  made.option("owner", &RouteYaml::owner, "Whom to call.");
  made.option("criticality", &RouteYaml::criticality, "Shown beside its alarms.")
      .one_of({"low", "normal", "high"});
  made.option("slo", &RouteYaml::slo, "The promise about it.", slo);
  made.option("from", &RouteYaml::from, "The entity, or one event of it.")
      .required()
      .example("sales_order");
  made.option("to", &RouteYaml::to, "The connection that gets the requests.")
      .required()
      .example("mes");
  made.option("when", &RouteYaml::when,
              "Which events are sent: an expression on the event; without it, all.");
  made.option("exclusive", &RouteYaml::exclusive,
              "What must not run side by side: of this route's events for which the expression "
              "gives one value, one request is in flight at a time, in no particular order. Null "
              "or an empty text: nothing to wait for.")
      .example(".data.email | ascii_downcase");
  made.option("requests", &RouteYaml::requests,
              "Event names and what is sent for each; on one change the first named is sent.",
              request_spec())
      .required()
      .example("{ changed: { method: POST, path: /orders, body: .data } }");
  made.option("retry", &RouteYaml::retry, "How an event is tried again.", retry);
  made.option("after_dead_letter", &RouteYaml::after_dead_letter,
              "Whether later events of a dead letter's record go on or wait.",
              SpecNames<AfterDeadLetter>{{"continue", AfterDeadLetter::carry_on},
                                         {"hold", AfterDeadLetter::hold}});
  made.option("start", &RouteYaml::start,
              "Where a new route begins: now, beginning, or a time (RFC 3339).")
      .example("\"2026-01-31T00:00:00Z\"");
  made.option("was", &RouteYaml::was, "Its first name, after it was renamed: keeps its cursor.");
  made.option("parked_max", &RouteYaml::parked_max, "Parked events beyond which it pauses.")
      .bounds(1, 100'000'000);
  made.option(
      "unknown", &RouteYaml::unknown,
      "What to do when a request was sent and not answered: by the method and the connection's "
      "`idempotent`, send it again, or ask a person.",
      unknown_names());
  made.option("probe", &RouteYaml::probe,
              "How the target is asked, after a request that was sent and not answered, whether "
              "it was applied.",
              probe_spec());
  for (const auto* key : {"steps", "batch", "refs", "file", "approve", "answer", "request",
                          "company", "use", "with", "shadow"}) {
    made.not_yet(key);
  }
  return made;
}

const Spec<RouteYaml>& route() {
  static const Spec<RouteYaml> made = make_route_spec();
  return made;
}

const Spec<TestYaml>& test() {
  static const auto made =
      Spec<TestYaml>("test",
                     "What must come out when something goes in; `millrace test` runs them all, "
                     "without a daemon.")
          .option("test", &TestYaml::test, "What it shows, in a sentence.")
          .required()
          .option("given", &TestYaml::given,
                  "`event` with `data`, or records of a connection (`odoo: { sale.order: { … }, "
                  "before: "
                  "{ … } }`); also `answer`, `xref`, `now`.")
          .required()
          .option(
              "expect", &TestYaml::expect,
              "All that must come out: `{ route, sends: { method, path, body } }` and `{ emits }`; "
              "members of `sends` that are left out are not looked at.")
          .required();
  return made;
}

void compile_if(Loading& loading, std::optional<Program>& program, const std::string& path) {
  if (program) loading.compiler.compile(*program, ScopeKind::request, path);
}

void convert_treat(Loading& loading, TreatYaml& yaml, Treat& out, const std::string& path) {
  for (auto [key, program] : {std::pair("delivered", &yaml.delivered),
                              {"again", &yaml.again},
                              {"rejected", &yaml.rejected},
                              {"unknown", &yaml.unknown},
                              {"needs_decision", &yaml.needs_decision}}) {
    if (!*program) continue;
    loading.compiler.compile(**program, ScopeKind::request,
                             fmt::format("{} / treat / {}", path, key));
    out.rules.emplace_back(key, std::move(**program));
  }
}

// What goes over the wire: the same for a request and for a probe's question.
template <typename Yaml>
void convert_message(Loading& loading, Yaml& yaml, RouteRequest& out, const std::string& path) {
  out.method = std::move(yaml.method);
  out.path = std::move(yaml.path);
  out.query = std::move(yaml.query);
  out.headers = std::move(yaml.headers);
  out.body = std::move(yaml.body);
  loading.compiler.compile(out.path, ScopeKind::request, path + " / path");
  for (auto& [name, value] : out.query) {
    loading.compiler.compile(value, ScopeKind::request, path + " / query / " + name);
  }
  for (auto& [name, value] : out.headers) {
    loading.compiler.compile(value, ScopeKind::request, path + " / headers / " + name);
  }
  compile_if(loading, out.body, path + " / body");
  const bool has_path = !out.path.literals.empty();
  if (has_path && !out.path.literals.front().starts_with('/')) {
    loading.error(out.path.place, path + " / path",
                  "a path begins with `/`; the host stands in the connection's url");
  }
}

std::shared_ptr<const Probe> convert_probe(Loading& loading, ProbeYaml yaml,
                                           const std::string& path) {
  auto out = std::make_shared<Probe>();
  convert_message(loading, yaml.request, out->request, path + " / request");
  out->request.missing = Missing::error;
  out->applied = std::move(yaml.applied);
  out->remember = std::move(yaml.remember);
  loading.compiler.compile(out->applied, ScopeKind::request, path + " / applied");
  compile_if(loading, out->remember, path + " / remember");
  return out;
}

RouteRequest convert_request(Loading& loading, RequestYaml& yaml, const std::string& path) {
  RouteRequest out;
  convert_message(loading, yaml, out, path);
  out.remember = std::move(yaml.remember);
  out.missing = yaml.missing;
  out.timeout = yaml.timeout;
  convert_treat(loading, yaml.treat, out.treat, path);
  compile_if(loading, out.remember, path + " / remember");
  if (yaml.probe) out.probe = convert_probe(loading, *std::move(yaml.probe), path + " / probe");
  return out;
}

void read_start(Loading& loading, const Document& document, const std::string& text, Route& out) {
  if (text == "now") return;
  if (text == "beginning") {
    out.start.kind = RouteStart::Kind::beginning;
    return;
  }
  const auto time = parse_rfc3339(text);
  if (!time) {
    loading.error(place_of(document, "start"), title(document) + " / start",
                  fmt::format("`{}` is none of now, beginning or a time such as "
                              "\"2026-01-31T00:00:00Z\"",
                              text));
    return;
  }
  out.start = {RouteStart::Kind::time, *time};
}

void read_requests(Loading& loading, const Document& document, RouteYaml& yaml, Route& out) {
  const Node* requests = document.node.find("requests");
  std::shared_ptr<const Probe> probe;
  if (yaml.probe) probe = convert_probe(loading, *yaml.probe, title(document) + " / probe");
  for (auto& [event, request] : yaml.requests) {
    const std::string path = fmt::format("{} / requests / {}", title(document), event);
    RouteRequest converted = convert_request(loading, request, path);
    converted.unknown = request.unknown.value_or(yaml.unknown);
    if (!converted.probe) converted.probe = probe;
    converted.event = event;
    const Node::Member* member = requests ? requests->find_member(event) : nullptr;
    converted.place = member ? Place{document.file, member->line, member->column} : out.place;
    out.requests.push_back(std::move(converted));
  }
}

}  // namespace

const AnySpec& route_spec() {
  return route();
}
const AnySpec& test_spec() {
  return test();
}

void read_route(Loading& loading, Document& document) {
  SpecReader reader = loading.reader(document);
  const SpecReader::Step step(reader, title(document));
  RouteYaml yaml;
  route().read(document.node, reader, yaml);
  Route out;
  out.place = {document.file, document.node.line, document.node.column};
  out.name = document.name;
  out.summary = std::move(yaml.summary);
  out.owner = std::move(yaml.owner);
  out.criticality = std::move(yaml.criticality);
  out.slo_within = yaml.slo.within;
  out.slo_target = std::move(yaml.slo.target);
  const std::size_t dot = yaml.from.find('.');
  out.entity = yaml.from.substr(0, dot);
  if (dot != yaml.from.npos) out.only_event = yaml.from.substr(dot + 1);
  out.to = std::move(yaml.to);
  out.when = std::move(yaml.when);
  out.retry = yaml.retry;
  out.after_dead_letter = yaml.after_dead_letter;
  out.was = std::move(yaml.was);
  out.parked_max = yaml.parked_max;
  read_start(loading, document, yaml.start, out);
  compile_if(loading, out.when, title(document) + " / when");
  out.exclusive = std::move(yaml.exclusive);
  compile_if(loading, out.exclusive, title(document) + " / exclusive");
  read_requests(loading, document, yaml, out);
  if (out.requests.empty() && document.node.find("requests") &&
      document.node.find("requests")->kind == Node::Kind::mapping && yaml.requests.empty() &&
      document.node.find("requests")->members.empty()) {
    loading.error(place_of(document, "requests"), title(document) + " / requests",
                  "no request: name an event and what is sent for it");
  }
  loading.config->routes.insert_or_assign(document.name, std::move(out));
}

void read_test(Loading& loading, Document& document) {
  SpecReader reader = loading.reader(document);
  const SpecReader::Step step(reader, title(document));
  TestYaml yaml;
  if (!test().read(document.node, reader, yaml)) return;
  loading.config->tests.push_back({document.name,
                                   std::move(yaml.given),
                                   std::move(yaml.expect),
                                   {document.file, document.node.line, document.node.column}});
}

}  // namespace millrace::config
