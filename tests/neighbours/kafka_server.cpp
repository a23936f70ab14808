#include "kafka_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "millrace/result.hpp"

extern char** environ;

namespace millrace {

namespace {

using namespace std::chrono_literals;

constexpr auto kStartMax = 120s;
constexpr int kNoKafka = 77;

/// Below the ephemeral range: no outgoing connection takes it while the server restarts.
int free_port() {
  static std::mt19937 random{std::random_device{}()};
  std::uniform_int_distribution<int> among(10'000, 30'000);
  while (true) {
    const int port = among(random);
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const bool free =
        ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    ::close(descriptor);
    if (free) return port;
  }
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

KafkaServer* KafkaServer::shared() {
  // It is never killed: a machine that stands still must not make it look dead.
  static KafkaServer server({"broker.session.timeout.ms=30000"});
  return server.is_there() ? &server : nullptr;
}

KafkaServer::KafkaServer(std::vector<std::string> properties) : properties_(std::move(properties)) {
  directory_ = (std::filesystem::temp_directory_path() / "millrace-kafka-XXXXXX").string();
  MILLRACE_INVARIANT(::mkdtemp(directory_.data()) != nullptr);
  for (int& port : ports_) port = free_port();
  start();
}

KafkaServer::~KafkaServer() {
  if (process_ > 0) kill9();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

bool KafkaServer::says_started() const {
  return text_of(file("server.log")).find("Kafka Server started") != std::string::npos;
}

void KafkaServer::start(bool wait) {
  std::vector<std::string> words = {std::string(MILLRACE_SOURCE_DIR) +
                                    "/tests/standin/kafka_server.sh"};
  words.push_back(directory_);
  for (const int port : ports_) words.push_back(std::to_string(port));
  words.insert(words.end(), properties_.begin(), properties_.end());
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::filesystem::remove(file("server.log"));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const std::string output = file("output.log");
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                   0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  const int failed =
      ::posix_spawn(&process_, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  MILLRACE_INVARIANT(failed == 0);
  const auto until = std::chrono::steady_clock::now() + kStartMax;
  while (wait && !says_started()) {
    int status = 0;
    const bool ended = ::waitpid(process_, &status, WNOHANG) == process_;
    if (ended) process_ = -1;
    if (ended && WIFEXITED(status) && WEXITSTATUS(status) == kNoKafka) {
      std::fputs(text_of(output).c_str(), stderr);
      return;
    }
    if (ended || std::chrono::steady_clock::now() > until)
      abort_with("Kafka did not start; nothing about it was tested:\n" + text_of(output) +
                 text_of(file("server.log")));
    ::poll(nullptr, 0, 20);
  }
}

void KafkaServer::signal(int number) const {
  // -1 would be every process there is.
  MILLRACE_INVARIANT(process_ > 0);
  ::kill(process_, number);
}

void KafkaServer::end(int number) {
  signal(number);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

void KafkaServer::kill9() {
  end(SIGKILL);
}

void KafkaServer::stop() {
  end(SIGTERM);
}

void KafkaServer::freeze() {
  signal(SIGSTOP);
}
void KafkaServer::thaw() {
  signal(SIGCONT);
}

KafkaSettings KafkaServer::settings() const {
  KafkaSettings settings;
  settings.brokers = fmt::format("127.0.0.1:{}", ports_[0]);
  settings.statistics_every = 200ms;
  return settings;
}

KafkaSettings KafkaServer::sasl(const std::string& user, const std::string& mechanism) const {
  KafkaSettings settings = this->settings();
  settings.brokers = fmt::format("127.0.0.1:{}", ports_[2]);
  settings.sasl_mechanism = mechanism;
  settings.sasl_user = user;
  settings.sasl_password = user + "-secret";
  return settings;
}

KafkaSettings KafkaServer::sasl_over_tls(const std::string& user) const {
  KafkaSettings settings = sasl(user);
  settings.brokers = fmt::format("127.0.0.1:{}", ports_[4]);
  settings.tls = true;
  settings.tls_ca = file("tls/ca.crt");
  return settings;
}

KafkaSettings KafkaServer::tls() const {
  KafkaSettings settings = this->settings();
  settings.brokers = fmt::format("127.0.0.1:{}", ports_[3]);
  settings.tls = true;
  settings.tls_ca = file("tls/ca.crt");
  settings.tls_cert = file("tls/client.crt");
  settings.tls_key = file("tls/client.key");
  return settings;
}

std::string KafkaServer::fresh_topic() {
  static std::atomic<int> number = 0;
  return fmt::format("topic-{}", ++number);
}

}  // namespace millrace
