#include "cli/command_line.hpp"

#include "cli/commands.hpp"
#include "cli/offline.hpp"

namespace millrace::cli {

void Commands::declare_configure() {
  Values& v = values_;
  auto* init = command(nullptr, "init", "Make a small configuration that runs",
                       [&] { return run_init(session_, v.directory); });
  init->add_option("DIR", v.directory, "Directory to make")->required();
  auto* lint = command(nullptr, "lint", "Say what is wrong with a configuration", [&] {
    return run_lint(session_, directory(), v.without_secrets, v.strict);
  });
  lint->add_option("DIR", v.directory, "Configuration directory (default: --config)");
  lint->add_flag("--without-secrets", v.without_secrets, "Secrets need not be there");
  lint->add_flag("--strict", v.strict, "Warnings are findings too");
  auto* test = command(nullptr, "test", "Run the tests of a configuration",
                       [&] { return run_test(session_, directory()); });
  test->add_option("DIR", v.directory, "Configuration directory (default: --config)");
  auto* eval = command(nullptr, "eval", "Try an expression on JSON from standard input",
                       [&] { return run_eval(session_, v.expression); });
  eval->add_option("EXPR", v.expression, "jq expression")->required();
  CLI::App* docs = group("docs", "Documents that are made of the program itself");
  command(docs, "reference", "Every key of the configuration, as Markdown",
          [&] { return run_docs_reference(session_); });
  command(nullptr, "schema", "JSON Schema of the configuration, for editors",
          [&] { return run_schema(session_); });
  auto* plan = command(nullptr, "plan", "Say what a reload would change",
                       [&] { return call("plan", {{"sample", v.sample}}, print_plan); });
  plan->add_option("--sample", v.sample, "Read so many records, and estimate the events")
      ->check(CLI::Range(1, 200));
  command(nullptr, "reload", "Take the configuration in, whole or not at all",
          [&] { return call("reload", {}, print_reload); });
}

void Commands::declare_see() {
  Values& v = values_;
  command(nullptr, "status", "What is wrong, since when, whose, and what to type next",
          [&] { return call("status", {}, print_status); });
  auto* where = command(nullptr, "where", "Every hop of a business key",
                        [&] { return call("where", {{"key", v.key}}, print_where); });
  where->add_option("KEY", v.key, "Name, record or external id")->required();
}

JsonObject Commands::listing() const {
  JsonObject arguments{{"limit", std::to_string(values_.limit)}};
  if (!values_.route.empty()) arguments["route"] = values_.route;
  if (!values_.by.empty()) arguments["by"] = values_.by;
  return arguments;
}

void Commands::add_listing(CLI::App& list) {
  list.add_option("--route", values_.route, "Of this route only");
  list.add_option("--limit", values_.limit, "At most so many")->check(CLI::Range(1, 1000));
  list.add_option("--by", values_.by, "Count them by cause")->check(CLI::IsMember({"cause"}));
}

void Commands::declare_dead() {
  Values& v = values_;
  CLI::App* dead = group("dead", "Dead letters");
  auto* list = command(dead, "list", "List dead letters", [&] {
    return call("dead.list", listing(), v.by.empty() ? print_dead_list : print_causes);
  });
  add_listing(*list);
  auto* show = command(dead, "show", "One dead letter, whole",
                       [&] { return call("dead.show", {{"id", v.id}}, print_dead_letter); });
  auto* resubmit = command(dead, "resubmit", "Send a dead letter once more", [&] {
    JsonObject arguments{{"id", v.id}};
    if (v.again) arguments["again"] = true;
    if (v.history) arguments["history"] = true;
    if (!v.reason.empty()) arguments["reason"] = v.reason;
    return call("dead.resubmit", std::move(arguments), print_done);
  });
  resubmit->add_flag("--again", v.again, "Also when it may have been applied; needs --reason");
  resubmit->add_flag("--history", v.history, "Also when newer news of the record was delivered");
  resubmit->add_option("--reason", v.reason, "Why; kept in the audit");
  auto* discard = command(dead, "discard", "Give a dead letter up", [&] {
    return call("dead.discard", {{"id", v.id}, {"reason", v.reason}}, print_done);
  });
  discard->add_option("--reason", v.reason, "Why; kept in the audit")->required();
  for (CLI::App* one : {show, resubmit, discard}) {
    one->add_option("ID", v.id, "The dead letter's id")->required();
  }
}

int Commands::release() {
  const int decisions = int{values_.applied} + int{values_.not_applied} + int{values_.absent};
  if (decisions > 1 || (values_.not_applied && values_.reason.empty())) {
    return cannot(session_, Error(Errc::invalid_argument,
                                  "say one of --applied [EXTERNAL_ID], --not-applied --reason "
                                  "TEXT, --absent"));
  }
  JsonObject arguments{{"id", values_.id}};
  if (values_.applied) arguments["applied"] = true;
  if (values_.not_applied) arguments["applied"] = false;
  if (!values_.external_id.empty()) arguments["external_id"] = values_.external_id;
  if (!values_.reason.empty()) arguments["reason"] = values_.reason;
  return call("parked.release", std::move(arguments), print_done);
}

void Commands::declare_parked() {
  Values& v = values_;
  CLI::App* parked = group("parked", "Deliveries that wait");
  auto* list = command(parked, "list", "List what is parked and why", [&] {
    return call("parked.list", listing(), v.by.empty() ? print_parked_list : print_causes);
  });
  add_listing(*list);
  auto* release =
      command(parked, "release", "Decide, and let it go on", [&] { return this->release(); });
  release
      ->add_option_function<std::vector<std::string>>(
          "--applied",
          [&v](const std::vector<std::string>& ids) {
            v.applied = true;
            if (!ids.empty()) v.external_id = ids.front();
          },
          "The target has it, under this id")
      ->expected(0, 1)
      ->type_name("[EXTERNAL_ID]");
  release->add_flag("--not-applied", v.not_applied, "The target does not have it; needs --reason");
  release->add_flag("--absent", v.absent, "Nothing to decide: just try again now");
  release->add_option("--reason", v.reason, "Why; kept in the audit");
  auto* skip = command(parked, "skip", "Drop it; later news of the record goes on", [&] {
    return call("parked.skip", {{"id", v.id}, {"reason", v.reason}}, print_done);
  });
  skip->add_option("--reason", v.reason, "Why; kept in the audit")->required();
  for (CLI::App* one : {release, skip}) one->add_option("ID", v.id, "Its id")->required();
}

void Commands::declare_steer() {
  Values& v = values_;
  const auto with_reason = [this](std::string_view operation) {
    return call(operation, {{"name", values_.name}, {"reason", values_.reason}}, print_done);
  };
  CLI::App* routes = group("routes", "Routes");
  command(routes, "list", "Routes and their state",
          [&] { return call("routes.list", {}, print_routes); });
  auto* pause = command(routes, "pause", "Stop sending; events wait",
                        [with_reason] { return with_reason("routes.pause"); });
  auto* resume = command(routes, "resume", "Send again",
                         [&] { return call("routes.resume", {{"name", v.name}}, print_done); });
  declare_moves(*routes);
  declare_replay();
  CLI::App* connections = group("connections", "Connections");
  command(connections, "list", "Connections and their state",
          [&] { return call("connections.list", {}, print_connections); });
  auto* check = command(connections, "check", "Does the other side answer? Changes nothing there",
                        [&] { return call("connections.check", {{"name", v.name}}, print_check); });
  auto* go_on = command(connections, "resume", "A kafka connection goes on without what is gone",
                        [with_reason] { return with_reason("connections.resume"); });
  for (auto* one : {pause, go_on}) one->add_option("--reason", v.reason, "Why")->required();
  for (auto* at : {pause, resume, check, go_on}) at->add_option("NAME", v.name, "Name")->required();
  auto* fetch = command(nullptr, "fetch", "Read one record of a source now", [&] {
    return call("fetch", {{"connection", v.connection}, {"model", v.model}, {"id", v.id}},
                print_done);
  });
  fetch->add_option("CONNECTION", v.connection, "For example odoo")->required();
  fetch->add_option("MODEL", v.model, "For example sale.order")->required();
  fetch->add_option("ID", v.id, "The record's id there")->required();
}

int Commands::move(std::string_view operation) {
  JsonObject arguments{{"name", values_.name}, {"yes", values_.yes}};
  if (!values_.to.empty()) arguments["to"] = values_.to;
  if (!values_.record.empty()) arguments["record"] = values_.record;
  if (!values_.reason.empty()) arguments["reason"] = values_.reason;
  return call(operation, std::move(arguments), print_move);
}

void Commands::declare_moves(CLI::App& routes) {
  Values& v = values_;
  auto* drain = command(&routes, "drain", "Deliver what it has, take up nothing new", [&] {
    return call("routes.drain", {{"name", v.name}, {"reason", v.reason}}, print_done);
  });
  drain->add_option("--reason", v.reason, "Why; shown by status")->required();
  auto* seek = command(&routes, "seek", "Move it: over events, or back to send them again",
                       [&] { return move("routes.seek"); });
  auto* skip =
      command(&routes, "skip", "Let go of undelivered events", [&] { return move("routes.skip"); });
  auto* drop = command(&routes, "drop", "End a removed route that still drains",
                       [&] { return move("routes.drop"); });
  const char* position = "beginning, end, a time (RFC 3339), or PARTITION:OFFSET";
  seek->add_option("--to", v.to, position)->required();
  auto* to = skip->add_option("--to", v.to, position);
  skip->add_option("--record", v.record, "This record only, as `where` shows it")->excludes(to);
  for (CLI::App* one : {seek, skip, drop}) {
    one->add_flag("--yes", v.yes, "Do it; without it only says what it would do");
    one->add_option("--reason", v.reason, "Why; kept in the audit. Needed with --yes");
  }
  for (CLI::App* one : {drain, seek, skip, drop}) {
    one->add_option("NAME", v.name, "Name")->required();
  }
}

// A dry run reads all of the log that it is asked about.
constexpr milliseconds kLookMax{3'600'000};

int Commands::replay() {
  const Values& v = values_;
  JsonObject arguments{{"name", v.name}};
  for (const auto& [name, value] : {std::pair("from", &v.from),
                                    {"to", &v.to},
                                    {"record", &v.record},
                                    {"key", &v.key},
                                    {"reason", &v.reason}}) {
    if (!value->empty()) arguments[name] = *value;
  }
  if (v.stop) return call("replay.stop", std::move(arguments), print_done);
  arguments["history"] = v.history;
  arguments["again"] = v.again;
  arguments["yes"] = v.yes;
  return run_operation(session_, "replay", std::move(arguments), print_replay, kLookMax);
}

void Commands::declare_replay() {
  Values& v = values_;
  auto* replay = command(nullptr, "replay", "Send again what a route has sent before",
                         [this] { return this->replay(); });
  replay->add_option("ROUTE", v.name, "Its name")->required();
  replay->add_option("--from", v.from, "beginning, a time (RFC 3339), or PARTITION:OFFSET");
  replay->add_option("--to", v.to, "The same, or end; without it up to where the route stands");
  auto* record = replay->add_option("--record", v.record, "This record only, as `where` shows it");
  replay->add_option("--key", v.key, "The record of this business key only")->excludes(record);
  replay->add_flag("--history", v.history, "Also what a later change has superseded, in order");
  replay->add_flag("--again", v.again, "With new keys: a target that knows the old ones acts anew");
  replay->add_flag("--stop", v.stop, "End the one that is under way");
  replay->add_flag("--yes", v.yes, "Do it; without it only says what it would do");
  replay->add_option("--reason", v.reason, "Why; kept in the audit. Needed with --yes");
}

void Commands::declare_sources() {
  Values& v = values_;
  auto* backfill = command(
      nullptr, "backfill", "Send the history of an entity on purpose, or go on with it", [&] {
        if (v.name.empty()) return call("backfill.list", {}, print_backfills);
        if (v.stop) return call("backfill.stop", {{"name", v.name}}, print_backfills);
        return call("backfill", {{"name", v.name}, {"per_second", v.per_second}}, print_backfills);
      });
  backfill->add_option("ENTITY", v.name, "For example sales_order; without it: how far they are");
  backfill->add_option("--per-second", v.per_second, "Pace, in records")
      ->check(CLI::Range(1, 100'000));
  backfill->add_flag("--stop", v.stop, "Stop; `millrace backfill ENTITY` goes on from there");
  CLI::App* checks = group("checks", "Comparisons of a source with what is stored");
  auto* run = command(checks, "run", "Compare now: what was written since yesterday", [&] {
    return call("checks.run",
                {{"connection", v.connection}, {"model", v.model}, {"whole", v.whole}}, print_done);
  });
  run->add_flag("--whole", v.whole, "Every record, which also finds deletes");
  auto* accept =
      command(checks, "accept", "Let a check delete the many records it found gone", [&] {
        return call("checks.accept",
                    {{"connection", v.connection}, {"model", v.model}, {"reason", v.reason}},
                    print_done);
      });
  accept->add_option("--reason", v.reason, "Why; kept in the audit")->required();
  for (CLI::App* one : {run, accept}) {
    one->add_option("CONNECTION", v.connection, "For example odoo")->required();
    one->add_option("MODEL", v.model, "For example sale.order")->required();
  }
}

int run_command_line(std::vector<std::string> arguments, std::istream& in, std::ostream& out,
                     std::ostream& err, WallTime now) {
  Session session{in, out, err, default_config_directory(), {}, {}, {}, false, now};
  CLI::App app("Millrace: the integration broker beside Odoo", "millrace");
  app.set_version_flag("--version", "millrace " MILLRACE_VERSION);
  app.require_subcommand(1);
  app.add_option("--config", session.config_directory,
                 "Configuration directory (default: MILLRACE_CONFIG, else /etc/millrace)");
  app.add_option("--admin", session.admin, "Address of the admin plane (default: as configured)");
  app.add_option("--token-file", session.token_file,
                 "File with the admin token (default: admin.token in the data directory)");
  app.add_option("--ca", session.ca_file,
                 "PEM file of the authority of the admin plane's certificate (default: admin.pem "
                 "beside the token, where the daemon puts its own)");
  app.add_flag("--json", session.json, "Answer as JSON");
  Commands commands(app, session);
  commands.declare();
  try {
    std::reverse(arguments.begin(), arguments.end());
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return app.exit(error, out, err) == 0 ? kOk : kCannotRun;
  }
  return commands.run();
}

}  // namespace millrace::cli
