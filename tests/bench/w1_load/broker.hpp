// The system under test as a child process: started, killed, restarted and measured from outside.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace w1 {

struct BrokerPlan {
  std::vector<std::string> command;
  std::string data_directory;    ///< wiped by start_fresh
  std::string log_file;          ///< its standard output and error
  std::uint16_t port = 0;        ///< the data plane
  std::uint16_t admin_port = 0;  ///< 0: there is no /readyz to ask
};

/// CPU time and memory of the broker, and how busy the machine was.
struct Usage {
  double cpu_seconds = 0;
  double rss_mb = 0;
  double machine_busy_seconds = 0;  ///< all cores, all processes
  double own_seconds = 0;           ///< this process
  double at_seconds = 0;
};

/// Failures throw std::runtime_error: a bench cannot go on without its broker.
class Broker {
 public:
  explicit Broker(BrokerPlan plan);
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  /// Stops what runs, empties the data directory, starts and waits until ready.
  std::chrono::milliseconds start_fresh();
  /// Starts on the data that is there and waits until ready; returns how long that took.
  std::chrono::milliseconds start();
  void kill();
  /// SIGTERM, and SIGKILL when that is not obeyed within 15 s.
  void stop();
  Usage usage() const;

 private:
  void spawn();
  bool exited();
  bool answers_ready() const;
  void wait_ready();

  BrokerPlan plan_;
  pid_t pid_ = 0;
};

}  // namespace w1
