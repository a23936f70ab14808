// A set of partitions: which of them an instance, or one of its shards, works on.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "millrace/ids.hpp"

namespace millrace {

class PartitionSet {
 public:
  constexpr PartitionSet() = default;
  static constexpr PartitionSet all() { return PartitionSet(~std::uint64_t{0}); }
  static constexpr PartitionSet of_bits(std::uint64_t bits) { return PartitionSet(bits); }
  /// Those that lie on one shard of so many.
  static constexpr PartitionSet of_shard(std::size_t index, std::size_t count) {
    PartitionSet set;
    for (std::size_t p = index; p < kPartitionCount; p += count)
      set.insert(static_cast<Partition>(p));
    return set;
  }

  constexpr bool contains(Partition partition) const { return (bits_ >> partition & 1) != 0; }
  constexpr void insert(Partition partition) { bits_ |= std::uint64_t{1} << partition; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr std::size_t size() const { return static_cast<std::size_t>(std::popcount(bits_)); }
  constexpr std::uint64_t bits() const { return bits_; }

  friend constexpr PartitionSet operator|(PartitionSet a, PartitionSet b) {
    return PartitionSet(a.bits_ | b.bits_);
  }
  friend constexpr PartitionSet operator&(PartitionSet a, PartitionSet b) {
    return PartitionSet(a.bits_ & b.bits_);
  }
  friend constexpr PartitionSet operator-(PartitionSet a, PartitionSet b) {
    return PartitionSet(a.bits_ & ~b.bits_);
  }
  friend constexpr bool operator==(PartitionSet, PartitionSet) = default;

 private:
  static_assert(kPartitionCount == 64);
  explicit constexpr PartitionSet(std::uint64_t bits) : bits_(bits) {}
  std::uint64_t bits_ = 0;
};

}  // namespace millrace
