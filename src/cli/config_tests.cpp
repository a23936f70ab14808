#include "cli/config_tests.hpp"

#include <fmt/format.h>

#include "canon/judgement.hpp"
#include "millrace/state_store.hpp"
#include "route/render.hpp"

namespace millrace::cli {
namespace {

// One event that the given things lead to.
struct GivenEvent {
  std::string type;
  std::vector<std::string> types;
  Json data;
};

std::string target_path(std::string_view target) {
  return std::string(target.substr(0, target.find('?')));
}

WallTime now_of(const Json& given) {
  const auto parsed = parse_rfc3339(string_or(given, "now", "2026-01-01T00:00:00Z"));
  return parsed ? *parsed : WallTime{};
}

Result<std::vector<GivenEvent>> from_event(const Json& given) {
  GivenEvent event;
  event.type = string_or(given, "event", "");
  event.types = {event.type};
  if (const Json* data = find(given, "data")) event.data = *data;
  return std::vector<GivenEvent>{std::move(event)};
}

// given: { <connection>: { <model>: { record }, before: { record } } }
Result<std::vector<GivenEvent>> from_record(const config::Config& config,
                                            const std::string& connection, const Json& given,
                                            const Json& records) {
  std::vector<GivenEvent> events;
  const Json* before_record = find(records, "before");
  bool known = false;
  for (const auto& [name, entity] : config.entities) {
    for (const config::EntitySource& source : entity.from) {
      const Json* record = find(records, source.model);
      if (source.connection != connection || record == nullptr) continue;
      known = true;
      const WallTime now = now_of(given);
      MILLRACE_TRY(wanted, canon::is_wanted(config, source, *record, now));
      if (!wanted) continue;
      MILLRACE_TRY(data, canon::map_record(config, source, *record, now));
      Json before;
      if (before_record != nullptr) {
        MILLRACE_TRY(mapped, canon::map_record(config, source, *before_record, now));
        before = std::move(mapped);
        if (equal_json(before, data)) continue;
      }
      MILLRACE_TRY(types, canon::events_of(config, entity, before, data));
      for (const std::string& type : types) events.push_back({type, types, data});
    }
  }
  if (!known) {
    return fail(Errc::invalid_argument,
                fmt::format("no entity reads what `given.{}` holds", connection));
  }
  return events;
}

Result<std::vector<GivenEvent>> given_events(const config::Config& config, const Json& given) {
  if (find(given, "event") != nullptr) return from_event(given);
  for (const auto& [name, connection] : config.connections) {
    if (const Json* records = find(given, name)) return from_record(config, name, given, *records);
  }
  return fail(Errc::invalid_argument,
              "`given` needs `event` with `data`, or records of a connection");
}

// xref: { <entity>: { <system>: { <record>: id } } }, or one text for every question.
config::FetchedReferences references_of(const Json& given) {
  config::FetchedReferences references;
  const Json* xref = find(given, "xref");
  if (xref == nullptr || !xref->is_object()) return references;
  for (const auto& entity : xref->get_object()) {
    if (!entity.value().is_object()) continue;
    for (const auto& system : entity.value().get_object()) {
      if (system.value().is_string()) {
        references[row_key(std::string(entity.key()), std::string(system.key()), "test")] =
            std::string(system.value().get_string());
      }
    }
  }
  return references;
}

// What one route sends for one event: { route, sends: {method, path, body, query, headers} }, or
// { route, parks: reason }; null when it does nothing.
Result<Json> sent_by(const config::Config& config, const config::Route& route,
                     const GivenEvent& given_event, const Json& given) {
  DecodedEvent decoded;
  Event& event = decoded.event;
  event.type = given_event.type;
  event.types = given_event.types;
  event.entity = event.type.substr(0, event.type.find('.'));
  event.id = "test";
  event.record = "test";
  event.time = now_of(given);
  event.data = given_event.data;
  if (event.entity != route.entity) return Json(nullptr);
  if (!route.only_event.empty() && event.name() != route.only_event) return Json(nullptr);
  decoded.input = to_expression_input(event);
  config::ConfigHost host(config, nullptr);
  MILLRACE_TRY(selection, route::select(route, host, decoded));
  if (selection.verdict != route::Verdict::act) return Json(nullptr);
  config::FetchedReferences references = references_of(given);
  host.set_fetched(&references);
  host.set_missing(selection.request->missing);
  Result<HttpRequest> request = fail(Errc::internal, "not rendered");
  while (!(request = route::render(*selection.request, host, decoded, event.time)) &&
         request.error().code == Errc::needs_lookup) {
    references.try_emplace(host.wanted(), std::nullopt);
  }
  if (!request && request.error().code == Errc::missing_reference) {
    if (selection.request->missing == config::Missing::skip) return Json(nullptr);
    return Json(JsonObject{{"route", route.name}, {"parks", request.error().message}});
  }
  if (!request) return std::unexpected(request.error());
  JsonObject sends{{"method", request->method}, {"path", target_path(request->target)}};
  if (const std::size_t query = request->target.find('?'); query != std::string::npos) {
    sends.emplace("query", request->target.substr(query + 1));
  }
  if (!request->body.empty()) {
    MILLRACE_TRY(body, parse_json(request->body));
    sends.emplace("body", std::move(body));
  }
  if (!request->headers.empty()) {
    JsonObject headers;
    for (const auto& [name, value] : request->headers) headers.emplace(name, value);
    sends.emplace("headers", std::move(headers));
  }
  return Json(JsonObject{{"route", route.name}, {"sends", std::move(sends)}});
}

// Lines "path: expected X, got Y" for every difference; `subset`: keys only the result has are
// fine.
void differences(const Json& expected, const Json& got, const std::string& path, bool subset,
                 std::string& out) {
  if (expected.is_object() && got.is_object()) {
    for (const auto& member : expected.get_object()) {
      const std::string name = path + "." + std::string(member.key());
      const Json* value = find(got, member.key());
      if (value == nullptr) {
        out += fmt::format("    {}: expected {}, got nothing\n", name, write_json(member.value()));
      } else {
        differences(member.value(), *value, name, false, out);
      }
    }
    for (const auto& member : got.get_object()) {
      if (subset || expected.get_object().contains(member.key())) continue;
      out += fmt::format("    {}.{}: expected nothing, got {}\n", path, std::string(member.key()),
                         write_json(member.value()));
    }
    return;
  }
  if (expected.is_array() && got.is_array() &&
      expected.get_array().size() == got.get_array().size()) {
    for (std::size_t i = 0; i < expected.get_array().size(); ++i) {
      differences(expected.get_array()[i], got.get_array()[i], fmt::format("{}[{}]", path, i),
                  false, out);
    }
    return;
  }
  if (!equal_json(expected, got)) {
    out +=
        fmt::format("    {}: expected {}, got {}\n", path, write_json(expected), write_json(got));
  }
}

void compare_sends(const JsonArray& expected, std::vector<Json> got, std::string& report) {
  for (const Json& want : expected) {
    if (find(want, "emits") != nullptr) continue;
    const std::string_view route = string_or(want, "route", "");
    const auto found = std::ranges::find_if(
        got, [&](const Json& sent) { return string_or(sent, "route", "") == route; });
    if (found == got.end()) {
      report += fmt::format("    route {} sends nothing\n", route);
      continue;
    }
    const Json* sends = find(want, "sends");
    const Json* sent = find(*found, "sends");
    if (sends != nullptr && sent == nullptr) {
      report += fmt::format("    route {} parks: {}\n", route, string_or(*found, "parks", ""));
    } else if (sends != nullptr) {
      differences(*sends, *sent, std::string(route), true, report);
    }
    got.erase(found);
  }
  for (const Json& sent : got) {
    report += fmt::format("    nobody expected {}\n", write_json(sent));
  }
}

void compare_emits(const JsonArray& expected, const std::vector<GivenEvent>& events,
                   std::string& report) {
  for (const Json& want : expected) {
    const std::string_view type = string_or(want, "emits", "");
    if (type.empty()) continue;
    const auto found = std::ranges::find(events, type, &GivenEvent::type);
    if (found == events.end()) {
      report += fmt::format("    {} is not emitted\n", type);
    } else if (const Json* data = find(want, "data")) {
      differences(*data, found->data, std::string(type), true, report);
    }
  }
}

std::string run(const config::Config& config, const config::ConfigTest& test) {
  const auto events = given_events(config, test.given);
  if (!events) return "    " + events.error().message + "\n";
  std::vector<Json> sent;
  for (const GivenEvent& event : *events) {
    for (const auto& [name, route] : config.routes) {
      auto result = sent_by(config, route, event, test.given);
      if (!result) return fmt::format("    route {}: {}\n", name, result.error().message);
      if (!result->is_null()) sent.push_back(*std::move(result));
    }
  }
  static const JsonArray kNothing;
  const JsonArray& expected = test.expect.is_array() ? test.expect.get_array() : kNothing;
  std::string report;
  compare_sends(expected, std::move(sent), report);
  compare_emits(expected, *events, report);
  return report;
}

}  // namespace

std::vector<ConfigTestResult> run_config_tests(const config::Config& config) {
  std::vector<ConfigTestResult> results;
  for (const config::ConfigTest& test : config.tests) {
    std::string report = run(config, test);
    results.push_back({test.name, test.place, report.empty(), std::move(report)});
  }
  return results;
}

}  // namespace millrace::cli
