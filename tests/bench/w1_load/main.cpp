// w1_load: runs the reference work W1 against one broker and prints one JSON line per scenario.
//   w1_load --name millrace --data DIR --scenario closed --scenario kill -- millraced --config DIR
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <map>
#include <string_view>

#include "scenarios.hpp"

namespace {

using Scenario = boost::json::object (w1::Bench::*)();

const std::map<std::string, Scenario> kScenarios = {
    {"closed", &w1::Bench::closed_loop},       {"open", &w1::Bench::open_loop},
    {"kill", &w1::Bench::kill_in_flow},        {"kill-in-drain", &w1::Bench::kill_in_drain},
    {"repeat", &w1::Bench::repeat_after_kill}, {"backlog", &w1::Bench::backlog},
    {"poisoned", &w1::Bench::poisoned},
};

struct Options {
  std::string name;
  std::vector<std::string> scenarios;
  w1::BenchPlan bench;
  w1::BrokerPlan broker;
  std::uint16_t sink_port = 9900;
};

void run(const Options& options) {
  w1::Ledger ledger;
  w1::Sink sink(options.sink_port, ledger);
  w1::Broker broker(options.broker);
  w1::Bench bench(options.bench, ledger, sink, broker);
  for (const std::string& name : options.scenarios) {
    const std::uint64_t malformed = sink.malformed();
    boost::json::object line = {{"broker", options.name}, {"scenario", name}};
    for (auto& [key, value] : (bench.*kScenarios.at(name))()) line[key] = value;
    line["malformed"] = sink.malformed() - malformed;
    std::puts(boost::json::serialize(line).c_str());
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  int seconds = 10;
  CLI::App app("Measures one broker on the reference work W1.");
  app.add_option("--name", options.name, "Name printed in every line")->required();
  app.add_option("--scenario", options.scenarios, "What to run, in this order")
      ->required()
      ->check(CLI::IsMember(kScenarios));
  app.add_option("--port", options.broker.port, "The broker's data port")->required();
  app.add_option("--admin-port", options.broker.admin_port, "Its admin port, for /readyz");
  app.add_option("--path", options.bench.path, "Path to post orders to")->required();
  app.add_option("--sink-port", options.sink_port, "Where orders are expected");
  app.add_option("--data", options.broker.data_directory, "Wiped before each scenario")->required();
  app.add_option("--log", options.broker.log_file, "The broker's output")->required();
  app.add_option("--connections", options.bench.connections)->check(CLI::Range(1, 1024));
  app.add_option("--rate", options.bench.per_second, "Orders per second of the open loop")
      ->check(CLI::PositiveNumber);
  app.add_option("--seconds", seconds, "Length of closed and open")->check(CLI::Range(1, 600));
  // What follows "--" is the broker's command, with options of its own.
  app.footer("-- COMMAND...  How the broker starts");
  const auto separator = std::find(argv, argv + argc, std::string_view("--"));
  CLI11_PARSE(app, static_cast<int>(separator - argv), argv);
  if (separator != argv + argc) options.broker.command.assign(separator + 1, argv + argc);
  if (options.broker.command.empty()) {
    fmt::print(stderr, "w1_load: say how the broker starts: -- COMMAND...\n");
    return 2;
  }
  options.bench.port = options.broker.port;
  options.bench.duration = std::chrono::seconds(seconds);
  signal(SIGPIPE, SIG_IGN);
  try {
    run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "w1_load: {}\n", error.what());
    return 2;
  }
  return 0;
}
