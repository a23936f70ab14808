// Real sockets on the loopback for the tests of src/net: a raw client that sends any bytes, a raw
// server that plays a script, and a way to run a client's send from the test's thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "millrace/http.hpp"
#include "net/shard.hpp"

namespace millrace::testing_net {

/// A blocking connection; every read ends after 10 s.
class RawConnection {
 public:
  explicit RawConnection(std::uint16_t port);
  explicit RawConnection(int descriptor);
  static RawConnection unconnected();
  ~RawConnection();
  bool connect(std::uint16_t port);
  RawConnection(RawConnection&& other) noexcept;
  RawConnection& operator=(RawConnection&&) = delete;

  bool send(std::string_view bytes);
  void finish_sending();
  /// Everything until the peer closes; `timed_out` when it does not.
  std::string read_to_end();
  /// Reads until `text` was seen (or the end); returns all that was read by this call.
  std::string read_until(std::string_view text);
  bool timed_out() const { return timed_out_; }
  /// Closes with a reset instead of an orderly end.
  void reset();
  int descriptor() const { return descriptor_; }

 private:
  std::size_t read_some(char* data, std::size_t size);
  int descriptor_;
  bool timed_out_ = false;
};

/// Accepts connections one after another and hands each to the script with its number, from 0.
class ScriptedServer {
 public:
  using Script = std::function<void(RawConnection& connection, int number)>;
  explicit ScriptedServer(Script script);
  ~ScriptedServer();
  std::uint16_t port() const { return port_; }
  int accepted() const { return accepted_; }

 private:
  void run();
  Script script_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> accepted_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

/// A directory of its own, removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  std::string path(std::string_view name) const;

 private:
  std::string path_;
};

/// Runs one send on the shard and waits for its answer.
Result<HttpResponse> send(Shard& shard, HttpClient& client, HttpRequest request,
                          milliseconds timeout = milliseconds(10'000));
/// Runs `task` on the shard to its end.
void run(Shard& shard, Awaitable<void> task);

}  // namespace millrace::testing_net
