// Commands that need no running daemon.
#pragma once

#include <string>

#include "cli/session.hpp"

namespace millrace::cli {

/// Writes a small configuration that runs as it is, with a random hook token, into `directory`.
int run_init(const Session& session, const std::string& directory);
/// Every problem of the configuration. `strict`: warnings are findings too.
int run_lint(const Session& session, const std::string& directory, bool without_secrets,
             bool strict);
/// Runs the `test:` documents of the configuration; secrets need not be there.
int run_test(const Session& session, const std::string& directory);
/// Evaluates the expression on JSON of the standard input; it may use the configuration's
/// functions.
int run_eval(const Session& session, const std::string& expression);
/// Prints the reference of the configuration's keys as Markdown.
int run_docs_reference(const Session& session);
/// Prints the JSON Schema of the configuration's documents.
int run_schema(const Session& session);
/// Reads every frame of the log.
int run_log_verify(const Session& session);
/// Cuts a damaged journal ("inbox", "events" or "trail") at its first damage; keeps what it cuts.
int run_log_quarantine(const Session& session, const std::string& journal);
/// Checks every page and every value of the state store; also beside a running daemon.
int run_state_verify(const Session& session);
/// Makes a new state store the owner of a log that has records.
int run_state_adopt(const Session& session, const std::string& routes_from,
                    const std::string& reason);
/// Says that the state store was restored from a backup of that time.
int run_state_restored(const Session& session, const std::string& backup_at,
                       const std::string& reason);

}  // namespace millrace::cli
