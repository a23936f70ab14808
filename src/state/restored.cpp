#include "state/restored.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "millrace/json.hpp"
#include "millrace/offsets.hpp"
#include "state/blocking_commit.hpp"

namespace millrace {
namespace {

constexpr std::string_view kInstallationKey = "installation";

// Two restores of one backup must differ as well, so the minutes since the backup count.
std::uint64_t next_incarnation(std::uint64_t before, WallTime backup_at, WallTime now) {
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(now - backup_at).count();
  return before + 1 + static_cast<std::uint64_t>(std::max<std::int64_t>(minutes, 0));
}

}  // namespace

std::string encode(const Restored& restored) {
  JsonObject row{{"backup_at", to_rfc3339(restored.backup_at)},
                 {"restored_at", to_rfc3339(restored.restored_at)}};
  if (const auto& began = restored.began) {
    JsonArray routes(began->routes.begin(), began->routes.end());
    row.emplace("began", JsonObject{{"at", to_rfc3339(began->at)},
                                    {"events_below", offsets_json(began->events_below)},
                                    {"inbox_below", offsets_json(began->inbox_below)},
                                    {"routes", std::move(routes)},
                                    {"judged", began->judged}});
  }
  return write_json(Json(std::move(row)));
}

Result<std::optional<Restored>> read_restored(StateStore& store) {
  MILLRACE_TRY(text, store.get(Table::meta, kRestoredKey));
  if (!text) return std::optional<Restored>();
  MILLRACE_TRY(row, parse_json(*text));
  Restored restored;
  MILLRACE_TRY(backup_at, parse_rfc3339(string_or(row, "backup_at", "")));
  MILLRACE_TRY(restored_at, parse_rfc3339(string_or(row, "restored_at", "")));
  restored.backup_at = backup_at;
  restored.restored_at = restored_at;
  if (const Json* began = find(row, "began")) {
    Restored::Began& found = restored.began.emplace(Restored::Began{});
    MILLRACE_TRY(at, parse_rfc3339(string_or(*began, "at", "")));
    MILLRACE_TRY(events_below, offsets_of(*began, "events_below"));
    MILLRACE_TRY(inbox_below, offsets_of(*began, "inbox_below"));
    found.at = at;
    found.events_below = events_below;
    found.inbox_below = inbox_below;
    found.judged = bool_or(*began, "judged", false);
    const Json* routes = find(*began, "routes");
    if (routes != nullptr && routes->is_array()) {
      for (const Json& route : routes->get_array()) {
        if (route.is_string()) found.routes.emplace_back(route.get_string());
      }
    }
  }
  return std::optional<Restored>(std::move(restored));
}

Result<Installation> mark_restored(StateStore& store, WallTime backup_at, WallTime now,
                                   std::string_view reason) {
  MILLRACE_TRY(installation, read_installation(store));
  if (!installation) return fail(Errc::corrupt, "the backup's state belongs to no log");
  MILLRACE_TRY(text, store.get(Table::meta, kInstallationKey));
  MILLRACE_TRY(row, parse_json(text.value_or("")));
  installation->incarnation = next_incarnation(installation->incarnation, backup_at, now);
  row.as_object()["incarnation"] = installation->incarnation;
  Batch batch;
  batch.put(Table::meta, std::string(kInstallationKey), write_json(row));
  batch.put(Table::meta, std::string(kRestoredKey), encode(Restored{backup_at, now, {}}));
  batch.put(Table::audit, fmt::format("{:020}", now.time_since_epoch().count()),
            write_json(Json(JsonObject{{"at", to_rfc3339(now)},
                                       {"what", "restore"},
                                       {"object", "backup of " + to_rfc3339(backup_at)},
                                       {"reason", reason}})));
  MILLRACE_CHECK_OK(commit_blocking(store, std::move(batch)));
  return *std::move(installation);
}

}  // namespace millrace
