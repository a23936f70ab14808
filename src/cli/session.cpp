#include "cli/session.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>

#include "admin/admin_token.hpp"
#include "cli/text.hpp"
#include "config/load.hpp"
#include "config/yaml.hpp"
#include "connectors/all_connectors.hpp"

namespace millrace::cli {
namespace {

namespace fs = std::filesystem;

std::string scalar(const config::Node& node, std::string_view key, std::string_view member = {}) {
  const config::Node* value = node.find(key);
  if (value != nullptr && !member.empty()) value = value->find(member);
  // What holds a variable cannot be known without a sound configuration.
  if (value == nullptr || !value->is_string() || value->text.find("${") != value->text.npos) {
    return {};
  }
  return value->text;
}

config::Installation from_plain_values(const fs::path& directory, const config::Node& node) {
  const auto absolute = [&](const std::string& path) {
    return path.empty() ? path : (directory / path).lexically_normal().string();
  };
  config::Installation installation;
  installation.name = scalar(node, "name");
  if (const auto admin = scalar(node, "admin"); !admin.empty()) installation.admin = admin;
  if (const auto text = scalar(node, "environment"); !text.empty()) installation.environment = text;
  installation.log_directory = absolute(scalar(node, "log", "files"));
  const config::Node* log = node.find("log");
  if (log != nullptr && log->find("kafka") != nullptr) installation.kafka_log.emplace();
  installation.state.sqlite_path = absolute(scalar(node, "state", "sqlite"));
  installation.state.postgresql = scalar(node, "state", "postgresql");
  installation.data_directory = absolute(scalar(node, "data"));
  if (installation.data_directory.empty()) {
    const std::string& inside = installation.log_directory.empty() ? installation.state.sqlite_path
                                                                   : installation.log_directory;
    installation.data_directory = fs::path(inside).parent_path().string();
  }
  return installation;
}

Result<config::Installation> search_plain_values(const fs::path& directory) {
  std::error_code error;
  for (fs::recursive_directory_iterator at(directory, error), end; !error && at != end;
       at.increment(error)) {
    if (at->path().extension() != ".yaml" || !at->is_regular_file(error)) continue;
    std::ifstream file(at->path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    std::vector<config::Problem> ignored;
    for (const config::Node& document : config::parse_yaml(text, at->path().string(), ignored)) {
      if (!document.members.empty() && document.members.front().key == "name") {
        return from_plain_values(fs::absolute(directory, error), document);
      }
    }
  }
  return fail(
      Errc::config,
      fmt::format("{} has no installation document (the one that begins with `name:`): give "
                  "--config DIR, or --admin and --token-file",
                  directory.string()));
}

std::string detail_of(const AdminAnswer& answer) {
  const std::string detail = text_of(answer.body, "detail");
  if (!detail.empty()) return detail;
  const std::string title = text_of(answer.body, "title");
  return title.empty() ? fmt::format("millraced answered {}", answer.status) : title;
}

// What the daemon found out about the object asked for is a finding; the rest is "cannot run".
int exit_code_of(int status) {
  return status == 404 || status == 409 || status == 422 ? kFindings : kCannotRun;
}

}  // namespace

std::string default_config_directory() {
  const char* named = std::getenv("MILLRACE_CONFIG");
  return named != nullptr && *named != '\0' ? named : "/etc/millrace";
}

int cannot(const Session& session, const Error& error) {
  session.err << "millrace: " << printable(error.message) << '\n';
  return kCannotRun;
}

Result<config::Installation> read_installation(const std::string& directory) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    return fail(Errc::not_found,
                fmt::format("there is no configuration directory {}: give --config DIR or set "
                            "MILLRACE_CONFIG, or make one with millrace init DIR",
                            directory));
  }
  ConnectorRegistry connectors;
  register_all_connectors(connectors);
  const auto report = config::load({directory, true, connectors, config::process_environment()});
  if (report.config) return report.config->installation;
  return search_plain_values(directory);
}

Result<config::Installation> read_on_files(const std::string& directory) {
  MILLRACE_TRY(installation, read_installation(directory));
  if (!installation.kafka_log) return installation;
  return fail(Errc::not_supported,
              "the log lies in Kafka: this command is for a log on files of this machine");
}

Result<StateChoice> read_state_choice(const Session& session,
                                      const config::Installation& installation) {
  if (!installation.state.is_postgresql()) return installation.state;
  ConnectorRegistry connectors;
  register_all_connectors(connectors);
  const auto report = config::load({.directory = session.config_directory,
                                    .connectors = connectors,
                                    .environment = config::process_environment()});
  if (report.config) return report.config->installation.state;
  std::string first = "it cannot be read";
  for (const config::Problem& problem : report.problems) {
    if (problem.level != config::Problem::Level::error) continue;
    first = problem.message;
    break;
  }
  return fail(
      Errc::config,
      fmt::format("the state is in PostgreSQL, and reaching it needs the configuration with "
                  "its secrets: {}; run millrace as the user of millraced",
                  first));
}

Result<AdminClient> connect(const Session& session, milliseconds limit) {
  std::string address = session.admin;
  std::string token_file = session.token_file;
  if (address.empty() || token_file.empty()) {
    MILLRACE_TRY(installation, read_installation(session.config_directory));
    if (address.empty()) address = installation.admin;
    if (token_file.empty()) {
      token_file = (fs::path(installation.data_directory) / admin::kAdminTokenFile).string();
    }
  }
  MILLRACE_TRY(parsed, parse_admin_address(address));
  auto token = admin::read_admin_token(token_file);
  if (!token && token.error().code == Errc::not_found) {
    return fail(Errc::not_found,
                fmt::format("{}: millraced writes it when it starts; start it, or say where it is "
                            "with --token-file",
                            token.error().message));
  }
  if (!token && token.error().code == Errc::forbidden) {
    return fail(Errc::forbidden, fmt::format("{}: run millrace as the user of millraced, for "
                                             "example with sudo -u millrace",
                                             token.error().message));
  }
  if (!token) return std::unexpected(std::move(token).error());
  AdminTrust trust{.ca_file = session.ca_file, .pinned_file = {}};
  // A daemon that speaks TLS puts its certificate beside its token.
  const fs::path own = fs::path(token_file).parent_path() / admin::kAdminCertificateFile;
  std::error_code missing;
  if (trust.ca_file.empty() && fs::exists(own, missing)) trust.pinned_file = own.string();
  return AdminClient(std::move(parsed), *std::move(token), std::move(trust), limit);
}

int run_operation(const Session& session, std::string_view name, JsonObject arguments,
                  Printer print, milliseconds limit) {
  const admin::OperationSpec* operation = admin::find_operation(name);
  MILLRACE_INVARIANT(operation != nullptr);
  const auto client = connect(session, limit);
  if (!client) return cannot(session, client.error());
  const auto answer = client->call(*operation, std::move(arguments));
  if (!answer) return cannot(session, answer.error());
  if (answer->status >= 300) {
    if (session.json) session.out << write_json(answer->body) << '\n';
    session.err << "millrace: " << detail_of(*answer) << '\n';
    return exit_code_of(answer->status);
  }
  if (!session.json) return print(session.out, answer->body, session.now);
  session.out << write_json(answer->body) << '\n';
  // The exit code tells the same with and without --json.
  struct Nowhere final : std::streambuf {
    int overflow(int c) override { return c; }
  } nowhere;
  std::ostream silent(&nowhere);
  return print(silent, answer->body, session.now);
}

}  // namespace millrace::cli
