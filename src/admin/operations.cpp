#include "admin/operations.hpp"

#include <array>

#include "admin/query.hpp"

namespace millrace::admin {
namespace {

constexpr std::array kOperations{
    OperationSpec{"status", "GET", "/admin/v1/status", "",
                  "What is wrong, and the state of routes, connections, disk and doorbells."},
    OperationSpec{"where", "GET", "/admin/v1/where", "key",
                  "Every record of a business key, with every hop."},
    OperationSpec{"dead.list", "GET", "/admin/v1/dead", "route, limit, by",
                  "Dead letters; by=cause groups them."},
    OperationSpec{"dead.show", "GET", "/admin/v1/dead/{id}", "",
                  "One dead letter with its event, request and answer."},
    OperationSpec{"dead.resubmit", "POST", "/admin/v1/dead/{id}/resubmit", "again, reason, history",
                  "Sends a dead letter once more."},
    OperationSpec{"dead.discard", "POST", "/admin/v1/dead/{id}/discard", "reason",
                  "Gives a dead letter up."},
    OperationSpec{"parked.list", "GET", "/admin/v1/parked", "route, limit, by",
                  "Parked deliveries; by=cause groups them."},
    OperationSpec{"parked.release", "POST", "/admin/v1/parked/{id}/release",
                  "applied, external_id, reason", "Lets a parked delivery go on."},
    OperationSpec{"parked.skip", "POST", "/admin/v1/parked/{id}/skip", "reason",
                  "Drops one parked delivery."},
    OperationSpec{"routes.list", "GET", "/admin/v1/routes", "", "Routes and their state."},
    OperationSpec{"routes.pause", "POST", "/admin/v1/routes/{name}/pause", "reason",
                  "Stops sending on a route; its events wait."},
    OperationSpec{"routes.resume", "POST", "/admin/v1/routes/{name}/resume", "",
                  "Sends again on a route, and takes up events again."},
    OperationSpec{"routes.drain", "POST", "/admin/v1/routes/{name}/drain", "reason",
                  "Delivers what is in the log now and takes up nothing more, until resumed."},
    OperationSpec{
        "routes.seek", "POST", "/admin/v1/routes/{name}/seek", "to, reason, yes",
        "Moves a route, over events or back to them; without `yes` says what it would do."},
    OperationSpec{"routes.skip", "POST", "/admin/v1/routes/{name}/skip", "to, record, reason, yes",
                  "Lets go of undelivered events; without `yes` says what it would do."},
    OperationSpec{"routes.drop", "POST", "/admin/v1/routes/{name}/drop", "reason, yes",
                  "Ends a removed route that still drains; without `yes` says what it would do."},
    OperationSpec{"replay", "POST", "/admin/v1/routes/{name}/replay",
                  "from, to, record, key, history, again, reason, yes",
                  "Sends again what a route has sent; without `yes` says how many."},
    OperationSpec{"replay.stop", "POST", "/admin/v1/routes/{name}/replay/stop", "reason",
                  "Ends a replay; what it has under way may end."},
    OperationSpec{"connections.list", "GET", "/admin/v1/connections", "",
                  "Connections and their state."},
    OperationSpec{"connections.check", "POST", "/admin/v1/connections/{name}/check", "",
                  "Whether the other side answers; changes nothing there."},
    OperationSpec{"connections.resume", "POST", "/admin/v1/connections/{name}/resume", "reason",
                  "A kafka connection that stopped for a person goes on; what is gone is let go."},
    OperationSpec{"fetch", "POST", "/admin/v1/fetch", "connection, model, id",
                  "Rings the doorbell of one record."},
    OperationSpec{"reload", "POST", "/admin/v1/reload", "", "Takes the configuration in."},
    OperationSpec{"plan", "POST", "/admin/v1/plan", "sample",
                  "What a reload would change, and how many records it reads again."},
    OperationSpec{"backfill.list", "GET", "/admin/v1/backfills", "",
                  "Backfills and how far they are."},
    OperationSpec{"backfill", "POST", "/admin/v1/backfills/{name}", "per_second",
                  "Sends the history of an entity, or goes on with it."},
    OperationSpec{"backfill.stop", "POST", "/admin/v1/backfills/{name}/stop", "",
                  "Stops a backfill; it can go on later."},
    OperationSpec{"checks.run", "POST", "/admin/v1/checks/run", "connection, model, whole",
                  "Compares a model with what is stored, now."},
    OperationSpec{"checks.accept", "POST", "/admin/v1/checks/accept", "connection, model, reason",
                  "Lets a check delete what it found gone."},
    OperationSpec{"backup", "POST", "/admin/v1/backup", "directory",
                  "Copies state and log into a new directory of this machine."},
    OperationSpec{"clock.accept", "POST", "/admin/v1/clock/accept", "reason",
                  "The wall clock is right although it jumped."},
    OperationSpec{"keys.list", "GET", "/admin/v1/keys", "", "API keys, without their secrets."},
    OperationSpec{"keys.create", "POST", "/admin/v1/keys", "sources, types, note",
                  "Makes an API key; the key is shown once."},
    OperationSpec{"keys.revoke", "DELETE", "/admin/v1/keys/{id}", "", "Ends an API key."},
};

std::string_view take_segment(std::string_view& path) {
  const std::size_t slash = path.find('/');
  const std::string_view segment = path.substr(0, slash);
  path = slash == path.npos ? std::string_view() : path.substr(slash + 1);
  return segment;
}

bool is_parameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

}  // namespace

std::span<const OperationSpec> operations() {
  return kOperations;
}

const OperationSpec* find_operation(std::string_view name) {
  for (const OperationSpec& operation : kOperations) {
    if (operation.name == name) return &operation;
  }
  return nullptr;
}

std::vector<std::string> path_parameters(std::string_view pattern) {
  std::vector<std::string> names;
  while (!pattern.empty()) {
    const std::string_view segment = take_segment(pattern);
    if (is_parameter(segment)) names.emplace_back(segment.substr(1, segment.size() - 2));
  }
  return names;
}

bool match_path(std::string_view pattern, std::string_view path,
                std::vector<std::pair<std::string, std::string>>& values) {
  values.clear();
  if (path.ends_with('/')) return false;
  while (!pattern.empty() && !path.empty()) {
    const std::string_view expected = take_segment(pattern);
    const std::string_view actual = take_segment(path);
    if (!is_parameter(expected)) {
      if (expected != actual) return false;
      continue;
    }
    // The segment is decoded after the split: an encoded slash belongs to the value.
    auto value = decode_component(actual, false);
    if (!value || value->empty()) return false;
    values.emplace_back(expected.substr(1, expected.size() - 2), *std::move(value));
  }
  return pattern.empty() && path.empty();
}

}  // namespace millrace::admin
