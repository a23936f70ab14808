// Answers to commands that change something.
#include <fmt/format.h>

#include <ostream>

#include "cli/print.hpp"
#include "cli/text.hpp"

namespace millrace::cli {
namespace {

const JsonArray& member_rows(const Json& answer, std::string_view key) {
  static const JsonArray kNone;
  const Json* value = find(answer, key);
  return value != nullptr && value->is_array() ? value->get_array() : kNone;
}

bool print_findings(std::ostream& out, const Json& answer) {
  bool errors = false;
  for (const Json& problem : member_rows(answer, "problems")) {
    const std::string level = text_of(problem, "level");
    errors = errors || level == "error";
    const std::string file = text_of(problem, "file");
    const std::string path = text_of(problem, "path");
    if (!file.empty()) {
      out << fmt::format("{}:{}:{}: ", file, text_of(problem, "line"), text_of(problem, "column"));
    }
    out << level << ": " << path << (path.empty() ? "" : ": ") << text_of(problem, "message")
        << '\n';
  }
  return errors;
}

void print_changes(std::ostream& out, const Json& answer) {
  const JsonArray& changes = member_rows(answer, "changes");
  if (changes.empty()) {
    out << "Nothing changes.\n";
    return;
  }
  for (const Json& change : changes) {
    out << fmt::format("  {:<10} {} {}\n", text_of(change, "change"), text_of(change, "kind"),
                       text_of(change, "object"));
  }
}

std::string list_text(const Json& object, std::string_view key) {
  std::string text;
  for (const Json& item : member_rows(object, key)) {
    if (!item.is_string()) continue;
    text += (text.empty() ? "" : ", ") + printable(std::string_view(item.get_string()));
  }
  return text;
}

}  // namespace

int print_check(std::ostream& out, const Json& answer, WallTime) {
  const bool ok = bool_or(answer, "ok", false);
  out << (ok ? "ok" : "FAILED");
  if (const std::string detail = text_of(answer, "detail"); !detail.empty()) out << ": " << detail;
  out << '\n';
  return ok ? 0 : 1;
}

int print_reload(std::ostream& out, const Json& answer, WallTime) {
  const bool errors = print_findings(out, answer);
  if (!bool_or(answer, "applied", false)) {
    out << "Nothing was applied; generation " << text_of(answer, "generation")
        << (errors ? " goes on running.\n" : " runs.\n");
    return errors ? 1 : 0;
  }
  print_changes(out, answer);
  out << "Generation " << text_of(answer, "generation") << " runs.\n";
  return 0;
}

int print_plan(std::ostream& out, const Json& answer, WallTime) {
  const bool errors = print_findings(out, answer);
  if (errors) {
    out << "A reload would be refused.\n";
    return 1;
  }
  print_changes(out, answer);
  for (const Json& one : member_rows(answer, "rereads")) {
    out << fmt::format("{}: {} records of {} are read again; what did not change is no news\n",
                       text_of(one, "entity"), text_of(one, "records"), text_of(one, "model"));
    const Json* sample = find(one, "sample");
    if (sample == nullptr || !sample->is_object()) continue;
    const std::int64_t read = int_or(*sample, "read", 0);
    const std::int64_t news = int_or(*sample, "news", 0);
    out << fmt::format("  of {} read now {} would be stored without a word, {} are news", read,
                       text_of(*sample, "silent"), news);
    if (read > 0) out << fmt::format(": about {} in all", news * int_or(one, "records", 0) / read);
    out << '\n';
    if (int_or(*sample, "leaving", 0) > 0) {
      out << fmt::format(
          "  {} of them are outside the new `domain:` or `only:`: `deleted` is told\n",
          text_of(*sample, "leaving"));
    }
    if (int_or(*sample, "failed", 0) > 0) {
      out << fmt::format("  {} of them cannot be projected by the new program\n",
                         text_of(*sample, "failed"));
    }
  }
  if (!member_rows(answer, "changes").empty()) out << "next: millrace reload\n";
  return 0;
}

int print_backfills(std::ostream& out, const Json& answer, WallTime) {
  TextTable table({"ENTITY", "MODEL", "STATE", "RECORDS", "OF ABOUT", "A SECOND", "LEFT"});
  for (const Json& one : member_rows(answer, "backfills")) {
    const std::string eta = text_of(one, "eta_seconds");
    table.add({text_of(one, "entity"), text_of(one, "model"), text_of(one, "state"),
               text_of(one, find(one, "records") ? "records" : "rung"), text_of(one, "about"),
               text_of(one, "per_second"), eta.empty() ? "" : "about " + eta + " s"});
  }
  if (table.empty()) {
    out << "No backfill was ever asked for.\n";
  } else {
    table.print(out, 0);
  }
  return 0;
}

int print_keys(std::ostream& out, const Json& answer, WallTime now) {
  TextTable table({"ID", "SOURCES", "TYPES", "CREATED", "STATE", "NOTE"});
  for (const Json& key : rows_of(answer)) {
    const std::string revoked = text_of(key, "revoked_at");
    table.add({text_of(key, "id"), list_text(key, "sources"), list_text(key, "types"),
               since_text(key, "created_at", now), revoked.empty() ? "valid" : "revoked " + revoked,
               text_of(key, "note")});
  }
  if (table.empty()) {
    out << "No API keys.\n";
  } else {
    table.print(out, 0);
  }
  return 0;
}

int print_new_key(std::ostream& out, const Json& answer, WallTime) {
  out << text_of(answer, "key") << '\n'
      << "This key is shown once and not stored. Revoke it with: millrace key revoke "
      << text_of(answer, "id") << '\n';
  return 0;
}

int print_move(std::ostream& out, const Json& answer, WallTime) {
  const bool done = bool_or(answer, "done", false);
  out << (done ? "Done: " : "This would ") << text_of(answer, "what") << ".\n";
  if (!done) out << "Nothing was done. next: " << text_of(answer, "next") << '\n';
  return 0;
}

int print_replay(std::ostream& out, const Json& answer, WallTime) {
  const bool done = bool_or(answer, "done", false);
  const std::int64_t send = int_or(answer, "send", 0);
  out << fmt::format("{} {} {} of route {}", done ? "Sending" : "This would send", send,
                     send == 1 ? "event" : "events", text_of(answer, "route"));
  if (const std::string first = text_of(answer, "first_at"); !first.empty()) {
    out << ", from " << first << " to " << text_of(answer, "last_at");
  }
  out << ".\n";
  for (const auto& [member, why] :
       {std::pair("superseded", "a later change of the record was delivered; --history sends them"),
        {"held", "a delivery of the record is parked: decide that first"},
        {"decided", "a person gave them up"}}) {
    const std::int64_t count = int_or(answer, member, 0);
    if (count > 0) out << fmt::format("  {} passed over: {}\n", count, why);
  }
  for (const Json& warning : member_rows(answer, "warnings")) {
    if (!warning.is_string()) continue;
    out << "  warning: " << printable(std::string_view(warning.get_string())) << '\n';
  }
  out << (done ? "Its progress: " : "Nothing was done. next: ") << text_of(answer, "next") << '\n';
  return 0;
}

int print_done(std::ostream& out, const Json& answer, WallTime) {
  out << "done";
  if (answer.is_object()) {
    for (const auto& member : answer.get_object()) {
      const std::string_view key(member.key().data(), member.key().size());
      const std::string value = text_of(answer, key);
      if (!value.empty()) out << "  " << key << ' ' << value;
    }
  }
  out << '\n';
  return 0;
}

}  // namespace millrace::cli
