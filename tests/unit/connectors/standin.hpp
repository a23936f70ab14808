// The stand-ins of tests/standin as child processes, and the connectors' own HTTP client to them.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "millrace/connector.hpp"
#include "net/egress.hpp"
#include "net/shard.hpp"

namespace millrace::test {

/// One stand-in; it ends with this object.
class Standin {
 public:
  /// `script` is a file of tests/standin.
  explicit Standin(const std::string& script);
  ~Standin();
  Standin(const Standin&) = delete;
  Standin& operator=(const Standin&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  /// A control command: `members` is JSON without the outer braces.
  Json control(std::string_view command, std::string_view members = "");

  /// Runs on the shard, with real sockets, and waits for the end.
  template <typename T>
  T on_shard(Awaitable<T> task) {
    std::optional<T> out;
    wait(store(std::move(task), &out));
    return *std::move(out);
  }
  /// Ends what lives on the shard there.
  template <typename T>
  void end(std::unique_ptr<T> object) {
    wait(destroy(std::move(object)));
  }
  ConnectionContext context(std::vector<std::pair<std::int64_t, std::string>> companies = {});

 private:
  template <typename T>
  static Awaitable<void> store(Awaitable<T> task, std::optional<T>* out) {
    *out = co_await std::move(task);
  }
  template <typename T>
  static Awaitable<void> destroy(std::unique_ptr<T> object) {
    object.reset();
    co_return;
  }
  void wait(Awaitable<void> task);

  pid_t process_ = -1;
  int input_ = -1;
  std::uint16_t port_ = 0;
  std::uint16_t control_port_ = 0;
  std::unique_ptr<EgressGate> gate_;
  Shard shard_{"test"};
  std::unique_ptr<HttpClient> control_;
};

}  // namespace millrace::test
