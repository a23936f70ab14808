#include "daemon/route_life.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "millrace/json.hpp"
#include "millrace/offsets.hpp"
#include "state/blocking_commit.hpp"

namespace millrace::daemon {
namespace {

constexpr std::size_t kRowsMax = 1'000'000;
constexpr int kTriesMax = 10;  // each time another instance was faster

Json replay_json(const deliver::ReplayOrder& order) {
  return JsonObject{{"number", static_cast<std::int64_t>(order.number)},
                    {"from", offsets_json(order.from)},
                    {"until", offsets_json(order.until)},
                    {"live", offsets_json(order.live)},
                    {"entity", order.entity},
                    {"record", order.record},
                    {"history", order.history},
                    {"again", order.again},
                    {"reason", order.reason},
                    {"since", to_rfc3339(order.since)},
                    {"about", static_cast<std::int64_t>(order.about)}};
}

Result<deliver::ReplayOrderPtr> replay_of(const Json& json) {
  deliver::ReplayOrder order;
  order.number = static_cast<std::uint64_t>(int_or(json, "number", 0));
  MILLRACE_TRY(from, offsets_of(json, "from"));
  MILLRACE_TRY(until, offsets_of(json, "until"));
  MILLRACE_TRY(live, offsets_of(json, "live"));
  order.from = from;
  order.until = until;
  order.live = live;
  order.entity = string_or(json, "entity", "");
  order.record = string_or(json, "record", "");
  order.history = bool_or(json, "history", false);
  order.again = bool_or(json, "again", false);
  order.reason = string_or(json, "reason", "");
  MILLRACE_TRY(since, parse_rfc3339(string_or(json, "since", "")));
  order.since = since;
  order.about = static_cast<std::uint64_t>(int_or(json, "about", 0));
  return std::make_shared<const deliver::ReplayOrder>(std::move(order));
}

}  // namespace

std::string life_key(std::string_view id) {
  return row_key("life", id);
}
std::string text_key(std::string_view hash) {
  return row_key("text", hash);
}
std::string connection_key(std::string_view name) {
  return row_key("connection", name);
}
std::string pause_key(std::string_view id) {
  return row_key("pause", id);
}

std::string encode(const RouteLife& life) {
  JsonArray older;
  for (const auto& text : life.older) {
    older.push_back(JsonObject{{"text", text.text}, {"below", offsets_json(text.below)}});
  }
  JsonObject json{{"id", life.id},         {"name", life.name}, {"to", life.to},
                  {"entity", life.entity}, {"text", life.text}, {"older", std::move(older)}};
  if (life.drain) {
    json.emplace("drain", JsonObject{{"until", offsets_json(life.drain->until)},
                                     {"removed", life.drain->removed},
                                     {"reason", life.drain->reason},
                                     {"since", to_rfc3339(life.drain->since)}});
  }
  if (life.dropped) json.emplace("dropped", true);
  if (life.replay) json.emplace("replay", replay_json(*life.replay));
  return write_json(Json(std::move(json)));
}

Result<RouteLife> decode_route_life(std::string_view text) {
  MILLRACE_TRY(json, parse_json(text));
  RouteLife life;
  life.id = string_or(json, "id", "");
  life.name = string_or(json, "name", "");
  life.to = string_or(json, "to", "");
  life.entity = string_or(json, "entity", "");
  life.text = string_or(json, "text", "");
  life.dropped = bool_or(json, "dropped", false);
  if (const Json* older = find(json, "older"); older != nullptr && older->is_array()) {
    for (const Json& entry : older->get_array()) {
      MILLRACE_TRY(below, offsets_of(entry, "below"));
      life.older.push_back({std::string(string_or(entry, "text", "")), below});
    }
  }
  if (const Json* drain = find(json, "drain"); drain != nullptr && drain->is_object()) {
    MILLRACE_TRY(until, offsets_of(*drain, "until"));
    MILLRACE_TRY(since, parse_rfc3339(string_or(*drain, "since", "")));
    life.drain = {until, bool_or(*drain, "removed", true),
                  std::string(string_or(*drain, "reason", "")), since};
  }
  if (const Json* replay = find(json, "replay"); replay != nullptr && replay->is_object()) {
    MILLRACE_TRY(order, replay_of(*replay));
    life.replay = order;
  }
  return life;
}

Result<RouteLives> read_route_lives(StateStore& state) {
  RouteLives lives;
  MILLRACE_TRY(rows, state.scan(Table::routes, life_key(""), "", kRowsMax));
  for (const Row& row : rows) {
    MILLRACE_TRY(life, decode_route_life(row.value));
    life.row = row.value;
    std::string id = life.id;
    lives.emplace(std::move(id), std::move(life));
  }
  return lives;
}

void put_life(Batch& batch, RouteLife& life) {
  std::string row = encode(life);
  batch.require.push_back({Table::routes, life_key(life.id), life.row});
  batch.put(Table::routes, life_key(life.id), row);
  life.row = std::move(row);
}

Result<RouteLives> change_lives(StateStore& state,
                                const std::function<Result<RouteLives>(Batch&)>& change) {
  for (int left = kTriesMax;; --left) {
    Batch batch;
    MILLRACE_TRY(lives, change(batch));
    if (batch.writes.empty()) return lives;
    const auto done = commit_blocking(state, std::move(batch));
    if (done) return lives;
    if (done.error().code != Errc::precondition_failed || left == 1)
      return std::unexpected(done.error());
  }
}

void change_text(RouteLife& life, const std::string& old, const std::string& now,
                 const PartitionOffsets& from) {
  const bool nothing_between = !life.older.empty() && life.older.back().below == from;
  if (!nothing_between) life.older.push_back({old, from});
  life.text = now;
}

bool forget_passed(RouteLife& life, const PartitionOffsets& cursors) {
  return std::erase_if(life.older, [&cursors](const RouteLife::Older& older) {
           return std::ranges::equal(older.below, cursors, std::ranges::less_equal{});
         }) > 0;
}

Result<Batch> unused_texts(StateStore& state) {
  std::set<std::string> unused;
  for (const std::string& prefix : {text_key(""), connection_key("")}) {
    MILLRACE_TRY(rows, state.scan(Table::routes, prefix, "", kRowsMax));
    for (const Row& row : rows) unused.insert(row.key);
  }
  // Read behind the texts: a life is written together with the text that it names.
  MILLRACE_TRY(lives, read_route_lives(state));
  Batch batch;
  for (const auto& [id, life] : lives) {
    unused.erase(text_key(life.text));
    unused.erase(connection_key(life.to));
    for (const auto& older : life.older) unused.erase(text_key(older.text));
    batch.require.push_back({Table::routes, life_key(id), life.row});
  }
  for (const std::string& key : unused) batch.erase(Table::routes, key);
  return batch;
}

}  // namespace millrace::daemon
