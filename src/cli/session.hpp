// What every command has: where to write, which configuration, which daemon.
#pragma once

#include <iosfwd>
#include <string>

#include "cli/admin_client.hpp"
#include "cli/print.hpp"
#include "config/model.hpp"
#include "millrace/clock.hpp"
#include "millrace/json.hpp"

namespace millrace::cli {

/// Exit codes of every command.
inline constexpr int kOk = 0;
inline constexpr int kFindings = 1;
inline constexpr int kCannotRun = 2;

struct Session {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  std::string config_directory;
  std::string admin;       ///< overrides the installation's address
  std::string token_file;  ///< overrides <data>/admin.token
  std::string ca_file;     ///< overrides <data>/admin.pem
  bool json = false;
  WallTime now;
};

/// MILLRACE_CONFIG, else /etc/millrace.
std::string default_config_directory();

/// Prints the error and what to do; returns kCannotRun.
int cannot(const Session& session, const Error& error);

/// The installation document of the configuration directory. When the configuration has problems
/// its plain values are read all the same: an operator must reach the daemon then as well.
Result<config::Installation> read_installation(const std::string& directory);
/// The same for commands that work on the log's own files. Errc::not_supported when the log lies in
/// Kafka.
Result<config::Installation> read_on_files(const std::string& directory);

/// Where the state lies, with the secrets that reaching it needs.
Result<StateChoice> read_state_choice(const Session& session,
                                      const config::Installation& installation);

/// The client for the daemon of this configuration.
Result<AdminClient> connect(const Session& session, milliseconds limit = milliseconds(60'000));

/// Calls the operation and shows its answer with `print`, or as one line of JSON.
int run_operation(const Session& session, std::string_view name, JsonObject arguments,
                  Printer print, milliseconds limit = milliseconds(60'000));

}  // namespace millrace::cli
