// Every command and its options, declared for the parser; what is common to their declarations.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "cli/session.hpp"

namespace millrace::cli {

/// What the parser fills in; one field a thing that commands can be given.
struct Values {
  std::string directory;
  std::string expression;
  std::string id;
  std::string name;
  std::string key;
  std::string route;
  std::string reason;
  std::string external_id;
  std::string routes_from;
  std::string connection;
  std::string model;
  std::string note;
  std::string from;
  std::string to;
  std::string record;
  std::string by;
  std::vector<std::string> sources;
  std::vector<std::string> types;
  int limit = 100;
  int sample = 0;
  int per_second = 100;
  bool whole = false;
  bool stop = false;
  bool without_secrets = false;
  bool strict = false;
  bool again = false;
  bool history = false;
  bool applied = false;
  bool not_applied = false;
  bool absent = false;
  bool yes = false;
};

/// Declares the commands and remembers which one was chosen.
class Commands {
 public:
  Commands(CLI::App& app, Session& session) : app_(app), session_(session) {}

  void declare() {
    declare_configure();
    declare_see();
    declare_dead();
    declare_parked();
    declare_steer();
    declare_sources();
    declare_keep();
  }
  int run() { return chosen_(); }

 private:
  CLI::App* group(const std::string& name, const std::string& help) {
    CLI::App* made = app_.add_subcommand(name, help);
    made->require_subcommand(1);
    made->fallthrough();
    return made;
  }
  CLI::App* command(CLI::App* parent, const std::string& name, const std::string& help,
                    std::function<int()> action) {
    CLI::App* made = (parent == nullptr ? &app_ : parent)->add_subcommand(name, help);
    made->fallthrough();
    made->callback([this, action = std::move(action)] { chosen_ = action; });
    return made;
  }
  int call(std::string_view operation, JsonObject arguments, Printer print) {
    return run_operation(session_, operation, std::move(arguments), print);
  }
  std::string directory() const {
    return values_.directory.empty() ? session_.config_directory : values_.directory;
  }
  void declare_configure();
  void declare_see();
  void declare_dead();
  void declare_parked();
  void declare_steer();
  void declare_moves(CLI::App& routes);
  void declare_sources();
  void declare_keep();
  int move(std::string_view operation);
  int replay();
  void declare_replay();
  int create_key();
  int release();
  JsonObject listing() const;
  void add_listing(CLI::App& list);

  CLI::App& app_;
  Session& session_;
  Values values_;
  std::function<int()> chosen_ = [] { return kCannotRun; };
};

}  // namespace millrace::cli
