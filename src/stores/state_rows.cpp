#include "stores/state_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "millrace/offsets.hpp"
#include "millrace/parking.hpp"

namespace millrace::stores {
namespace {

constexpr std::size_t kRowsPerScan = 1000;
constexpr std::string_view kDead = "dead";

/// The part of a key before its first zero byte, and what is behind it.
std::pair<std::string, std::string_view> split_key(std::string_view key) {
  const std::size_t at = key.find('\0');
  if (at == key.npos) return {std::string(key), {}};
  return {std::string(key.substr(0, at)), key.substr(at + 1)};
}

Offset offset_in(const JsonObject& row, std::string_view key, Offset otherwise) {
  const Json* value = row.if_contains(key);
  return value != nullptr && value->is_int64() ? static_cast<Offset>(value->get_int64())
                                               : otherwise;
}

void put_offset(JsonObject& row, std::string_view key, Offset offset) {
  row[key] = static_cast<std::int64_t>(offset);
}

Result<JsonObject> object_of(const Row& row) {
  MILLRACE_TRY(json, parse_json(row.value));
  if (json.is_object()) return std::move(json.get_object());
  return fail(Errc::corrupt, fmt::format("row {} is no object", printable_key(row.key)));
}

Result<void> each(StateReader& state, Table table, std::string_view prefix,
                  const std::function<Result<void>(const Row&)>& visit) {
  for (std::string after;;) {
    MILLRACE_TRY(rows, state.scan(table, prefix, after, kRowsPerScan));
    for (const Row& row : rows) MILLRACE_CHECK_OK(visit(row));
    if (rows.size() < kRowsPerScan) return {};
    after = rows.back().key;
  }
}

}  // namespace

std::size_t end_of_attributes(std::string_view event) {
  return std::min(event.find(R"(,"data":)"), event.size());
}

std::string with_cause(std::string_view text, std::size_t before,
                       const std::function<std::optional<Offset>(Partition, Offset)>& place) {
  // No text in JSON holds a bare quote, so this is the member itself.
  constexpr std::string_view kMember = R"(,"cause":")";
  const std::size_t at = text.substr(0, before).rfind(kMember);
  if (at == text.npos) return std::string(text);
  const std::size_t value = at + kMember.size();
  const std::size_t end = text.find('"', value);
  const std::size_t colon = text.find(':', value);
  if (end == text.npos || colon > end) return std::string(text);
  Partition partition = 0;
  Offset offset = 0;
  std::from_chars(text.data() + value, text.data() + colon, partition);
  std::from_chars(text.data() + colon + 1, text.data() + end, offset);
  std::string moved(text.substr(0, at));
  if (const auto there = place(partition, offset)) {
    fmt::format_to(std::back_inserter(moved), "{}{}:{}\"", kMember, partition, *there);
  }
  moved += text.substr(end + 1);
  return moved;
}

Result<void> StateRows::read_routes(StateReader& state) {
  return each(state, Table::routes, row_key("life", ""), [this](const Row& row) -> Result<void> {
    MILLRACE_TRY(life, object_of(row));
    const Json json(std::move(life));
    entities_.emplace(string_or(json, "id", ""), string_or(json, "entity", ""));
    return {};
  });
}

std::string StateRows::topic_of_route(const std::string& id, std::string_view type) const {
  const auto found = entities_.find(id);
  return found != entities_.end() ? found->second : std::string(type.substr(0, type.find('.')));
}

std::string StateRows::id_in_target(const LogStream& stream) const {
  return to_ == nullptr ? std::string() : to_->id_of(stream);
}

Result<Row> StateRows::move(Table table, const Row& row) const {
  switch (table) {
    case Table::parked:
      return move_parked(row);
    case Table::doorbells:
      return move_doorbell(row);
    case Table::routes:
      return move_route(row);
    case Table::outbox:
      return move_outbox(row);
    case Table::projections:
      return move_projection(row);
    default:
      return row;
  }
}

Result<Row> StateRows::move_parked(const Row& row) const {
  MILLRACE_TRY(parked, decode_parked_row(row.value));
  const bool delivers = parked.stage == "deliver";
  const std::string topic = delivers ? topic_of_route(parked.owner, parked.type) : std::string();
  parked.offset = positions_.record(delivers ? Journal::events : Journal::inbox, topic,
                                    parked.partition, parked.offset);
  return Row{parked.key(), encode(parked)};
}

Result<Row> StateRows::move_doorbell(const Row& row) const {
  MILLRACE_TRY(json, object_of(row));
  const auto partition = static_cast<Partition>(offset_in(json, "partition", 0) % kPartitionCount);
  put_offset(json, "offset",
             positions_.record(Journal::inbox, "", partition, offset_in(json, "offset", 0)));
  return Row{row.key, write_json(Json(std::move(json)))};
}

Result<Row> StateRows::move_route(const Row& row) const {
  const auto [kind, rest] = split_key(row.key);
  if (kind == "life") {
    MILLRACE_TRY(json, object_of(row));
    MILLRACE_CHECK_OK(move_life(json));
    return Row{row.key, write_json(Json(std::move(json)))};
  }
  if (kind != "delivered") return row;
  MILLRACE_TRY(json, object_of(row));
  const auto [id, record] = split_key(rest);
  put_offset(json, "offset",
             positions_.record(Journal::events, topic_of_route(id, ""), partition_of(record),
                               offset_in(json, "offset", 0)));
  return Row{row.key, write_json(Json(std::move(json)))};
}

Result<void> StateRows::move_life(JsonObject& life) const {
  const std::string topic(string_or(life, "entity", ""));
  if (Json* older = life.if_contains("older"); older != nullptr && older->is_array()) {
    for (Json& text : older->get_array()) {
      if (text.is_object()) MILLRACE_CHECK_OK(move_offsets(text.get_object(), "below", topic));
    }
  }
  if (Json* drain = life.if_contains("drain"); drain != nullptr && drain->is_object()) {
    MILLRACE_CHECK_OK(move_offsets(drain->get_object(), "until", topic));
  }
  Json* replay = life.if_contains("replay");
  if (replay == nullptr || !replay->is_object()) return {};
  for (const char* place : {"from", "until", "live"}) {
    MILLRACE_CHECK_OK(move_offsets(replay->get_object(), place, topic));
  }
  return {};
}

Result<void> StateRows::move_offsets(JsonObject& row, std::string_view key,
                                     const std::string& topic) const {
  MILLRACE_TRY(offsets, offsets_of(row, key));
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (offsets[p] != kSkipPartition) offsets[p] = positions_.boundary(topic, p, offsets[p]);
  }
  row[key] = offsets_json(offsets);
  return {};
}

Result<Row> StateRows::move_outbox(const Row& row) const {
  if (row.key != "announcing") return row;
  MILLRACE_TRY(json, object_of(row));
  MILLRACE_CHECK_OK(move_offsets(json, "from", std::string(kDead)));
  json["log"] = id_in_target(to_ == nullptr ? LogStream(Journal::events)
                                            : to_->stream_of(Journal::events, kDead));
  return Row{row.key, write_json(Json(std::move(json)))};
}

Result<Row> StateRows::move_projection(const Row& row) const {
  const std::size_t header = row.value.find(R"(,"name":)");
  return Row{row.key, with_cause(row.value, header, [this](Partition partition, Offset offset) {
               return positions_.cause(partition, offset);
             })};
}

/// Cursors as they are: what stands for whom.
struct StateRows::Cursors {
  using Places = std::map<std::string, std::map<Partition, Offset>, std::less<>>;  ///< by topic
  Places tails;
  Places projected;
};

void StateRows::move_progress(JsonObject& row, const std::function<Offset(Offset)>& place) const {
  const Offset next = offset_in(row, "next", 0);
  const Offset taken = offset_in(row, "taken", next);
  JsonArray settled;
  if (const Json* ranges = row.if_contains("settled"); ranges != nullptr && ranges->is_array()) {
    for (const Json& range : ranges->get_array()) {
      const JsonArray* pair = range.if_array();
      if (pair == nullptr || pair->size() != 2) continue;
      const Offset first = place(static_cast<Offset>((*pair)[0].get_int64()));
      const Offset behind = place(static_cast<Offset>((*pair)[1].get_int64()) + 1);
      if (first >= behind) continue;  // none of them is of this topic
      settled.push_back(
          JsonArray{static_cast<std::int64_t>(first), static_cast<std::int64_t>(behind) - 1});
    }
  }
  put_offset(row, "next", place(next));
  row["settled"] = std::move(settled);
  row.erase("taken");
  if (taken != next) put_offset(row, "taken", place(taken));
}

Result<void> StateRows::move_cursor(const std::string& owner, Partition partition, JsonObject row,
                                    const Cursors& all, std::vector<Row>& moved) const {
  const auto [kind, id] = [&owner] {
    const std::size_t slash = owner.find('/');
    return std::pair(owner.substr(0, slash),
                     slash == owner.npos ? std::string() : owner.substr(slash + 1));
  }();
  LogStream there = Journal::inbox;
  if (owner == "inbox") {
    move_progress(row, [&](Offset at) { return positions_.inbox_boundary(partition, at); });
  } else if (kind == "route" || kind == "replay") {
    const std::string topic = topic_of_route(id, "");
    if (topic.empty())
      return fail(Errc::corrupt, fmt::format("whose events {} takes is in no row", owner));
    if (const Json* tail = row.if_contains("tail"); tail != nullptr) {
      // The tail's row stood for it.
      const std::string own = from_.stream_of(Journal::events, topic).topic;
      const auto tails = all.tails.find(own);
      if (tails != all.tails.end() && tails->second.contains(partition)) {
        const Offset through = tails->second.at(partition);
        put_offset(row, "next", std::max(offset_in(row, "next", 0), through));
        if (offset_in(row, "taken", 0) <= offset_in(row, "next", 0)) row.erase("taken");
      }
      row.erase("tail");
    }
    if (to_ != nullptr) there = to_->stream_of(Journal::events, topic);
    move_progress(row, [&](Offset at) { return positions_.boundary(topic, partition, at); });
  } else {
    return fail(Errc::not_supported,
                fmt::format("cursors of {} are not known to this version of millrace", owner));
  }
  row["log"] = id_in_target(there);
  moved.push_back(
      {row_key(owner, fmt::format("{:02x}", partition)), write_json(Json(std::move(row)))});
  return {};
}

Result<std::vector<Row>> StateRows::move_cursors(StateReader& state) const {
  Cursors all;
  std::vector<std::tuple<std::string, Partition, JsonObject>> others;
  const auto sort_out = [&](const Row& stored) -> Result<void> {
    MILLRACE_TRY(row, object_of(stored));
    const auto [owner, digits] = split_key(stored.key);
    Partition partition = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), partition, 16);
    const std::size_t slash = owner.find('/');
    const std::string kind = owner.substr(0, slash);
    const std::string topic = slash == owner.npos ? std::string() : owner.substr(slash + 1);
    if (kind == "tail") {
      all.tails[topic][partition] = offset_in(row, "next", 0);
    } else if (kind == "projected") {
      all.projected[topic][partition] = offset_in(row, "next", 0);
    } else {
      others.emplace_back(owner, partition, std::move(row));
    }
    return {};
  };
  MILLRACE_CHECK_OK(each(state, Table::cursors, "", sort_out));
  std::vector<Row> moved;
  for (auto& [owner, partition, row] : others) {
    MILLRACE_CHECK_OK(move_cursor(owner, partition, std::move(row), all, moved));
  }
  move_projected(all, moved);
  return moved;
}

// Where topics are counted together one row stands for all: the first event that is in no
// projection yet.
void StateRows::move_projected(const Cursors& all, std::vector<Row>& moved) const {
  std::map<std::pair<LogStream, Partition>, Offset> first;
  for (const std::string& topic : topics_) {
    const LogStream here = from_.stream_of(Journal::events, topic);
    const LogStream there =
        to_ == nullptr ? LogStream(Journal::events) : to_->stream_of(Journal::events, topic);
    const PartitionOffsets begins = from_.begins(here);
    const auto known = all.projected.find(here.topic);
    for (Partition p = 0; p < kPartitionCount; ++p) {
      Offset next = begins[p];
      if (known != all.projected.end() && known->second.contains(p)) next = known->second.at(p);
      const Offset moves_to = positions_.boundary(topic, p, next);
      const auto [at, added] = first.try_emplace({there, p}, moves_to);
      if (!added) at->second = std::min(at->second, moves_to);
    }
  }
  for (const auto& [place, next] : first) {
    const auto& [stream, partition] = place;
    moved.push_back({row_key(cursor_owner("projected", stream), fmt::format("{:02x}", partition)),
                     fmt::format(R"({{"log":"{}","next":{}}})", id_in_target(stream), next)});
  }
}

}  // namespace millrace::stores
