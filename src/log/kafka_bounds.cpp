#include "log/kafka_bounds.hpp"

#include <chrono>
#include <thread>
#include <utility>

namespace millrace::log {
namespace {

constexpr milliseconds kLeaderPause{50};

PartitionOffsets offsets_of(const std::vector<std::int64_t>& given) {
  PartitionOffsets offsets{};
  for (Partition p = 0; p < kPartitionCount; ++p) offsets[p] = static_cast<Offset>(given.at(p));
  return offsets;
}

}  // namespace

Result<void> KafkaBounds::look(KafkaAdmin& admin, const LogStream& stream, const std::string& topic,
                               milliseconds within) {
  const auto until = std::chrono::steady_clock::now() + within;
  for (;;) {
    const auto begins = admin.begins(topic, kPartitionCount);
    auto ends = begins ? admin.ends(topic, kPartitionCount) : begins;
    if (ends) {
      const std::lock_guard lock(mutex_);
      Bounds& known = bounds_[stream];
      known.begins = offsets_of(*begins);
      const PartitionOffsets told = offsets_of(*ends);
      // What was acknowledged since it was asked for counts.
      for (Partition p = 0; p < kPartitionCount; ++p) {
        known.ends[p] = std::max(known.ends[p], told[p]);
      }
      return {};
    }
    // Partitions of a new topic, or of a cluster that starts, have no leader for a moment.
    if (ends.error().code != Errc::peer_unavailable || std::chrono::steady_clock::now() > until) {
      return std::unexpected(std::move(ends).error());
    }
    std::this_thread::sleep_for(kLeaderPause);
  }
}

}  // namespace millrace::log
