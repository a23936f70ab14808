#include "postgresql_server.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string_view>

extern char** environ;

namespace millrace {

namespace {

using namespace std::chrono_literals;

constexpr auto kStartMax = 60s;

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

int listen_on_free_port(int& port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto address = loopback(0);
  socklen_t size = sizeof(address);
  MILLRACE_INVARIANT(::bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) == 0);
  MILLRACE_INVARIANT(::listen(descriptor, 64) == 0);
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return descriptor;
}

int connect_to(int port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto address = loopback(port);
  if (::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0)
    return descriptor;
  ::close(descriptor);
  return -1;
}

}  // namespace

PostgresServer& PostgresServer::shared() {
  static PostgresServer server;
  return server;
}

PostgresServer::PostgresServer(std::vector<std::string> options) : options_(std::move(options)) {
  ::close(listen_on_free_port(port_));
  ::chmod(directory_.file("").c_str(), 0755);
  start();
}

PostgresServer::~PostgresServer() {
  if (process_ > 0) kill9();
}

void PostgresServer::start(bool wait) {
  std::vector<std::string> words = {
      std::string(MILLRACE_SOURCE_DIR) + "/tests/standin/postgresql_server.sh",
      directory_.file("postgresql"), std::to_string(port_)};
  words.insert(words.end(), options_.begin(), options_.end());
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const std::string log = directory_.file("server.log");
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  const int failed =
      ::posix_spawn(&process_, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  MILLRACE_INVARIANT(failed == 0);
  const auto until = std::chrono::steady_clock::now() + kStartMax;
  SocketLoop loop;
  while (wait) {
    if (PostgresConnection::open(loop, conninfo(), "test", until)) return;
    int status = 0;
    // After a kill -9 the old processes may still be on their way out.
    if (::waitpid(process_, &status, WNOHANG) == process_) {
      process_ = -1;
      if (WIFEXITED(status) && WEXITSTATUS(status) == 1) return start(wait);
    }
    if (process_ < 0 || std::chrono::steady_clock::now() > until) {
      std::ifstream file(log);
      std::ostringstream text;
      text << file.rdbuf();
      abort_with("PostgreSQL did not start; nothing about it was tested:\n" + text.str());
    }
    loop.wait(false, std::chrono::steady_clock::now() + 50ms);
  }
}

void PostgresServer::kill9() {
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

void PostgresServer::stop() {
  ::kill(process_, SIGINT);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

void PostgresServer::signal_all(int number) const {
  ::kill(process_, number);
  DIR* processes = ::opendir("/proc");
  while (const dirent* entry = ::readdir(processes)) {
    std::ifstream file(fmt::format("/proc/{}/stat", entry->d_name));
    std::string line;
    if (!std::getline(file, line)) continue;
    std::istringstream rest(line.substr(line.rfind(')') + 1));
    std::string state;
    pid_t parent = 0;
    rest >> state >> parent;
    if (parent == process_) ::kill(std::stoi(entry->d_name), number);
  }
  ::closedir(processes);
}

void PostgresServer::freeze() {
  signal_all(SIGSTOP);
}
void PostgresServer::thaw() {
  signal_all(SIGCONT);
}

std::string PostgresServer::conninfo(const std::string& user, const std::string& database) const {
  return fmt::format("host={} port={} user='{}' dbname={}", directory_.file("postgresql"), port_,
                     user, database);
}

std::string PostgresServer::sql(const std::vector<std::string>& statements,
                                const std::string& database) {
  SocketLoop loop;
  const auto until = std::chrono::steady_clock::now() + kStartMax;
  auto connection = PostgresConnection::open(loop, conninfo("postgres", database), "test", until);
  if (!connection) return "error: " + connection.error().message;
  std::string answer;
  for (const auto& text : statements) {
    auto rows = (*connection)->run({text, {}}, until);
    if (!rows) return "error: " + rows.error().message;
    answer = rows->size() > 0 ? std::string(rows->bytes(0, 0)) : std::string();
  }
  return answer;
}

std::string PostgresServer::fresh_schema() {
  static std::atomic<int> number = 0;
  return fmt::format("state {}", ++number);
}

PostgresStateOptions PostgresServer::state_options(const std::string& schema) const {
  PostgresStateOptions options;
  options.conninfo = conninfo();
  options.schema = schema;
  options.name = "test";
  options.on_fatal = [](const Error& error) { abort_with(error.message, error.where); };
  return options;
}

CuttingProxy::CuttingProxy(int server_port)
    : server_port_(server_port), listener_(listen_on_free_port(port_)) {
  thread_ = std::thread([this] { accept_all(); });
}

CuttingProxy::~CuttingProxy() {
  stopping_.store(true);
  thread_.join();
  for (auto& carrier : carriers_) carrier.join();
  ::close(listener_);
}

void CuttingProxy::accept_all() {
  while (!stopping_.load()) {
    pollfd wait{listener_, POLLIN, 0};
    if (::poll(&wait, 1, 50) <= 0) continue;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    if (refusing_.load()) {
      ::close(client);
      continue;
    }
    carriers_.emplace_back([this, client] { carry(client); });
  }
}

bool CuttingProxy::to_server(int from, int to, Cut& cut) {
  std::array<char, 65536> bytes{};
  const ssize_t size = ::recv(from, bytes.data(), bytes.size(), 0);
  if (size <= 0) return false;
  const std::string_view text(bytes.data(), static_cast<std::size_t>(size));
  const auto at = text.find("COMMIT");
  if (at != std::string_view::npos && cut == Cut::nothing) cut = cut_.exchange(Cut::nothing);
  if (cut == Cut::before_commit) {
    // The first half of the message: the server waits for the rest, and then sees the end.
    ::send(to, bytes.data(), at - 2, MSG_NOSIGNAL);
    return false;
  }
  if (cut == Cut::hold) {
    ::send(to, bytes.data(), at - 2, MSG_NOSIGNAL);
    hold(to, text.substr(at - 2));
    cut = Cut::nothing;
    return true;
  }
  ::send(to, bytes.data(), text.size(), MSG_NOSIGNAL);
  return cut != Cut::during_commit;
}

void CuttingProxy::hold(int to, std::string_view rest) {
  cuts_.fetch_add(1);
  while (held_.load() && !stopping_.load()) ::poll(nullptr, 0, 5);
  ::send(to, rest.data(), rest.size(), MSG_NOSIGNAL);
}

void CuttingProxy::carry(int client) {
  const int server = connect_to(server_port_);
  Cut cut = Cut::nothing;
  while (!stopping_.load() && server >= 0) {
    std::array<pollfd, 2> wait{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
    if (::poll(wait.data(), 2, 50) < 0) break;
    if (wait[0].revents != 0 && !to_server(client, server, cut)) break;
    if (wait[1].revents == 0) continue;
    std::array<char, 65536> bytes{};
    const ssize_t size = ::recv(server, bytes.data(), bytes.size(), 0);
    // Its answer to the COMMIT is what gets lost.
    if (size <= 0 || cut == Cut::after_commit) break;
    ::send(client, bytes.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL);
  }
  if (cut != Cut::nothing) cuts_.fetch_add(1);
  ::close(client);
  if (server >= 0) ::close(server);
}

}  // namespace millrace
