#include "stores/site.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "log/file_log.hpp"
#include "log/kafka_log.hpp"
#include "log/manifest.hpp"
#include "log/spool.hpp"
#include "millrace/json.hpp"
#include "state/moved.hpp"
#include "state/open_state.hpp"
#include "state/restored.hpp"
#include "storage/posix_disk.hpp"
#include "stores/kafka_settings.hpp"

namespace millrace::stores {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kRowsPerScan = 1000;
constexpr std::chrono::hours kRestoredFor{26};  // as long as a start looks at it (daemon/restored)

void stop_process(const Error& cause) {
  abort_with(cause.message, cause.where);
}

/// Alone: refused as long as any instance runs on it.
Result<std::unique_ptr<StateStore>> open_alone(StateChoice choice) {
  choice.instance.clear();
  return open_state(choice, stop_process);
}

Result<void> check_there(Disk& disk, const config::Installation& installation) {
  std::error_code error;
  if (!installation.state.is_postgresql() && !fs::exists(installation.state.sqlite_path, error)) {
    return fail(Errc::not_found, fmt::format("{} is not there: there is nothing to copy from",
                                             installation.state.sqlite_path));
  }
  if (installation.kafka_log) return {};
  MILLRACE_TRY(manifest, log::read_manifest(disk, installation.log_directory));
  if (manifest) return {};
  return fail(Errc::not_found, fmt::format("{} holds no log: there is nothing to copy from",
                                           installation.log_directory));
}

// What is acknowledged and not in the log would be left behind.
Result<void> check_spool(Disk& disk, const std::string& directory) {
  std::error_code error;
  if (directory.empty() || !fs::exists(directory, error)) return {};
  MILLRACE_TRY(
      spool,
      log::Spool::open(
          {.directory = directory, .disk = disk, .clock = system_clock(), .fatal = stop_process}));
  if (spool->found().records == 0) return {};
  return fail(Errc::conflict,
              fmt::format("{} messages wait in the spool {}: start the installation as it is, with "
                          "its Kafka, until `millrace status` says nothing of them",
                          spool->found().records, directory));
}

// Topics of entities that are no longer configured: routes that drain, cursors.
Result<void> add_topics_of(StateStore& state, std::set<std::string>& topics) {
  for (std::string after;;) {
    const std::string prefix = row_key("life", "");
    MILLRACE_TRY(rows, state.scan(Table::routes, prefix, after, kRowsPerScan));
    for (const Row& row : rows) {
      MILLRACE_TRY(life, parse_json(row.value));
      if (const auto entity = string_or(life, "entity", ""); !entity.empty())
        topics.emplace(entity);
    }
    if (rows.size() < kRowsPerScan) break;
    after = rows.back().key;
  }
  constexpr std::string_view kProjected = "projected/";
  for (std::string after;;) {
    MILLRACE_TRY(rows, state.scan(Table::cursors, kProjected, after, kRowsPerScan));
    for (const Row& row : rows) {
      topics.insert(row.key.substr(kProjected.size(), row.key.find('\0') - kProjected.size()));
    }
    if (rows.size() < kRowsPerScan) return {};
    after = rows.back().key;
  }
}

/// What was sent after a backup is judged by positions of its log (daemon/restored.cpp).
Result<void> check_restored(StateStore& state) {
  MILLRACE_TRY(restored, read_restored(state));
  if (!restored) return {};
  if (!restored->began) {
    return fail(Errc::conflict,
                "the state comes out of a backup and was not started since: start "
                "millraced once where it is");
  }
  const WallTime until = restored->began->at + kRestoredFor;
  if (system_clock().wall_now() < until) {
    return fail(Errc::conflict, fmt::format("the state comes out of a backup: until {} it is "
                                            "compared with its sources; copy it after that",
                                            to_rfc3339(until)));
  }
  for (const std::string& route : restored->began->routes) {
    MILLRACE_TRY(rows,
                 state.scan(Table::cursors, row_key("route/" + route, ""), "", kPartitionCount));
    for (Partition p = 0; p < rows.size(); ++p) {
      MILLRACE_TRY(row, parse_json(rows[p].value));
      if (bool_or(row, "tail", false)) continue;
      const auto next = static_cast<Offset>(int_or(row, "next", 0));
      if (next >= restored->began->events_below.at(p)) continue;
      return fail(Errc::conflict, fmt::format("the state comes out of a backup, and route {} has "
                                              "not delivered yet what may have been sent after "
                                              "it: resume it first",
                                              route));
    }
  }
  return {};
}

}  // namespace

Site::~Site() {
  if (state) state->close();
  if (log) log->close();
}

Result<std::unique_ptr<EventLog>> open_log(Disk& disk, const config::Config& config,
                                           const std::set<std::string>& topics) {
  const config::Installation& installation = config.installation;
  if (!installation.kafka_log) {
    return open_file_log({installation.log_directory, disk, system_clock()});
  }
  return open_kafka_log({.settings = kafka_settings(installation),
                         .prefix = installation.kafka_log->prefix,
                         .entities = {topics.begin(), topics.end()},
                         .clock = system_clock()});
}

Result<Site> open_site(const config::Config& config, bool moved_too) {
  const config::Installation& installation = config.installation;
  Site site;
  site.disk = std::make_unique<PosixDisk>();
  MILLRACE_CHECK_OK(check_there(*site.disk, installation));
  if (installation.kafka_log) {
    MILLRACE_CHECK_OK(check_spool(*site.disk, installation.kafka_log->spool));
  }
  // On files the log comes first: its lock tells a running daemon.
  if (!installation.kafka_log) {
    MILLRACE_TRY(log, open_log(*site.disk, config, {}));
    site.log = std::move(log);
  }
  MILLRACE_TRY(state, open_alone(installation.state));
  site.state = std::move(state);
  MILLRACE_TRY(found, read_installation(*site.state));
  if (!found) {
    return fail(Errc::not_found, fmt::format("the state in {} was never started: there is nothing "
                                             "to copy from",
                                             state_place(installation)));
  }
  if (!moved_too) MILLRACE_CHECK_OK(refuse_moved(*site.state));
  site.topics = {"dead"};
  for (const auto& [name, entity] : config.entities) site.topics.insert(name);
  MILLRACE_CHECK_OK(add_topics_of(*site.state, site.topics));
  if (installation.kafka_log) {
    MILLRACE_TRY(log, open_log(*site.disk, config, site.topics));
    site.log = std::move(log);
  }
  MILLRACE_CHECK_OK(check_belongs(*site.state, *site.log, *found, installation.environment));
  MILLRACE_CHECK_OK(check_restored(*site.state));
  site.installation = *std::move(found);
  return site;
}

Result<std::unique_ptr<StateStore>> open_new_state(const config::Config& config) {
  MILLRACE_TRY(state, open_alone(config.installation.state));
  MILLRACE_TRY(found, read_installation(*state));
  if (!found) return state;
  state->close();
  return fail(Errc::conflict,
              fmt::format("the state in {} belongs to log {} already: name a new, empty place",
                          state_place(config.installation), found->log_uuid));
}

Result<void> check_same(const config::Installation& from, const config::Installation& to) {
  if (from.name == to.name && from.environment == to.environment) return {};
  return fail(Errc::invalid_argument,
              fmt::format("\"{}\" in environment \"{}\" cannot become \"{}\" in environment "
                          "\"{}\": both directories must configure one installation",
                          from.name, from.environment, to.name, to.environment));
}

std::string log_place(const config::Installation& installation) {
  if (!installation.kafka_log) return installation.log_directory;
  return fmt::format("{}.* on Kafka {}", installation.kafka_log->prefix,
                     installation.kafka_log->brokers);
}

std::string state_place(const config::Installation& installation) {
  if (!installation.state.is_postgresql()) return installation.state.sqlite_path;
  return fmt::format("schema {} of PostgreSQL", installation.state.schema);
}

}  // namespace millrace::stores
