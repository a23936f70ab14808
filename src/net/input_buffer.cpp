#include "net/input_buffer.hpp"

#include <cstring>

namespace millrace {
namespace {

/// At least so much is asked for at a time.
constexpr std::size_t kReadBytes = 4096;

}  // namespace

void InputBuffer::make_room() {
  const std::size_t held = end_ - begin_;
  if (size_ - held >= kReadBytes) {
    if (begin_ > 0) std::memmove(bytes_.get(), bytes_.get() + begin_, held);
  } else {
    size_ = held + kReadBytes;
    auto larger = std::make_unique_for_overwrite<char[]>(size_);  // zeroing it would cost more
    if (held > 0) std::memcpy(larger.get(), bytes_.get() + begin_, held);
    bytes_ = std::move(larger);
  }
  begin_ = 0;
  end_ = held;
}

Awaitable<IoResult> InputBuffer::fill(Stream& stream) {
  make_room();
  const IoResult got = co_await stream.read_some(bytes_.get() + end_, size_ - end_);
  end_ += got.bytes;
  co_return got;
}

}  // namespace millrace
