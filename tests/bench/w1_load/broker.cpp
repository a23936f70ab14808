#include "broker.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "http_message.hpp"
#include "ledger.hpp"
#include "socket.hpp"

namespace w1 {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kReadyWithin{60'000};
constexpr milliseconds kStopWithin{15'000};
constexpr milliseconds kPoll{2};

double seconds_per_tick() {
  return 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

/// user + system time of a process, from /proc; 0 when it is gone.
double cpu_seconds_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  std::getline(file, line);
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(line.substr(name_end + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) * seconds_per_tick();
}

double rss_mb_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/smaps_rollup", pid));
  std::string word;
  double kilobytes = 0;
  while (file >> word) {
    if (word == "Rss:") {
      file >> kilobytes;
      break;
    }
  }
  return kilobytes / 1000;
}

double machine_busy_seconds() {
  std::ifstream file("/proc/stat");
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, softirq = 0;
  file >> name >> user >> nice >> system >> idle >> waiting >> irq >> softirq;
  return (user + nice + system + irq + softirq) * seconds_per_tick();
}

bool wait_readable(const FileDescriptor& socket, milliseconds within) {
  pollfd watched{socket.get(), POLLIN, 0};
  return poll(&watched, 1, static_cast<int>(within.count())) > 0;
}

}  // namespace

Broker::Broker(BrokerPlan plan) : plan_(std::move(plan)) {
  if (connect_loopback(plan_.port).open()) {
    throw std::runtime_error(fmt::format("port {} is already taken", plan_.port));
  }
}

Broker::~Broker() {
  stop();
}

milliseconds Broker::start_fresh() {
  stop();
  std::filesystem::remove_all(plan_.data_directory);
  std::filesystem::create_directories(plan_.data_directory);
  return start();
}

milliseconds Broker::start() {
  const auto begin = std::chrono::steady_clock::now();
  spawn();
  wait_ready();
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
}

void Broker::spawn() {
  std::vector<char*> arguments;
  for (std::string& part : plan_.command) arguments.push_back(part.data());
  arguments.push_back(nullptr);
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ > 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int log = open(plan_.log_file.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

bool Broker::exited() {
  int status = 0;
  if (pid_ == 0 || waitpid(pid_, &status, WNOHANG) != pid_) return pid_ == 0;
  pid_ = 0;
  return true;
}

bool Broker::answers_ready() const {
  if (plan_.admin_port == 0) return connect_loopback(plan_.port).open();
  const FileDescriptor socket = connect_loopback(plan_.admin_port);
  if (!socket.open()) return false;
  const std::string request =
      "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
  if (write(socket.get(), request.data(), request.size()) < 0) return false;
  std::string input;
  char buffer[4096];
  while (wait_readable(socket, milliseconds(1000))) {
    const ssize_t got = read(socket.get(), buffer, sizeof buffer);
    if (got <= 0) return false;
    input.append(buffer, static_cast<std::size_t>(got));
    const HttpMessage answer = read_http_message(input, Side::answer);
    if (answer.state == HttpMessage::State::complete) {
      return answer.status == 200 && connect_loopback(plan_.port).open();
    }
  }
  return false;
}

void Broker::wait_ready() {
  const auto deadline = std::chrono::steady_clock::now() + kReadyWithin;
  while (!answers_ready()) {
    if (exited()) {
      throw std::runtime_error(
          fmt::format("{} ended while starting; see {}", plan_.command[0], plan_.log_file));
    }
    if (std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error(fmt::format("{} was not ready within {} s; see {}", plan_.command[0],
                                           kReadyWithin.count() / 1000, plan_.log_file));
    }
    std::this_thread::sleep_for(kPoll);
  }
}

void Broker::kill() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void Broker::stop() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + kStopWithin;
  while (!exited()) {
    if (std::chrono::steady_clock::now() > deadline) return kill();
    std::this_thread::sleep_for(kPoll);
  }
}

Usage Broker::usage() const {
  rusage own{};
  getrusage(RUSAGE_SELF, &own);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  Usage usage;
  usage.cpu_seconds = cpu_seconds_of(pid_);
  usage.rss_mb = rss_mb_of(pid_);
  usage.machine_busy_seconds = machine_busy_seconds();
  usage.own_seconds = seconds(own.ru_utime) + seconds(own.ru_stime);
  usage.at_seconds = static_cast<double>(now_ns()) / 1e9;
  return usage;
}

}  // namespace w1
