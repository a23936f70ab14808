#include "daemon/backup.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "daemon/operations.hpp"
#include "net/callback.hpp"
#include "state/sqlite_state.hpp"

namespace millrace::daemon {
namespace {

namespace fs = std::filesystem;

Result<void> make_place(Disk& disk, const fs::path& backup) {
  if (!backup.is_absolute()) {
    return fail(Errc::invalid_argument, fmt::format("'{}' is no absolute path", backup.string()));
  }
  std::error_code error;
  if (fs::exists(backup, error) &&
      !(fs::is_directory(backup, error) && fs::is_empty(backup, error))) {
    return fail(Errc::conflict, fmt::format("{} is not empty; name a new directory for each backup",
                                            backup.string()));
  }
  for (const Journal journal : {Journal::inbox, Journal::events, Journal::trail}) {
    MILLRACE_CHECK_OK(
        disk.create_directories(backup / kBackupLog / std::string(to_string(journal))));
  }
  // Messages and events in there are nobody else's business.
  fs::permissions(backup, fs::perms::owner_all, error);
  return {};
}

Result<void> copy_log(const BackupSource& source, const fs::path& backup,
                      BackupManifest& manifest) {
  MILLRACE_TRY(files, source.log.stored_files());
  for (const EventLog::StoredFile& file : files) {
    const fs::path name = fs::path(kBackupLog) / file.path;
    auto sum = copy_file(source.disk, fs::path(source.log_directory) / file.path, backup / name,
                         file.bytes);
    if (!sum && sum.error().code == Errc::not_found) {
      if (file.derived) continue;
      return fail(Errc::conflict,
                  fmt::format("{} was dropped for its age meanwhile; try again", file.path));
    }
    if (!sum) return std::unexpected(std::move(sum).error());
    manifest.files[name.string()] = *sum;
  }
  return {};
}

}  // namespace

Result<void> make_backup(const BackupSource& source, const std::string& directory,
                         BackupManifest manifest) {
  const fs::path backup(directory);
  MILLRACE_CHECK_OK(make_place(source.disk, backup));
  const fs::path state = backup / kBackupState;
  MILLRACE_CHECK_OK(copy_sqlite_state(source.state_path, state.string()));
  MILLRACE_TRY(sum, sum_file(source.disk, state));
  manifest.files[kBackupState] = sum;
  MILLRACE_CHECK_OK(copy_log(source, backup, manifest));
  for (const Journal journal : {Journal::inbox, Journal::events, Journal::trail}) {
    MILLRACE_CHECK_OK(
        source.disk.sync_directory(backup / kBackupLog / std::string(to_string(journal))));
  }
  MILLRACE_CHECK_OK(source.disk.sync_directory(backup / kBackupLog));
  return write_backup_manifest(source.disk, backup, manifest);
}

Awaitable<Result<Json>> Operations::backup(Json args) {
  const std::string directory(string_or(args, "directory", ""));
  const auto config = broker_.config();
  if (config->installation.state.is_postgresql()) {
    co_return fail(
        Errc::not_supported,
        fmt::format("the state is in PostgreSQL: dump its schema first (pg_dump -Fc "
                    "--schema='\"{}\"' ...), then copy {}; see "
                    "docs/how-to/use-postgresql.md",
                    config->installation.state.schema, config->installation.log_directory));
  }
  if (config->installation.kafka_log) {
    co_return fail(Errc::not_supported,
                   "the log lies in Kafka, whose replicas are its backup; copy the state's file "
                   "while the daemon is stopped");
  }
  BackupManifest manifest;
  manifest.made_at = broker_.clock_.wall_now();
  manifest.version = MILLRACE_VERSION;
  manifest.name = config->installation.name;
  manifest.environment = config->installation.environment;
  manifest.installation_uuid = broker_.installation_.uuid;
  manifest.log_uuid = broker_.installation_.log_uuid;
  manifest.incarnation = broker_.installation_.incarnation;
  manifest.generation = broker_.generation_.load();
  auto work = [this, directory, config, manifest]() -> Result<Json> {
    const BackupSource source{*broker_.disk_, *broker_.log_, config->installation.log_directory,
                              config->installation.state.sqlite_path};
    MILLRACE_CHECK_OK(make_backup(source, directory, manifest));
    return Json(JsonObject{{"backup", directory}, {"made_at", to_rfc3339(manifest.made_at)}});
  };
  auto made = co_await offload(broker_.control_->next(), home_, std::move(work));
  broker_.audit("backup", directory, made ? "" : made.error().message);
  if (made) spdlog::info("backup made directory={}", directory);
  co_return made;
}

}  // namespace millrace::daemon
