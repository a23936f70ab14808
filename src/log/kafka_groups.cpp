#include "log/kafka_groups.hpp"

#include <vector>

#include "log/kafka_log.hpp"

namespace millrace::log {
namespace {

constexpr milliseconds kAnswerWithin{5'000};

}  // namespace

Result<void> KafkaGroups::publish(const std::string& reader, const LogStream& stream,
                                  const PartitionOffsets& next) {
  PartitionOffsets none;
  none.fill(kSkipPartition);
  PartitionOffsets& written = written_.try_emplace(reader, none).first->second;
  PartitionOffsets now = written;
  std::vector<KafkaOffset> changed;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (next[p] == kSkipPartition || next[p] == written[p]) continue;
    now[p] = next[p];
    changed.push_back({p, static_cast<std::int64_t>(next[p])});
  }
  if (changed.empty()) return {};
  if (!admin_) {
    MILLRACE_TRY(admin, KafkaAdmin::open(settings_, kAnswerWithin));
    admin_ = std::move(admin);
  }
  MILLRACE_CHECK_OK(
      admin_->publish_offsets(prefix_ + "." + reader, kafka_topic_of(prefix_, stream), changed));
  written = now;
  return {};
}

}  // namespace millrace::log
