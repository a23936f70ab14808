// Identifiers and the hashes behind them.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace millrace {

using Partition = std::uint16_t;
using Offset = std::uint64_t;

/// Fixed when a log is created; the same on files and on Kafka (semantics 1).
inline constexpr Partition kPartitionCount = 64;

/// Kafka's murmur2 (org.apache.kafka.common.utils.Utils.murmur2), so that any Kafka producer that
/// keys by record finds the same partition.
std::uint32_t murmur2(std::string_view bytes);
/// (murmur2(record) & 0x7fffffff) mod 64, as Kafka's default partitioner does.
Partition partition_of(std::string_view record);

/// A fast 64-bit hash for tables in memory; not stable across versions, never stored.
std::uint64_t hash64(std::string_view bytes);

/// The first 128 bits of SHA-256 over the parts, each preceded by its length, as 32 hex digits.
/// Stable for ever: event ids and idempotency keys are made of it.
std::string stable_hash(std::initializer_list<std::string_view> parts);
/// Whole SHA-256, 64 hex digits.
std::string sha256_hex(std::string_view bytes);

/// 16 random bytes from the kernel as a version 4 UUID, "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx".
std::string random_uuid();
/// Random bytes from the kernel, in hex (2 digits a byte).
std::string random_hex(std::size_t bytes);

/// Compares secrets in constant time for equal lengths.
bool equal_constant_time(std::string_view left, std::string_view right);

}  // namespace millrace
