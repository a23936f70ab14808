// Which keys were added, roughly, in about two bytes each: of one that was, always "perhaps"; of
// one that was not, nearly always "no". A Bloom filter of 512-bit blocks that grows by layers, each
// as large as all before it, because nobody says beforehand how many keys there will be.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace millrace {

class KeyFilter {
 public:
  void add(std::string_view key);
  /// False: it was never added.
  bool may_hold(std::string_view key) const;
  /// Keys that it was not already taken to hold.
  std::size_t size() const { return size_; }
  std::size_t bytes() const;

 private:
  using Block = std::array<std::uint64_t, 8>;
  struct Layer {
    std::vector<Block> blocks;
    std::size_t room = 0;  ///< keys that it still takes
  };
  void grow();

  std::vector<Layer> layers_;
  std::size_t size_ = 0;
};

}  // namespace millrace
