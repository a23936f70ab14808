// Commands that keep an installation: keys, backups, the state store and the log.
#include <filesystem>

#include "cli/commands.hpp"
#include "cli/move.hpp"
#include "cli/offline.hpp"
#include "cli/restore.hpp"

namespace millrace::cli {
namespace {

// A backup reads and writes the whole log.
constexpr milliseconds kBackupLimit{4 * 3600 * 1000};

}  // namespace

int Commands::create_key() {
  JsonArray sources(values_.sources.begin(), values_.sources.end());
  JsonArray types(values_.types.begin(), values_.types.end());
  return call(
      "keys.create",
      {{"sources", std::move(sources)}, {"types", std::move(types)}, {"note", values_.note}},
      print_new_key);
}

void Commands::declare_keep() {
  Values& v = values_;
  CLI::App* keys = group("key", "API keys for POST /events");
  auto* create =
      command(keys, "create", "Make a key; it is shown once", [&] { return create_key(); });
  create->add_option("--source", v.sources, "Sources it may send, with *; several")->required();
  create->add_option("--type", v.types, "Types it may send, with *; several")->required();
  create->add_option("--note", v.note, "Whose it is");
  auto* revoke = command(keys, "revoke", "End a key",
                         [&] { return call("keys.revoke", {{"id", v.id}}, print_done); });
  revoke->add_option("ID", v.id, "The key's id (mk_<id>_...)")->required();
  command(keys, "list", "Keys without their secrets",
          [&] { return call("keys.list", {}, print_keys); });
  auto* backup = command(nullptr, "backup", "Copy state and log of the running daemon", [&] {
    const std::string place = std::filesystem::absolute(v.directory).lexically_normal().string();
    return run_operation(session_, "backup", {{"directory", place}}, print_done, kBackupLimit);
  });
  auto* restore =
      command(nullptr, "restore", "With millraced stopped: make a backup the state and log",
              [&] { return run_restore(session_, v.directory); });
  backup->add_option("DIR", v.directory, "New directory, written by millraced")->required();
  restore->add_option("DIR", v.directory, "Directory that `backup` made")->required();
  CLI::App* clock = group("clock", "The wall clock");
  auto* accept = command(clock, "accept", "It is right although it jumped: things age by it again",
                         [&] { return call("clock.accept", {{"reason", v.reason}}, print_done); });
  accept->add_option("--reason", v.reason, "Why; kept in the audit")->required();
  CLI::App* state = group("state", "The state store");
  command(state, "verify", "Check every page and every value",
          [&] { return run_state_verify(session_); });
  auto* adopt =
      command(state, "adopt", "With millraced stopped: make a new state the owner of a log",
              [&] { return run_state_adopt(session_, v.routes_from, v.reason); });
  adopt->add_option("--routes-from", v.routes_from, "end, beginning, or an RFC 3339 time")
      ->required();
  adopt->add_option("--reason", v.reason, "Why; kept in the state")->required();
  auto* restored =
      command(state, "restored", "With millraced stopped: say that the state is from a backup",
              [&] { return run_state_restored(session_, v.from, v.reason); });
  restored->add_option("--backup-at", v.from, "When it was made, an RFC 3339 time")->required();
  restored->add_option("--reason", v.reason, "Why; kept in the audit")->required();
  auto* copy_state =
      command(state, "copy", "With millraced stopped, after `log copy`: move the state over",
              [&] { return run_state_copy(session_, v.to); });
  CLI::App* log = group("log", "The log");
  command(log, "verify", "Read every frame", [&] { return run_log_verify(session_); });
  auto* quarantine = command(log, "quarantine", "Move the damaged part of a journal aside",
                             [&] { return run_log_quarantine(session_, v.name); });
  quarantine->add_option("JOURNAL", v.name, "inbox, events or trail")->required();
  auto* copy_log = command(log, "copy", "With millraced stopped: copy the log to another place",
                           [&] { return run_log_copy(session_, v.to); });
  for (CLI::App* one : {copy_log, copy_state}) {
    one->add_option("--to", v.to, "Configuration directory that names the new log and state")
        ->required();
  }
}

}  // namespace millrace::cli
