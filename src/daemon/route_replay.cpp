#include "daemon/route_replay.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <unordered_map>

#include "daemon/recovery.hpp"
#include "millrace/state_keys.hpp"

namespace millrace::daemon {
namespace {

constexpr std::size_t kRowsPerScan = 1000;
constexpr std::size_t kNamesMax = 100;

/// What parked rows say about one record.
struct Rows {
  bool undecided = false;
  std::set<Offset> given_up;
};

std::string command_of(const RouteReplay::Request& request) {
  std::string text = fmt::format("millrace replay {}", request.route);
  for (const auto& [option, value] : {std::pair("--from", &request.from),
                                      {"--to", &request.to},
                                      {"--record", &request.record},
                                      {"--key", &request.key}}) {
    if (!value->empty()) text += fmt::format(" {} {}", option, *value);
  }
  if (request.history) text += " --history";
  if (request.again) text += " --again";
  return text + " --yes --reason TEXT";
}

bool is_harmless(std::string_view method) {
  return method != "POST" && method != "PATCH";
}

std::string hours_text(seconds duration) {
  return fmt::format("{:.3g} hours",
                     std::chrono::duration<double, std::ratio<3600>>(duration).count());
}

}  // namespace

Result<void> RouteReplay::open() {
  const auto running = broker_.running_routes();
  const RunningRoute* found = running->find(request_.route);
  if (found == nullptr) {
    return fail(Errc::not_found, fmt::format("there is no route '{}'", request_.route));
  }
  if (request_.yes && request_.reason.empty()) {
    return fail(Errc::invalid_argument, "say why: --reason TEXT");
  }
  if (found->drain) return fail(Errc::conflict, "it drains: `routes resume` it first");
  if (found->replay) {
    return fail(Errc::conflict, fmt::format("a replay of it is under way: wait for its end, or "
                                            "`millrace replay {} --stop`",
                                            request_.route));
  }
  id_ = found->route().id();
  text_ = found->text;
  order_ = std::make_shared<deliver::ReplayOrder>();
  if (!request_.key.empty()) MILLRACE_CHECK_OK(resolve_record());
  order_->entity = text_.route->entity;
  order_->record = request_.record;
  order_->history = request_.history;
  order_->again = request_.again;
  order_->reason = request_.reason;
  MILLRACE_CHECK_OK(set_range());
  scan_ = std::make_unique<deliver::ReplayScan>(*broker_.log_, text_.config, *text_.route, order_,
                                                order_->from, order_->live);
  return {};
}

// Which record an entity's key names, or has named.
Result<void> RouteReplay::resolve_record() {
  if (!request_.record.empty()) {
    return fail(Errc::invalid_argument, "say one of --record RECORD and --key KEY");
  }
  const std::string prefix = row_key(indexed_name(request_.key), text_.route->entity) + '\0';
  MILLRACE_TRY(rows, broker_.state_->scan(Table::names, prefix, "", kNamesMax));
  if (rows.empty()) {
    return fail(Errc::not_found, fmt::format("no record of {} is or was called '{}'",
                                             text_.route->entity, request_.key));
  }
  std::string all;
  for (const Row& row : rows) all += (all.empty() ? "" : ", ") + row.key.substr(prefix.size());
  if (rows.size() > 1) {
    return fail(Errc::conflict,
                fmt::format("several records are or were called '{}': say --record with one of {}",
                            request_.key, all));
  }
  request_.record = all;
  return {};
}

Result<void> RouteReplay::set_range() {
  EventLog& log = *broker_.log_;
  const LogStream stream = broker_.stream_of(broker_.lives_.at(id_));
  order_->live.fill(0);
  for (const auto& unit : broker_.units_) {
    auto ask = [this, &unit = *unit]() -> Awaitable<Result<void>> {
      const auto lane = unit.lanes.find(id_);
      if (lane == unit.lanes.end()) co_return Result<void>{};
      const PartitionOffsets own = lane->second->taken_through();
      for (Partition p = 0; p < kPartitionCount; ++p) {
        if (own[p] != kSkipPartition) order_->live[p] = own[p];
      }
      co_return Result<void>{};
    };
    MILLRACE_CHECK_OK(broker_.run_on(unit->shard, ask));
  }
  if (request_.from.empty() && request_.record.empty()) {
    return fail(Errc::invalid_argument,
                "say from where: --from beginning, a time, or PARTITION:OFFSET; or which record: "
                "--record RECORD or --key KEY");
  }
  PartitionOffsets nowhere;
  nowhere.fill(kSkipPartition);
  MILLRACE_TRY(from, named_position(log, stream,
                                    request_.from.empty() ? "beginning" : request_.from, nowhere));
  PartitionOffsets to = order_->live;
  if (!request_.to.empty()) {
    MILLRACE_TRY(named, named_position(log, stream, request_.to, order_->live));
    to = named;
  }
  for (Partition p = 0; p < kPartitionCount; ++p) {
    const bool other = !order_->record.empty() && p != partition_of(order_->record);
    order_->until[p] = std::min(to[p], order_->live[p]);
    order_->from[p] = other || from[p] >= order_->until[p] ? kSkipPartition : from[p];
  }
  return {};
}

Result<bool> RouteReplay::step() {
  MILLRACE_CHECK_OK(broker_.not_stopping());
  return scan_->step();
}

Result<RouteReplay::Count> RouteReplay::count() {
  std::unordered_map<std::uint64_t, Rows> rows;
  std::string after;
  for (bool more = true; more;) {
    MILLRACE_TRY(stored, broker_.state_->scan(Table::parked, id_ + '\0', after, kRowsPerScan));
    for (const Row& one : stored) {
      MILLRACE_TRY(row, decode_parked_row(one.value));
      Rows& of_record = rows[hash64(row.record)];
      const bool sent_again = row.state == ParkedState::resubmitted;
      const bool given_up = row.state == ParkedState::discarded;
      if (given_up) of_record.given_up.insert(row.offset);
      if (!given_up && !sent_again) of_record.undecided = true;
    }
    more = stored.size() == kRowsPerScan;
    if (more) after = stored.back().key;
  }
  Count sum;
  for (const auto& [record, entry] : scan_->index().entries()) {
    const auto found = rows.find(record);
    const Rows* own = found == rows.end() ? nullptr : &found->second;
    // Without --history the last change alone, and only when it lies in the range.
    const bool last_in_range = entry.last == entry.last_in_range;
    const std::uint64_t wanted = request_.history ? entry.events : (last_in_range ? 1 : 0);
    sum.counts.superseded += entry.events - wanted;
    if (own != nullptr && own->undecided) {
      sum.counts.held += wanted;
      continue;
    }
    std::uint64_t given_up = 0;
    if (own != nullptr) {
      given_up = request_.history ? own->given_up.size() : own->given_up.count(entry.last);
    }
    given_up = std::min(given_up, wanted);
    sum.counts.decided += given_up;
    sum.counts.sent += wanted - given_up;
    if (wanted == given_up) continue;
    const WallTime first = request_.history ? entry.first_at : entry.last_at;
    if (!sum.first_at || first < *sum.first_at) sum.first_at = first;
    if (!sum.last_at || entry.last_at > *sum.last_at) sum.last_at = entry.last_at;
  }
  return sum;
}

JsonArray RouteReplay::warnings(const Count& count) const {
  JsonArray list;
  if (count.counts.sent == 0) return list;
  const config::Connection& to = text_.config->connections.find(text_.route->to)->second;
  const bool harmless = std::ranges::all_of(
      text_.route->requests, [](const auto& request) { return is_harmless(request.method); });
  if (request_.again) {
    list.push_back(Json(
        fmt::format("they go with new keys: what {} has applied, it applies once more", to.name)));
  } else if (!harmless && !to.idempotent) {
    list.push_back(Json(fmt::format(
        "{} does not honour Idempotency-Key (`idempotent:`): what it has applied, it applies once "
        "more",
        to.name)));
  } else if (!harmless && *count.first_at < broker_.clock_.wall_now() - to.remembers_keys) {
    list.push_back(Json(fmt::format(
        "the first is of {}, and {} is said to remember keys for {} (`remembers_keys:`): what it "
        "has forgotten, it applies once more",
        to_rfc3339(*count.first_at), to.name, hours_text(to.remembers_keys))));
  }
  return list;
}

Result<Json> RouteReplay::finish() {
  MILLRACE_TRY(counted, count());
  if (request_.yes) MILLRACE_CHECK_OK(begin(counted));
  const auto time = [](const std::optional<WallTime>& at) {
    return at ? Json(to_rfc3339(*at)) : Json(nullptr);
  };
  JsonObject json{{"route", request_.route},          {"done", request_.yes},
                  {"send", counted.counts.sent},      {"first_at", time(counted.first_at)},
                  {"last_at", time(counted.last_at)}, {"superseded", counted.counts.superseded},
                  {"held", counted.counts.held},      {"decided", counted.counts.decided},
                  {"warnings", warnings(counted)}};
  if (!request_.yes) json.emplace("next", command_of(request_));
  if (request_.yes) json.emplace("next", "millrace routes list");
  return Json(std::move(json));
}

Result<Json> RouteReplay::stop(Broker& broker, const std::string& route,
                               const std::string& reason) {
  MILLRACE_TRY(lock, broker.begin_control());
  const auto running = broker.running_routes();
  const RunningRoute* found = running->find(route);
  if (found == nullptr) {
    return fail(Errc::not_found, fmt::format("there is no route '{}'", route));
  }
  if (!found->replay) return fail(Errc::conflict, "no replay of it is under way");
  MILLRACE_TRY(counts, broker.end_replay(found->route().id(), "replay stopped", reason));
  return Json(JsonObject{{"route", route}, {"state", "stopped"}, {"sent", counts.sent}});
}

Result<void> RouteReplay::begin(const Count& count) {
  MILLRACE_TRY(lock, broker_.begin_control());
  const auto life = broker_.lives_.find(id_);
  if (life == broker_.lives_.end() || life->second.replay || life->second.drain) {
    return fail(Errc::conflict, "the route has changed meanwhile: try again");
  }
  MILLRACE_TRY(number, broker_.state_->get(Table::routes, kReplaysKey));
  if (number) std::from_chars(number->data(), number->data() + number->size(), order_->number);
  ++order_->number;
  order_->since = broker_.clock_.wall_now();
  order_->about = count.counts.sent;
  Batch batch;
  MILLRACE_CHECK_OK(broker_.erase_replay_rows(id_, batch));
  const std::string stream_id = broker_.log_->id_of(broker_.stream_of(broker_.lives_.at(id_)));
  deliver::ReplayPartitions partitions;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (order_->from[p] == kSkipPartition) continue;
    auto& part = partitions[p];
    part.progress = route::Progress(order_->from[p]);
    batch.put(Table::cursors, row_key(deliver::replay_owner(id_), fmt::format("{:02x}", p)),
              encode(part, stream_id));
  }
  RouteLife changed = life->second;
  changed.replay = order_;
  put_life(batch, changed);
  batch.put(Table::routes, std::string(kReplaysKey), fmt::format("{}", order_->number));
  broker_.audit(batch, "replay begins", request_.route,
                fmt::format("{} (replay {}, about {} events{}{})", order_->reason, order_->number,
                            order_->about, order_->history ? ", history" : "",
                            order_->again ? ", new keys" : ""));
  MILLRACE_CHECK_OK(broker_.commit_lives(std::move(batch)));
  broker_.publish_life(std::move(changed));
  for (const auto& unit : broker_.units_) {
    unit->shard.post(
        [&unit = *unit, id = id_, own = broker_.own_replay(*unit, order_, partitions)]() mutable {
          const auto lane = unit.lanes.find(id);
          if (lane != unit.lanes.end()) lane->second->begin_replay(std::move(own));
        });
  }
  spdlog::warn("replay begins route={} replay={} about={} reason=\"{}\"", request_.route,
               order_->number, order_->about, order_->reason);
  return {};
}

}  // namespace millrace::daemon
