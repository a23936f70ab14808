// Where the log and the state lie, and how they are opened.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <filesystem>

#include "daemon/broker.hpp"
#include "kafka/kafka_admin.hpp"
#include "log/file_log.hpp"
#include "log/kafka_log.hpp"
#include "log/kafka_numbers.hpp"
#include "log/spooling_log.hpp"
#include "state/open_state.hpp"
#include "state/partition_reigns.hpp"
#include "storage/posix_disk.hpp"
#include "stores/kafka_settings.hpp"

namespace millrace::daemon {
namespace {

constexpr int kExitFatal = 70;
constexpr milliseconds kCloseBesideSpool{1'000};

// A failed write or sync of log or state is final: whatever is not acknowledged stays that way.
void die(const char* what, const Error& error) {
  spdlog::critical("{} failed, the process stops: {}", what, error.message);
  spdlog::shutdown();
  std::_Exit(kExitFatal);
}

}  // namespace

Result<void> Broker::open_stores() {
  const config::Installation& installation = config_->installation;
  std::error_code error;
  for (const std::string& directory :
       {installation.data_directory, installation.log_directory,
        std::filesystem::path(installation.state.sqlite_path).parent_path().string()}) {
    if (directory.empty()) continue;
    std::filesystem::create_directories(directory, error);
    if (error) {
      return fail(Errc::config, fmt::format("{} cannot be created: {}; create it for the user the "
                                            "daemon runs as",
                                            directory, error.message()));
    }
  }
  disk_ = std::make_unique<PosixDisk>();
  const auto make_ids = [&](Journal journal) {
    return std::make_unique<ingress::DedupeIndex>(
        ingress::DedupeIndex::Options{.journal = journal, .window = installation.dedupe_window});
  };
  inbox_ids_ = make_ids(Journal::inbox);
  event_ids_ = make_ids(Journal::events);
  MILLRACE_CHECK_OK(installation.kafka_log ? open_kafka() : open_files());
  MILLRACE_TRY(opened, open_installation(*state_, *log_, installation.environment));
  installation_ = opened;
  MILLRACE_CHECK_OK(trust_clock());
  state_->set_journal_ends([log = log_.get()] { return log->durable_ends(); });
  return {};
}

Result<void> Broker::open_files() {
  const config::Installation& installation = config_->installation;
  FileLogOptions log_options{.directory = installation.log_directory,
                             .disk = *disk_,
                             .clock = clock_,
                             .expiry_clock = &clock_watch_,
                             .stored_ends = [this]() -> Result<std::optional<std::string>> {
                               MILLRACE_CHECK_OK(open_state());
                               return read_journal_ends(*state_);
                             },
                             .side_files = true,
                             .ids_window = installation.dedupe_window,
                             .ids_max = installation.dedupe_ids_max,
                             .id_memories = {inbox_ids_.get(), event_ids_.get(), nullptr},
                             .fatal = [](const Error& cause) { die("the log", cause); }};
  MILLRACE_TRY(log, open_file_log(std::move(log_options)));
  log_ = std::move(log);
  return {};
}

Result<void> Broker::open_kafka() {
  const config::Installation& installation = config_->installation;
  const config::KafkaLog& kafka = *installation.kafka_log;
  MILLRACE_CHECK_OK(open_state());
  MILLRACE_TRY(spool, open_spool());
  kafka_numbers_ = std::make_shared<log::KafkaNumbers>();
  KafkaLogOptions log_options{.settings = stores::kafka_settings(installation),
                              .prefix = kafka.prefix,
                              .entities = {},
                              .clock = clock_,
                              .owner = owner_word(state_->group()),
                              .id_memories = {inbox_ids_.get(), event_ids_.get(), nullptr},
                              .ids_window = installation.dedupe_window,
                              .numbers = kafka_numbers_};
  for (const auto& [name, entity] : config_->entities) log_options.entities.push_back(name);
  if (kafka.ack != "kafka") {
    // What waits for its end is in the spool, or can be made again.
    log_options.close_within = kCloseBesideSpool;
    log_options.while_away = "messages wait in the spool";
  }
  auto log = open_kafka_log(std::move(log_options));
  if (!log && spool && spool->found().records > 0) {
    log.error().message += fmt::format("; {} messages wait in the spool {} and stay there",
                                       spool->found().records, kafka.spool);
  }
  if (!log) {
    return std::unexpected(kafka_with_rights(std::move(log).error(),
                                             stores::kafka_settings(installation), kafka.prefix));
  }
  log_ = *std::move(log);
  if (!spool) return {};
  SpoolingLogOptions spooling{
      .mode = kafka.ack == "local"  ? AckMode::local
              : kafka.ack == "auto" ? AckMode::automatic
                                    : AckMode::log,
      .min_free = [this] { return config()->installation.retention.min_free_fraction; }};
  MILLRACE_TRY(beside, open_spooling_log(std::move(spooling), std::move(spool), std::move(log_)));
  log_ = std::move(beside);
  return {};
}

/// nullptr: nothing is spooled, and nothing waits from a time when it was.
Result<std::unique_ptr<log::Spool>> Broker::open_spool() {
  const config::KafkaLog& kafka = *config_->installation.kafka_log;
  if (kafka.spool.empty()) return nullptr;
  if (kafka.ack == "kafka" && !std::filesystem::exists(kafka.spool)) return nullptr;
  return log::Spool::open({.directory = kafka.spool,
                           .disk = *disk_,
                           .clock = clock_,
                           .id_memories = {inbox_ids_.get(), event_ids_.get(), nullptr},
                           .fatal = [](const Error& cause) { die("the spool", cause); }});
}

// Once the log is locked and looked at: what it lacks is said before anything of it is changed.
Result<void> Broker::open_state() {
  if (state_) return {};
  MILLRACE_TRY(state, millrace::open_state(config_->installation.state, [](const Error& cause) {
                 die("the state store", cause);
               }));
  state_ = std::move(state);
  return {};
}

}  // namespace millrace::daemon
