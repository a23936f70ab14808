// A real PostgreSQL for tests (tests/standin/postgresql_server.sh), and a proxy that loses what the
// two sides say to each other.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "state/postgresql_state.hpp"
#include "storage/postgresql_connection.hpp"
#include "temporary_directory.hpp"

namespace millrace {

class PostgresServer {
 public:
  /// Started once per test program, without fsync; tests that end or stop a server use their own.
  static PostgresServer& shared();

  /// `options`: arguments of postgres. Aborts when there is no PostgreSQL 15 on this machine: a
  /// test that quietly did nothing would say that all is well.
  explicit PostgresServer(std::vector<std::string> options = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  void start(bool wait = true);
  void kill9();
  /// Ends every session and shuts down in order.
  void stop();
  /// SIGSTOP and SIGCONT to every process of the server: its sockets stay open and say nothing.
  void freeze();
  void thaw();

  int port() const { return port_; }
  std::string conninfo(const std::string& user = "postgres",
                       const std::string& database = "postgres") const;
  /// Runs each statement as the superuser; the last one's first column, as text.
  std::string sql(const std::vector<std::string>& statements,
                  const std::string& database = "postgres");
  /// A schema name that no test had before.
  static std::string fresh_schema();
  PostgresStateOptions state_options(const std::string& schema) const;

 private:
  void signal_all(int number) const;
  std::vector<std::string> options_;
  TemporaryDirectory directory_;
  int port_;
  pid_t process_ = -1;
};

/// Stands between a client and the server, one thread a connection.
class CuttingProxy {
 public:
  enum class Cut {
    nothing,
    before_commit,  ///< the server never sees the COMMIT: the connection ends just before
    after_commit,   ///< the server commits, the client never hears of it
    during_commit,  ///< the client is cut off as soon as the server has the COMMIT
    hold,           ///< nothing passes from just before the COMMIT on, until let_go()
  };

  explicit CuttingProxy(int server_port);
  ~CuttingProxy();
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  int port() const { return port_; }
  /// Cuts the next connection that says COMMIT; once.
  void cut_next(Cut cut) { cut_.store(cut); }
  int cuts() const { return cuts_.load(); }
  /// As of a client that was frozen: what it said meanwhile reaches the server now.
  void let_go() { held_.store(false); }
  /// New connections are closed at once while it is on.
  void refuse(bool on) { refusing_.store(on); }

 private:
  void accept_all();
  void carry(int client);
  bool to_server(int from, int to, Cut& cut);
  void hold(int to, std::string_view rest);

  int server_port_;
  int port_ = 0;  // before what sets it
  int listener_;
  std::atomic<Cut> cut_{Cut::nothing};
  std::atomic<int> cuts_{0};
  std::atomic<bool> held_{true};
  std::atomic<bool> refusing_{false};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
  std::vector<std::thread> carriers_;
};

}  // namespace millrace
