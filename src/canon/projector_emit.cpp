// From canonical data to events: what changed, its types, and what is appended.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "canon/judgement.hpp"
#include "canon/projector_pass.hpp"
#include "millrace/state_keys.hpp"

namespace millrace::canon {
namespace {

// The name an entity's `key` gives; an entity without one, or whose key fails, has no name.
std::string name_of(const config::Entity& entity, const config::ConfigHost& host,
                    const Json& data) {
  if (!entity.key) return "";
  const ExpressionContext context{nullptr, &host, {}};
  const auto value = entity.key->compiled->evaluate(data, context);
  if (!value || value->is_null()) return "";
  return value->is_string() ? std::string(value->get_string()) : write_json(*value);
}

std::string event_id(const Event& event, std::string_view data) {
  return stable_hash({event.entity, event.record, fmt::format("{}", event.rev), event.type, data});
}

}  // namespace

std::vector<Event> Projector::unsaid(const Event& event) {
  std::vector<Event> others;
  const auto said = std::ranges::find(event.types, event.type);
  for (auto type = said; type != event.types.end(); ++type) {
    if (type == said) continue;
    Event& other = others.emplace_back(event);
    other.type = *type;
    other.id = event_id(other, write_json(other.data));
  }
  return others;
}

ProjectResult Projector::emit(Pass& pass, const SourceChange& change, CachedProjection& entry,
                              Json data) {
  Projection& last = entry.value;
  std::string text = write_json(data);
  const bool first = !entry.known || last.deleted;
  const auto remember_cause = [&] {
    last.version = write_json(change.version);
    last.cause_partition = change.cause_partition;
    last.cause_offset = change.cause_offset;
    last.has_cause = true;
  };
  const bool outdated = !first && last.program != change.source->program;
  Json before;
  bool same = !first && text == last.data;
  if (!first && !same && !change.again) {
    auto parsed = parse_json(last.data);
    MILLRACE_INVARIANT(parsed.has_value());
    before = *std::move(parsed);
    same = equal_json(before, data);
  }
  if (same && !change.again) {
    remember_cause();
    last.program = change.source->program;
    return {outdated ? ProjectResult::Kind::renewed : ProjectResult::Kind::unchanged, {}, {}};
  }
  // Offset 0 is also what a full read writes, which has no doorbell behind it.
  if (change.again && entry.known && change.cause_offset > 0 && last.has_cause &&
      last.cause_partition == change.cause_partition && last.cause_offset == change.cause_offset) {
    return {ProjectResult::Kind::repeated, {}, {}};  // said before a crash, and so it stays
  }
  auto judged = types_of(pass, change, entry, before, data);
  if (!judged) return {ProjectResult::Kind::failed, judged.error(), {}};
  std::vector<std::string> types = *std::move(judged);
  if (text.size() * types.size() > kChangeBytesMax) {
    return {ProjectResult::Kind::failed,
            Error(Errc::too_large,
                  fmt::format("its {} events of {} bytes each are more than the log takes for one "
                              "change ({} bytes); map less of it, or to fewer events",
                              types.size(), text.size(), kChangeBytesMax)),
            {}};
  }
  const config::ConfigHost host(*pass.config, nullptr);
  const std::string old_name = first ? "" : last.name;
  entry.known = true;
  last.data = std::move(text);
  last.program = change.source->program;
  last.name = name_of(*change.entity, host, data);
  last.rev = std::max(last.rev, context_.incarnation << 32) + 1;
  last.deleted = false;
  remember_cause();
  if (last.name != old_name && !last.name.empty()) {
    pass.writes.put(Table::names,
                    row_key(indexed_name(last.name), change.entity->name, change.record),
                    fmt::format(R"({{"since":"{}"}})", to_rfc3339(context_.clock.wall_now())));
  }
  for (std::size_t i = 0; i < types.size(); ++i) {
    Json of_event = i + 1 < types.size() ? data : std::move(data);
    append_event(pass, change, last, types[i], types, std::move(of_event));
  }
  if (types.empty()) {
    return {outdated ? ProjectResult::Kind::renewed : ProjectResult::Kind::baselined, {}, {}};
  }
  return {ProjectResult::Kind::emitted, {}, std::move(types)};
}

// Which events the change of a record to `data` is.
Result<std::vector<std::string>> Projector::types_of(Pass& pass, const SourceChange& change,
                                                     const CachedProjection& entry,
                                                     const Json& before, const Json& data) {
  const Projection& last = entry.value;
  const bool first = !entry.known || last.deleted;
  // A full read is silent at first sight only: what changed since then is news.
  if (change.silent && !entry.known) return std::vector<std::string>{};
  if (!first && !change.again && last.program != change.source->program) {
    if (auto types = types_by_past(change, last)) return *std::move(types);
  }
  return events_of(*pass.config, *change.entity, before, data);
}

// The stored data is of another program: that one, run on the fresh record, knows what is news.
// nullopt: it fails where the new one does not, so the record is no longer what it was.
std::optional<std::vector<std::string>> Projector::types_by_past(const SourceChange& change,
                                                                 const Projection& last) {
  if (!past_) return std::vector<std::string>{};
  const auto past = past_->find(program_key(last.program, change.entity->name, *change.source));
  if (past == past_->end()) {
    ++silenced_[change.entity->name + ": its old program"];
    return std::vector<std::string>{};
  }
  const Json& record = change.whole ? *change.whole : change.value;
  auto judgement = judge(past->second, record, last.data, context_.clock.wall_now());
  if (!judgement) return std::nullopt;
  if (!judgement->lost_field.empty()) {
    const std::string what = change.entity->name + ": " + judgement->lost_field;
    if (silenced_[what]++ == 0) {
      spdlog::warn(
          "a field that the old program read is gone, its records are stored without a "
          "word entity={} field={} record={}",
          change.entity->name, judgement->lost_field, change.record);
    }
  }
  return std::move(judgement->types);
}

ProjectResult Projector::emit_deleted(Pass& pass, const SourceChange& change,
                                      CachedProjection& entry) {
  Projection& last = entry.value;
  if (!entry.known || last.deleted) return {ProjectResult::Kind::unchanged, {}, {}};
  auto data = parse_json(last.data);
  MILLRACE_INVARIANT(data.has_value());
  const std::vector<std::string> types{change.entity->name + ".deleted"};
  last.rev = std::max(last.rev, context_.incarnation << 32) + 1;
  last.deleted = true;
  last.cause_partition = change.cause_partition;
  last.cause_offset = change.cause_offset;
  last.has_cause = true;
  append_event(pass, change, last, types.front(), types, *std::move(data));
  return {ProjectResult::Kind::emitted, {}, types};
}

void Projector::append_event(Pass& pass, const SourceChange& change, Projection& projection,
                             const std::string& type, const std::vector<std::string>& types,
                             Json data) {
  Event event;
  event.type = type;
  event.entity = change.entity->name;
  event.source = fmt::format("/{}/{}", context_.installation, change.source->connection);
  event.subject = projection.name;
  event.time = context_.clock.wall_now();
  event.record = change.record;
  event.rev = projection.rev;
  event.entity_version = change.entity->version;
  event.types = types;
  event.cause = fmt::format("{}:{}", change.cause_partition, change.cause_offset);
  event.program = change.source->program;
  event.version = change.version.is_null() ? "" : write_json(change.version);
  event.id = event_id(event, projection.data);
  context_.trail.note(
      {change.record, "project", change.entity->name, type, event.id, event.subject});
  event.data = std::move(data);
  // Its data is written already: the projection's text is the event's.
  LogEntry entry{partition_of(change.record), change.entity->name,
                 encode_with(event, projection.data), nullptr};
  entry.of_owner = true;
  // The lanes of this shard read it next: they need not parse what is at hand as a tree.
  entry.decoded = make_decoded(std::move(event));
  pass.entries.push_back(std::move(entry));
}

}  // namespace millrace::canon
