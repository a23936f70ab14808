#include "cli/restore.hpp"

#include <fmt/format.h>

#include <ostream>

#include "state/restored.hpp"
#include "state/sqlite_state.hpp"
#include "storage/backup_manifest.hpp"
#include "storage/posix_disk.hpp"

namespace millrace::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLogManifest = "log.json";

Result<void> check_place(const config::Installation& installation) {
  if (installation.state.is_postgresql()) {
    return fail(Errc::not_supported,
                "the state is in PostgreSQL: restore its schema with pg_restore, the log's "
                "directory from a copy that is not older than the dump, and say so: millrace state "
                "restored --backup-at TIME --reason TEXT; see docs/how-to/use-postgresql.md");
  }
  std::error_code error;
  for (const std::string suffix : {"", "-wal"}) {
    const std::string path = installation.state.sqlite_path + suffix;
    if (!fs::exists(path, error)) continue;
    return fail(Errc::conflict,
                fmt::format("{} is there: stop millraced and move what is left of the old "
                            "installation away; restore overwrites nothing",
                            path));
  }
  if (fs::exists(installation.log_directory, error) &&
      !fs::is_empty(installation.log_directory, error)) {
    return fail(Errc::conflict,
                fmt::format("{} is not empty: stop millraced and move the old log away; restore "
                            "overwrites nothing",
                            installation.log_directory));
  }
  return {};
}

Result<void> check_manifest(const BackupManifest& manifest,
                            const config::Installation& installation) {
  if (manifest.environment != installation.environment) {
    return fail(Errc::wrong_environment,
                fmt::format("the backup is of environment \"{}\", the configuration says \"{}\": a "
                            "copy must not write to the systems of the original",
                            manifest.environment, installation.environment));
  }
  const std::string log_manifest = fmt::format("{}/{}", kBackupLog, kLogManifest);
  for (const std::string& needed : {std::string(kBackupState), log_manifest}) {
    if (!manifest.files.contains(needed)) {
      return fail(Errc::corrupt, fmt::format("the backup has no {}", needed));
    }
  }
  for (const auto& [name, sum] : manifest.files) {
    if (name == fs::path(name).lexically_normal() && fs::path(name).is_relative() &&
        !name.starts_with("..")) {
      continue;
    }
    return fail(Errc::corrupt, fmt::format("the backup names a file '{}'", name));
  }
  return {};
}

Result<void> copy_one(Disk& disk, const fs::path& from, const fs::path& to,
                      const FileSum& expected) {
  MILLRACE_TRY(sum, copy_file(disk, from, to, expected.bytes));
  if (sum == expected) return {};
  return fail(Errc::corrupt, fmt::format("{} changed while it was read", from.string()));
}

// The log's own manifest comes last, so that half a log is not taken for one.
Result<void> copy_log(Disk& disk, const fs::path& backup, const BackupManifest& manifest,
                      const fs::path& log) {
  for (const Journal journal : {Journal::inbox, Journal::events, Journal::trail}) {
    MILLRACE_CHECK_OK(disk.create_directories(log / std::string(to_string(journal))));
  }
  const std::string prefix = std::string(kBackupLog) + "/";
  for (const auto& [name, sum] : manifest.files) {
    if (!name.starts_with(prefix) || name == prefix + kLogManifest) continue;
    MILLRACE_CHECK_OK(copy_one(disk, backup / name, log / name.substr(prefix.size()), sum));
  }
  for (const Journal journal : {Journal::inbox, Journal::events, Journal::trail}) {
    MILLRACE_CHECK_OK(disk.sync_directory(log / std::string(to_string(journal))));
  }
  MILLRACE_CHECK_OK(copy_one(disk, backup / (prefix + kLogManifest), log / kLogManifest,
                             manifest.files.at(prefix + kLogManifest)));
  return disk.sync_directory(log);
}

// Last of all, and under its name only when it knows what it is: until then no start succeeds.
Result<Installation> place_state(Disk& disk, const fs::path& backup, const BackupManifest& manifest,
                                 const std::string& path, WallTime now) {
  const std::string unfinished = path + ".restoring";
  for (const std::string suffix : {"", "-wal", "-shm", ".lock"}) {
    const auto removed = disk.remove(unfinished + suffix);
    if (!removed && removed.error().code != Errc::not_found)
      return std::unexpected(removed.error());
  }
  MILLRACE_CHECK_OK(
      copy_one(disk, backup / kBackupState, unfinished, manifest.files.at(kBackupState)));
  MILLRACE_TRY(findings, verify_sqlite_state(unfinished));
  if (!findings.empty()) {
    return fail(Errc::corrupt, fmt::format("the state of the backup is damaged: {}", findings[0]));
  }
  SqliteStateOptions options;
  options.path = unfinished;
  MILLRACE_TRY(state, open_sqlite_state(options));
  auto marked = mark_restored(*state, manifest.made_at, now);
  state->close();
  state.reset();
  if (!marked) return marked;
  MILLRACE_CHECK_OK(disk.rename(unfinished, path));
  const auto unlocked = disk.remove(unfinished + ".lock");
  if (!unlocked && unlocked.error().code != Errc::not_found) {
    return std::unexpected(unlocked.error());
  }
  MILLRACE_CHECK_OK(disk.sync_directory(fs::path(path).parent_path()));
  return marked;
}

Result<Installation> restore(const Session& session, const fs::path& backup) {
  MILLRACE_TRY(installation, read_on_files(session.config_directory));
  PosixDisk disk;
  MILLRACE_CHECK_OK(check_place(installation));
  MILLRACE_TRY(manifest, read_backup_manifest(disk, backup));
  MILLRACE_CHECK_OK(check_manifest(manifest, installation));
  MILLRACE_CHECK_OK(check_backup(disk, backup, manifest));
  const fs::path state(installation.state.sqlite_path);
  MILLRACE_CHECK_OK(disk.create_directories(state.parent_path()));
  MILLRACE_CHECK_OK(disk.create_directories(installation.log_directory));
  MILLRACE_CHECK_OK(copy_log(disk, backup, manifest, installation.log_directory));
  return place_state(disk, backup, manifest, installation.state.sqlite_path, session.now);
}

}  // namespace

int run_restore(const Session& session, const std::string& directory) {
  const auto restored = restore(session, fs::absolute(directory));
  if (!restored) return cannot(session, restored.error());
  if (session.json) {
    session.out << write_json(Json{{"uuid", restored->uuid},
                                   {"log_uuid", restored->log_uuid},
                                   {"incarnation", restored->incarnation}})
                << '\n';
  } else {
    session.out << fmt::format(
        "Restored installation {}. What it sent after the backup is unknown: it is sent again "
        "where "
        "that is harmless, probed or asked for elsewhere.\nnext: start millraced, then millrace "
        "parked list\n",
        restored->uuid);
  }
  return kOk;
}

}  // namespace millrace::cli
