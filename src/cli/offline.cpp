#include "cli/offline.hpp"

#include <fmt/format.h>

#include <functional>
#include <ostream>

#include "cli/config_tests.hpp"
#include "cli/state_check.hpp"
#include "cli/text.hpp"
#include "config/load.hpp"
#include "config/problems.hpp"
#include "connectors/all_connectors.hpp"
#include "log/file_log.hpp"
#include "log/verify.hpp"
#include "state/installation.hpp"
#include "state/open_state.hpp"
#include "state/restored.hpp"
#include "storage/posix_disk.hpp"

namespace millrace::cli {
namespace {

Json report_json(const log::VerifyReport& report) {
  JsonArray journals;
  for (const log::JournalReport& journal : report.journals) {
    journals.emplace_back(JsonObject{{"journal", to_string(journal.journal)},
                                     {"segments", journal.segments},
                                     {"frames", journal.frames},
                                     {"records", journal.records},
                                     {"side_files", journal.side_files},
                                     {"ids", journal.ids},
                                     {"first_position", journal.first_position},
                                     {"end_position", journal.end_position},
                                     {"torn_tail", journal.torn_tail}});
  }
  JsonArray problems;
  for (const std::string& problem : report.problems) problems.emplace_back(problem);
  return JsonObject{
      {"uuid", report.uuid}, {"journals", std::move(journals)}, {"problems", std::move(problems)}};
}

void print_report(std::ostream& out, const log::VerifyReport& report) {
  for (const std::string& problem : report.problems) out << "  ! " << printable(problem) << '\n';
  TextTable table({"JOURNAL", "SEGMENTS", "FRAMES", "RECORDS", "SIDE FILES", "IDS", "TAIL"});
  for (const log::JournalReport& journal : report.journals) {
    table.add({std::string(to_string(journal.journal)), std::to_string(journal.segments),
               std::to_string(journal.frames), std::to_string(journal.records),
               std::to_string(journal.side_files), std::to_string(journal.ids),
               journal.torn_tail ? "torn: the next start cuts it" : "whole"});
  }
  table.print(out, 0);
  out << (report.problems.empty() ? "The log is sound.\n" : "The log is damaged.\n");
}

// Changes a state store whose daemon is stopped. The log is opened before the state: its lock tells
// a running daemon.
Result<Installation> change_offline(
    const Session& session,
    const std::function<Result<Installation>(StateStore&, EventLog&, const config::Installation&)>&
        change) {
  MILLRACE_TRY(installation, read_on_files(session.config_directory));
  PosixDisk disk;
  MILLRACE_TRY(log, open_file_log({installation.log_directory, disk, system_clock()}));
  MILLRACE_TRY(choice, read_state_choice(session, installation));
  MILLRACE_TRY(state, open_state(choice, [](const Error& cause) {
                 abort_with(cause.message, cause.where);
               }));
  auto changed = change(*state, *log, installation);
  state->close();
  log->close();
  return changed;
}

int print_owner(const Session& session, const Result<Installation>& owner,
                const std::string& said) {
  if (!owner) return cannot(session, owner.error());
  if (!session.json) {
    session.out << said;
    return kOk;
  }
  session.out << write_json(Json{{"uuid", owner->uuid},
                                 {"log_uuid", owner->log_uuid},
                                 {"incarnation", owner->incarnation}})
              << '\n';
  return kOk;
}

}  // namespace

int run_lint(const Session& session, const std::string& directory, bool without_secrets,
             bool strict) {
  ConnectorRegistry connectors;
  register_all_connectors(connectors);
  const auto report =
      config::load({directory, without_secrets, connectors, config::process_environment()});
  std::size_t errors = 0;
  for (const config::Problem& problem : report.problems) {
    if (problem.level == config::Problem::Level::error) ++errors;
  }
  const std::size_t warnings = report.problems.size() - errors;
  if (session.json) {
    const Json answer{{"problems", config::problems_to_json(report.problems)},
                      {"errors", errors},
                      {"warnings", warnings}};
    session.out << write_json(answer) << '\n';
  } else {
    session.out << config::render(report.problems);
    session.out << fmt::format("{}: {} {}, {} {}\n", directory, errors,
                               errors == 1 ? "error" : "errors", warnings,
                               warnings == 1 ? "warning" : "warnings");
  }
  return errors > 0 || (strict && warnings > 0) ? kFindings : kOk;
}

int run_test(const Session& session, const std::string& directory) {
  ConnectorRegistry connectors;
  register_all_connectors(connectors);
  const auto report = config::load({directory, true, connectors, config::process_environment()});
  if (!report.config) {
    session.err << config::render(report.problems);
    session.err << "the configuration has errors; its tests were not run\n";
    return kCannotRun;
  }
  std::size_t failed = 0;
  JsonArray list;
  const auto results = run_config_tests(*report.config);
  for (const ConfigTestResult& result : results) {
    if (!result.passed) ++failed;
    if (session.json) {
      list.push_back(JsonObject{{"test", result.name},
                                {"file", result.place.file},
                                {"line", result.place.line},
                                {"passed", result.passed},
                                {"report", result.report}});
      continue;
    }
    session.out << fmt::format("{} {}:{}: {}\n{}", result.passed ? "ok    " : "FAILED",
                               result.place.file, result.place.line, result.name, result.report);
  }
  if (session.json) {
    session.out << write_json(Json(JsonObject{{"tests", std::move(list)}, {"failed", failed}}))
                << '\n';
  } else {
    session.out << fmt::format("{} of {} tests passed\n", results.size() - failed, results.size());
  }
  return failed > 0 ? kFindings : kOk;
}

int run_log_verify(const Session& session) {
  const auto installation = read_on_files(session.config_directory);
  if (!installation) return cannot(session, installation.error());
  PosixDisk disk;
  const auto report = log::verify(disk, installation->log_directory);
  if (!report) return cannot(session, report.error());
  if (session.json) {
    session.out << write_json(report_json(*report)) << '\n';
  } else {
    print_report(session.out, *report);
  }
  return report->problems.empty() ? kOk : kFindings;
}

int run_log_quarantine(const Session& session, const std::string& journal) {
  const auto installation = read_on_files(session.config_directory);
  if (!installation) return cannot(session, installation.error());
  PosixDisk disk;
  for (const Journal one : {Journal::inbox, Journal::events, Journal::trail}) {
    if (to_string(one) != journal) continue;
    const auto report = log::quarantine(disk, installation->log_directory, one);
    if (!report) return cannot(session, report.error());
    for (const std::string& name : report->moved) session.out << fmt::format("kept {}\n", name);
    session.out << fmt::format("{} ends at byte {} now\n", journal, report->end_position);
    return kOk;
  }
  return cannot(session, Error(Errc::invalid_argument,
                               fmt::format("'{}' is no journal: inbox, events or trail", journal)));
}

int run_state_verify(const Session& session) {
  const auto installation = read_on_files(session.config_directory);
  if (!installation) return cannot(session, installation.error());
  const auto choice = read_state_choice(session, *installation);
  if (!choice) return cannot(session, choice.error());
  const auto findings = verify_state(*choice);
  if (!findings) return cannot(session, findings.error());
  std::vector<std::string> all = *findings;
  if (all.empty()) {
    // Rows of a damaged file say nothing about the log.
    auto against_log = check_state_against_log(*installation, *choice);
    if (!against_log) return cannot(session, against_log.error());
    all = *std::move(against_log);
  }
  for (const std::string& finding : all) session.out << printable(finding) << '\n';
  if (all.empty()) session.out << "the state store is sound and fits its log\n";
  return all.empty() ? kOk : kFindings;
}

int run_state_adopt(const Session& session, const std::string& routes_from,
                    const std::string& reason) {
  const auto adopted = change_offline(
      session, [&](StateStore& state, EventLog& log, const config::Installation& installation) {
        return adopt(state, log, installation.environment, {routes_from, reason, {}});
      });
  return print_owner(
      session, adopted,
      fmt::format("The new state now owns the log; routes begin at {}.\nnext: start millraced\n",
                  printable(routes_from)));
}

int run_state_restored(const Session& session, const std::string& backup_at,
                       const std::string& reason) {
  const auto time = parse_rfc3339(backup_at);
  if (!time || *time > session.now) {
    return cannot(session, Error(Errc::invalid_argument,
                                 fmt::format("'{}' is no RFC 3339 time of the past, such as "
                                             "2026-11-21T22:00:00Z",
                                             printable(backup_at))));
  }
  const auto restored =
      change_offline(session,
                     [&](StateStore& state, EventLog& log,
                         const config::Installation& installation) -> Result<Installation> {
                       // The guards of a start: it must be the state of this log and environment.
                       MILLRACE_TRY(owner, open_installation(state, log, installation.environment));
                       if (reason.empty())
                         return fail(Errc::invalid_argument, "say why: --reason TEXT");
                       return mark_restored(state, *time, session.now, reason);
                     });
  return print_owner(session, restored,
                     "What was sent after the backup is unknown now: it is sent again where that "
                     "is harmless, probed or asked for elsewhere.\nnext: start millraced, then "
                     "millrace parked list\n");
}

}  // namespace millrace::cli
