#include "log/kafka_reigns.hpp"

#include <spdlog/spdlog.h>

#include <utility>

namespace millrace::log {

void KafkaReigns::set(TopicReigns reigns) {
  const std::lock_guard lock(mutex_);
  reigns_ = std::move(reigns);
}

bool KafkaReigns::counts(const LogStream& stream, Partition partition, Offset offset,
                         std::string_view owner) {
  if (owner.empty()) return true;
  const std::lock_guard lock(mutex_);
  const auto found = reigns_.find(stream.topic);
  if (found == reigns_.end()) return true;
  if (millrace::counts(found->second.at(partition), offset, owner)) return true;
  Offset& counted_below = counted_below_[stream].at(partition);
  if (offset < counted_below) return false;
  counted_below = offset + 1;
  ++passed_over_;
  if (told_.size() >= kToldMax || !told_.emplace(owner).second) return false;
  spdlog::warn(
      "events of an instance that no longer had their partition came late, they are passed over "
      "topic={} partition={} offset={} owner={}",
      stream.topic, partition, offset, owner);
  return false;
}

std::uint64_t KafkaReigns::passed_over() const {
  const std::lock_guard lock(mutex_);
  return passed_over_;
}

}  // namespace millrace::log
