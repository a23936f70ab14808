// Dead letters, parked rows and the way of a record.
#include <fmt/format.h>

#include <ostream>

#include "cli/print.hpp"
#include "cli/text.hpp"

namespace millrace::cli {
namespace {

void print_xrefs(std::ostream& out, const Json& record) {
  const Json* xrefs = find(record, "xrefs");
  if (xrefs == nullptr || !xrefs->is_array()) return;
  for (const Json& xref : xrefs->get_array()) {
    out << "  known to " << text_of(xref, "system") << " as " << text_of(xref, "id") << '\n';
  }
}

void print_waiting(std::ostream& out, const Json& record, WallTime now) {
  const Json* parked = find(record, "parked");
  if (parked == nullptr || !parked->is_array()) return;
  for (const Json& row : parked->get_array()) {
    const std::string state = text_of(row, "state");
    out << "  ! " << (state.empty() ? "parked" : state) << " on " << text_of(row, "route") << ": "
        << text_of(row, "cause");
    if (const std::string reason = text_of(row, "reason"); !reason.empty()) out << ", " << reason;
    out << "  since " << since_text(row, "since", now) << "  (id " << text_of(row, "id") << ")\n";
  }
}

void print_hops(std::ostream& out, const Json& record) {
  const Json* hops = find(record, "hops");
  if (hops == nullptr || !hops->is_array()) return;
  TextTable table({"WHEN", "STAGE", "WHAT", "DETAIL"});
  for (const Json& hop : hops->get_array()) {
    table.add(
        {text_of(hop, "at"), text_of(hop, "stage"), text_of(hop, "what"), text_of(hop, "detail")});
  }
  if (!table.empty()) table.print(out, 2);
}

void print_facts(std::ostream& out, const Json& object, WallTime now) {
  for (const auto& member : object.get_object()) {
    const std::string_view key(member.key().data(), member.key().size());
    std::string value = key == "since" ? since_text(object, key, now) : text_of(object, key);
    if (!value.empty()) out << fmt::format("  {:<10} {}\n", key, value);
  }
}

void print_document(std::ostream& out, std::string_view title, const Json& letter,
                    std::string_view key) {
  const Json* value = find(letter, key);
  if (value == nullptr || value->is_null()) return;
  out << title << '\n' << "  ";
  print_json(out, *value, 2);
  out << '\n';
}

}  // namespace

int print_where(std::ostream& out, const Json& answer, WallTime now) {
  const JsonArray& records = rows_of(answer);
  if (records.empty()) {
    out << "Nothing is known of " << text_of(answer, "key")
        << ".\nIf it exists at its source, ring for it: millrace fetch CONNECTION MODEL ID\n";
    return 1;
  }
  for (const Json& record : records) {
    out << text_of(record, "record");
    if (const std::string entity = text_of(record, "entity"); !entity.empty()) {
      out << "  (" << entity << ' ' << text_of(record, "name") << ", rev " << text_of(record, "rev")
          << ')';
    }
    out << '\n';
    print_waiting(out, record, now);
    print_xrefs(out, record);
    print_hops(out, record);
    out << '\n';
  }
  return 0;
}

int print_dead_list(std::ostream& out, const Json& answer, WallTime now) {
  const JsonArray& letters = rows_of(answer);
  if (letters.empty()) {
    out << "No dead letters.\n";
    return 0;
  }
  TextTable table({"ID", "ROUTE", "RECORD", "SUBJECT", "CAUSE", "ATTEMPTS", "SINCE"});
  for (const Json& letter : letters) {
    table.add({text_of(letter, "id"), text_of(letter, "route"), text_of(letter, "record"),
               text_of(letter, "subject"), text_of(letter, "cause"), text_of(letter, "attempts"),
               since_text(letter, "since", now)});
  }
  table.print(out, 0);
  const std::string total = text_of(answer, "total");
  if (!total.empty() && total != std::to_string(letters.size())) {
    out << fmt::format("{} of {}; --limit shows more\n", letters.size(), total);
  }
  out << "next: millrace dead show ID, then millrace dead resubmit ID or millrace dead discard ID "
         "--reason TEXT\n";
  return 0;
}

int print_causes(std::ostream& out, const Json& answer, WallTime now) {
  const JsonArray& causes = rows_of(answer);
  if (causes.empty()) {
    out << "Nothing is there.\n";
    return 0;
  }
  TextTable table({"COUNT", "CAUSE", "ROUTE", "SINCE", "FOR EXAMPLE", "REASON"});
  for (const Json& cause : causes) {
    table.add({text_of(cause, "count"), text_of(cause, "cause"), text_of(cause, "route"),
               since_text(cause, "since", now), text_of(cause, "example"),
               text_of(cause, "reason")});
  }
  table.print(out, 0);
  return 0;
}

int print_dead_letter(std::ostream& out, const Json& answer, WallTime now) {
  if (!answer.is_object()) return 0;
  out << "Dead letter " << text_of(answer, "id") << '\n';
  print_facts(out, answer, now);
  print_document(out, "Request", answer, "request");
  print_document(out, "Answer", answer, "answer");
  print_document(out, "Event", answer, "event_document");
  print_document(out, "Event", answer, find(answer, "event_document") == nullptr ? "event" : "");
  return 0;
}

int print_parked_list(std::ostream& out, const Json& answer, WallTime now) {
  const JsonArray& rows = rows_of(answer);
  if (rows.empty()) {
    out << "Nothing is parked.\n";
    return 0;
  }
  TextTable table({"ID", "STATE", "ROUTE", "RECORD", "CAUSE", "ATTEMPTS", "SINCE"});
  bool undecided = false;
  for (const Json& row : rows) {
    const std::string state = text_of(row, "state");
    undecided = undecided || state == "needs_decision" || state == "unknown";
    table.add({text_of(row, "id"), state, text_of(row, "route"), text_of(row, "record"),
               text_of(row, "cause"), text_of(row, "attempts"), since_text(row, "since", now)});
  }
  table.print(out, 0);
  const std::string total = text_of(answer, "total");
  if (!total.empty() && total != std::to_string(rows.size())) {
    out << fmt::format("{} of {}; --limit shows more\n", rows.size(), total);
  }
  if (undecided) {
    out << "needs_decision, unknown: look at the target, then millrace parked release ID --applied "
           "[EXTERNAL_ID], or --not-applied --reason TEXT\n";
  }
  return 0;
}

}  // namespace millrace::cli
