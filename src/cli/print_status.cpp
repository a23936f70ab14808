#include <fmt/format.h>

#include <ostream>

#include "cli/print.hpp"
#include "cli/text.hpp"

namespace millrace::cli {
namespace {

const JsonArray& array_of(const Json& object, std::string_view key) {
  static const JsonArray kNone;
  const Json* value = find(object, key);
  return value != nullptr && value->is_array() ? value->get_array() : kNone;
}

void print_problems(std::ostream& out, const JsonArray& problems, WallTime now) {
  if (problems.empty()) {
    out << "Nothing is wrong.\n";
    return;
  }
  out << fmt::format("WRONG: {} {}\n", problems.size(), problems.size() == 1 ? "thing" : "things");
  for (const Json& problem : problems) {
    out << "  ! " << text_of(problem, "what") << '\n';
    const std::string since = since_text(problem, "since", now);
    const std::string owner = text_of(problem, "owner");
    if (!since.empty()) out << "      since " << since << '\n';
    if (!owner.empty()) out << "      owner " << owner << '\n';
    if (const std::string next = text_of(problem, "next"); !next.empty()) {
      out << "      next: " << next << '\n';
    }
  }
}

void print_oldest(std::ostream& out, const JsonArray& routes, WallTime now) {
  const Json* oldest = nullptr;
  for (const Json& route : routes) {
    const std::string_view at = string_or(route, "oldest_undelivered_at", "");
    const auto time = parse_rfc3339(at);
    if (!time) continue;
    if (oldest == nullptr ||
        *time < *parse_rfc3339(string_or(*oldest, "oldest_undelivered_at", ""))) {
      oldest = &route;
    }
  }
  if (oldest == nullptr) return;
  out << "\nOldest undelivered: " << text_of(*oldest, "oldest_undelivered_record") << " on "
      << text_of(*oldest, "name") << ", " << since_text(*oldest, "oldest_undelivered_at", now)
      << '\n';
}

std::string replay_text(const Json& replay) {
  const Json* part = find(replay, "part");
  const double percent = part != nullptr && part->is_number() ? part->to_number<double>() * 100 : 0;
  return fmt::format("replay {} {}: {} sent of about {}, {:.0f} % of the range",
                     text_of(replay, "number"), text_of(replay, "state"), text_of(replay, "sent"),
                     text_of(replay, "about"), percent);
}

TextTable routes_table(const JsonArray& routes, WallTime now) {
  TextTable table({"ROUTE", "STATE", "LAG", "PARKED", "DEAD", "DELIVERED", "OWNER", "WHY"});
  for (const Json& route : routes) {
    std::string why = text_of(route, "reason");
    if (const std::string since = since_text(route, "since", now); !since.empty()) {
      why += (why.empty() ? "since " : ", since ") + since;
    }
    if (const Json* replay = find(route, "replay"); replay != nullptr && replay->is_object()) {
      why += (why.empty() ? "" : "; ") + replay_text(*replay);
    }
    table.add({text_of(route, "name"), text_of(route, "state"), text_of(route, "lag"),
               text_of(route, "parked"), text_of(route, "dead"), text_of(route, "delivered_total"),
               text_of(route, "owner"), why});
  }
  return table;
}

std::string dropped_text(const Json& connection) {
  const Json* dropped = find(connection, "dropped");
  if (dropped == nullptr) return "";
  std::string text;
  const auto add = [&](std::string_view reason, std::string_view words) {
    const auto count = int_or(*dropped, reason, 0);
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, words);
  };
  add("stale", "stale");
  add("unreadable", "unreadable");
  add("model_not_read", "of models nobody reads");
  return text;
}

TextTable connections_table(const JsonArray& connections, WallTime now) {
  TextTable table({"CONNECTION", "TYPE", "STATE", "IN FLIGHT", "WHY"});
  for (const Json& connection : connections) {
    std::string why = text_of(connection, "reason");
    if (const std::string since = since_text(connection, "since", now); !since.empty()) {
      why += (why.empty() ? "since " : ", since ") + since;
    }
    table.add({text_of(connection, "name"), text_of(connection, "type"),
               text_of(connection, "state"), text_of(connection, "in_flight"), why});
  }
  return table;
}

void print_group(std::ostream& out, const Json& answer, WallTime now) {
  const Json* group = find(answer, "group");
  if (group == nullptr || !group->is_object()) return;
  TextTable table({"INSTANCE", "STATE", "PARTITIONS", "GENERATION", "ADMIN", "SAID"});
  for (const Json& one : array_of(*group, "instances")) {
    const bool here = bool_or(one, "here", false);
    table.add({text_of(one, "name") + (here ? " (here)" : ""), text_of(one, "state"),
               text_of(one, "partitions"), text_of(one, "generation"), text_of(one, "admin"),
               since_text(one, "said_at", now)});
  }
  out << '\n';
  table.print(out, 0);
  if (const auto nobody = int_or(*group, "unowned", 0); nobody > 0) {
    out << "Nobody works on " << nobody << " partitions right now.\n";
  }
}

void print_stores(std::ostream& out, const Json& answer, WallTime now) {
  if (const Json* disk = find(answer, "disk"); disk != nullptr && !disk->is_null()) {
    const Json* free = find(*disk, "free_fraction");
    out << "\nDisk: " << bytes_text(static_cast<double>(int_or(*disk, "log_bytes", 0)))
        << " of log";
    if (free != nullptr && free->is_number()) {
      out << fmt::format(", {:.0f} % free", free->to_number<double>() * 100);
    }
    if (const std::string held = text_of(*disk, "held_by"); !held.empty()) {
      out << ", held by " << held;
      if (const auto bytes = int_or(*disk, "held_bytes", 0); bytes > 0) {
        out << fmt::format(" ({})", bytes_text(static_cast<double>(bytes)));
      }
    }
    out << '\n';
  }
  const Json* doorbells = find(answer, "doorbells");
  if (doorbells != nullptr && int_or(*doorbells, "waiting", 0) > 0) {
    out << "Doorbells: " << text_of(*doorbells, "waiting") << " waiting";
    const std::string oldest = since_text(*doorbells, "oldest_at", now);
    out << (oldest.empty() ? "" : ", the oldest since ") << oldest << '\n';
  }
  for (const Json& connection : array_of(answer, "connections")) {
    const std::string dropped = dropped_text(connection);
    if (!dropped.empty())
      out << "Dropped of " << text_of(connection, "name") << ": " << dropped << '\n';
  }
  for (const Json& backfill : array_of(answer, "backfills")) {
    if (text_of(backfill, "state") == "done") continue;
    out << "Backfill of " << text_of(backfill, "entity") << ": " << text_of(backfill, "state")
        << ", " << text_of(backfill, "records") << " of about " << text_of(backfill, "about")
        << " records";
    const std::string eta = text_of(backfill, "eta_seconds");
    out << (eta.empty() ? "" : ", about " + eta + " s left") << '\n';
  }
}

}  // namespace

const JsonArray& rows_of(const Json& answer) {
  static const JsonArray kNone;
  if (answer.is_array()) return answer.get_array();
  if (!answer.is_object()) return kNone;
  for (const auto& member : answer.get_object()) {
    if (member.value().is_array()) return member.value().get_array();
  }
  return kNone;
}

int print_status(std::ostream& out, const Json& answer, WallTime now) {
  const JsonArray& problems = array_of(answer, "problems");
  print_problems(out, problems, now);
  print_oldest(out, array_of(answer, "routes"), now);
  out << '\n';
  const TextTable routes = routes_table(array_of(answer, "routes"), now);
  if (!routes.empty()) routes.print(out, 0);
  out << '\n';
  const TextTable connections = connections_table(array_of(answer, "connections"), now);
  if (!connections.empty()) connections.print(out, 0);
  print_group(out, answer, now);
  print_stores(out, answer, now);
  out << '\n'
      << text_of(answer, "name") << " (" << text_of(answer, "environment") << "), millraced "
      << text_of(answer, "version") << ", generation " << text_of(answer, "generation")
      << ", started " << since_text(answer, "started_at", now) << '\n';
  return problems.empty() ? 0 : 1;
}

int print_routes(std::ostream& out, const Json& answer, WallTime now) {
  routes_table(rows_of(answer), now).print(out, 0);
  return 0;
}

int print_connections(std::ostream& out, const Json& answer, WallTime now) {
  connections_table(rows_of(answer), now).print(out, 0);
  return 0;
}

}  // namespace millrace::cli
