// File descriptors that close themselves, and loopback sockets as both ends of the bench use them.
#pragma once

#include <cstdint>
#include <utility>

namespace w1 {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~FileDescriptor() { close(); }

  int get() const { return number_; }
  bool open() const { return number_ >= 0; }
  void close();

 private:
  int number_ = -1;
};

/// Connected to 127.0.0.1:port, not blocking, without Nagle's delay; closed when nobody listens.
FileDescriptor connect_loopback(std::uint16_t port);
/// Listens on 127.0.0.1:port; throws std::system_error when the port is taken.
FileDescriptor listen_loopback(std::uint16_t port);
/// The next waiting connection; closed when there is none.
FileDescriptor accept_one(const FileDescriptor& listener);
/// Calls epoll_ctl(ADD) for readability; `tag` comes back with each event.
void watch(const FileDescriptor& epoll, const FileDescriptor& socket, std::uint32_t tag);
FileDescriptor make_epoll();

}  // namespace w1
