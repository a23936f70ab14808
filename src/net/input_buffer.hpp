// What a peer sent and nobody used yet. For src/net alone.
#pragma once

#include <memory>
#include <string_view>

#include "net/stream.hpp"

namespace millrace {

class InputBuffer {
 public:
  std::string_view unread() const { return {bytes_.get() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  void consume(std::size_t bytes) {
    begin_ += bytes;
    if (begin_ == end_) begin_ = end_ = 0;
  }

  /// Reads some bytes behind what is there; views of `unread` are void afterwards.
  Awaitable<IoResult> fill(Stream& stream);

 private:
  void make_room();

  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace millrace
