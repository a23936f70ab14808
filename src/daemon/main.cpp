// millraced: loads the configuration, starts the broker, waits for a signal.
#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>

#include "config/load.hpp"
#include "config/problems.hpp"
#include "connectors/all_connectors.hpp"
#include "daemon/broker.hpp"

// Read by jemalloc before main: what is free goes back to the system within a moment, large buffers
// at once. Threads that rest would otherwise keep what a burst took.
extern "C" const char* malloc_conf;
const char* malloc_conf =
    "background_thread:true,dirty_decay_ms:500,muzzy_decay_ms:0,oversize_threshold:262144";

namespace {

using millrace::milliseconds;

constexpr int kExitConfig = 1;
constexpr int kExitCannotRun = 2;
constexpr milliseconds kDrainMax{10'000};

// Signals are waited for in one place; every thread started later inherits the mask.
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return set;
}

// No core files and no /proc/PID/mem for others: the process holds secrets.
void harden_process() {
  prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

// A thread that wakes up lets the running one end its turn: on busy cores each finds more to do at
// a time, and switches less (decision 32). Threads started later inherit it. A policy that the
// service manager has set stays.
void wake_up_in_turn() {
  if (sched_getscheduler(0) != SCHED_OTHER) return;
  const sched_param no_priority = {};
  if (sched_setscheduler(0, SCHED_BATCH, &no_priority) != 0)
    spdlog::debug("threads wake up as usual: SCHED_BATCH is not allowed here");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"millraced: the Millrace integration broker"};
  millrace::daemon::BrokerOptions options;
  app.add_option("--config", options.config_directory, "Configuration directory")
      ->required()
      ->check(CLI::ExistingDirectory)
      ->envname("MILLRACE_CONFIG");
  app.add_option("--shards", options.shards, "Shards to run; 0: one a core")
      ->check(CLI::Range(0, 64));
  std::string level = "info";
  app.add_option("--log-level", level, "trace, debug, info, warn, error");
  CLI11_PARSE(app, argc, argv);

  const sigset_t signals = block_signals();
  harden_process();
  wake_up_in_turn();
  spdlog::set_level(spdlog::level::from_str(level));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  spdlog::flush_on(spdlog::level::info);

  millrace::ConnectorRegistry registry;
  millrace::register_all_connectors(registry);
  const auto report =
      millrace::config::load({.directory = options.config_directory,
                              .connectors = registry,
                              .environment = millrace::config::process_environment()});
  if (!report.problems.empty()) {
    std::cerr << millrace::config::render(report.problems);
  }
  if (!report.config) {
    std::cerr << "millraced: the configuration has errors; nothing was started\n";
    return kExitConfig;
  }
  auto broker = millrace::daemon::Broker::start(options, report.config, registry);
  if (!broker) {
    std::cerr << "millraced: " << broker.error().message << '\n';
    return kExitCannotRun;
  }
  for (;;) {
    int signal = 0;
    sigwait(&signals, &signal);
    if (signal == SIGHUP) {
      (*broker)->reload("SIGHUP");
      continue;
    }
    spdlog::info("stopping signal={}", signal == SIGTERM ? "SIGTERM" : "SIGINT");
    break;
  }
  (*broker)->stop(kDrainMax);
  return 0;
}
