// A real Kafka for tests (tests/standin/kafka_server.sh): one node, started by the test program.
#pragma once

#include <sys/types.h>

#include <array>
#include <string>
#include <vector>

#include "kafka/kafka_settings.hpp"

namespace millrace {

class KafkaServer {
 public:
  /// Started once per test program; tests that end or stop a server use their own. Null, with a
  /// line on stderr, where there is no Java or no way to Maven Central: such tests skip.
  static KafkaServer* shared();

  /// `properties`: lines of server.properties. Starts; see is_there().
  explicit KafkaServer(std::vector<std::string> properties = {});
  ~KafkaServer();
  KafkaServer(const KafkaServer&) = delete;
  KafkaServer& operator=(const KafkaServer&) = delete;

  /// False when there is no Kafka on this machine. One that does not start aborts.
  bool is_there() const { return process_ > 0; }

  /// On the same data.
  void start(bool wait = true);
  void kill9();
  /// In order, which takes about 2 s.
  void stop();
  /// SIGSTOP and SIGCONT: its sockets stay open and say nothing.
  void freeze();
  void thaw();

  /// The listener without a check, as a superuser.
  KafkaSettings settings() const;
  /// alice / alice-secret may do everything, bob / bob-secret nothing.
  KafkaSettings sasl(const std::string& user, const std::string& mechanism = "SCRAM-SHA-512") const;
  KafkaSettings sasl_over_tls(const std::string& user) const;
  /// With the client's certificate.
  KafkaSettings tls() const;
  int port() const { return ports_[0]; }
  /// A topic name that no test had before.
  static std::string fresh_topic();

 private:
  std::string file(const std::string& name) const { return directory_ + "/" + name; }
  bool says_started() const;
  void signal(int number) const;
  void end(int number);

  std::vector<std::string> properties_;
  std::string directory_;
  std::array<int, 5> ports_{};
  pid_t process_ = -1;
};

}  // namespace millrace
