#include "state/key_filter.hpp"

#include <algorithm>
#include <functional>

namespace millrace {
namespace {

constexpr std::size_t kFirstKeys = 32'768;
constexpr std::size_t kBlockBits = 512;
// About one wrong "perhaps" in 150 for each layer.
constexpr std::size_t kBitsPerKey = 12;
constexpr int kProbes = 7;
constexpr int kProbeBits = 9;  // one of 512
static_assert(std::size_t{1} << kProbeBits == kBlockBits && kProbes * kProbeBits <= 64);

struct Hashed {
  std::uint64_t place;  ///< which block, of however many
  std::uint64_t bits;   ///< nine for each probe
};

Hashed hashed(std::string_view key) {
  const std::uint64_t place = std::hash<std::string_view>{}(key);
  // A second opinion out of the first: the finalizer of MurmurHash3.
  std::uint64_t bits = place;
  bits = (bits ^ bits >> 33) * 0xff51afd7ed558ccd;
  bits = (bits ^ bits >> 33) * 0xc4ceb9fe1a85ec53;
  return {place, bits ^ bits >> 33};
}

std::size_t block_of(const Hashed& key, std::size_t blocks) {
  return static_cast<std::size_t>(static_cast<unsigned __int128>(key.place) * blocks >> 64);
}

std::uint64_t bit_of(const Hashed& key, int probe) {
  return key.bits >> (kProbeBits * probe) & (kBlockBits - 1);
}

template <typename Block>
bool holds(const Block& block, const Hashed& key) {
  for (int probe = 0; probe < kProbes; ++probe) {
    const std::uint64_t bit = bit_of(key, probe);
    if ((block[bit / 64] >> bit % 64 & 1) == 0) return false;
  }
  return true;
}

template <typename Layers>
bool any_holds(const Layers& layers, const Hashed& key) {
  return std::ranges::any_of(layers, [&](const auto& layer) {
    return holds(layer.blocks[block_of(key, layer.blocks.size())], key);
  });
}

}  // namespace

void KeyFilter::grow() {
  const std::size_t keys = std::max(kFirstKeys, size_);
  layers_.push_back({std::vector<Block>(keys * kBitsPerKey / kBlockBits), keys});
}

void KeyFilter::add(std::string_view key) {
  const Hashed hash = hashed(key);
  if (any_holds(layers_, hash)) return;  // updates of one record take no room
  if (layers_.empty() || layers_.back().room == 0) grow();
  Layer& layer = layers_.back();
  Block& block = layer.blocks[block_of(hash, layer.blocks.size())];
  for (int probe = 0; probe < kProbes; ++probe) {
    const std::uint64_t bit = bit_of(hash, probe);
    block[bit / 64] |= std::uint64_t{1} << bit % 64;
  }
  --layer.room;
  ++size_;
}

bool KeyFilter::may_hold(std::string_view key) const {
  return any_holds(layers_, hashed(key));
}

std::size_t KeyFilter::bytes() const {
  std::size_t total = 0;
  for (const Layer& layer : layers_) total += layer.blocks.size() * sizeof(Block);
  return total;
}

}  // namespace millrace
