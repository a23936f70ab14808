// How old what a topic holds for us gets, whatever it is that keeps us from taking it in: Kafka
// drops it at the end of the topic's retention.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "ingress/kafka_source.hpp"
#include "kafka/kafka_admin.hpp"
#include "net/callback.hpp"
#include "net/tasks.hpp"

namespace millrace::ingress {
namespace {

constexpr milliseconds kLookEvery{10'000};
constexpr milliseconds kLookLeast{1'000};
/// Within the retention of a topic, at least.
constexpr int kLooksMin = 20;

}  // namespace

Awaitable<void> KafkaSource::watch_age(std::shared_ptr<KafkaSource> self) {
  milliseconds every = kLookLeast;  // until there is a place to look at
  while (!self->stopping_) {
    co_await self->stopped_.wait_for(every);
    if (self->stopping_) break;
    if (self->progress_.offsets.empty()) continue;
    every = kLookEvery;
    auto aged = co_await self->ask_age();
    if (!aged) continue;  // that it cannot be asked is told where it is read
    if (aged->kept_for > milliseconds(0))
      every = std::clamp(aged->kept_for / kLooksMin, kLookLeast, kLookEvery);
    self->tell_age(*std::move(aged));
  }
  --self->running_;
}

// The records between where we are and the first that is younger than half of the retention.
Awaitable<Result<KafkaAged>> KafkaSource::ask_age() {
  const WallTime now = parts_.clocks.wall.wall_now();
  auto ask = [this, now, offsets = progress_.offsets]() -> Result<KafkaAged> {
    MILLRACE_TRY(kafka, admin());
    MILLRACE_TRY(topic, kafka->topic(options_.topic));
    if (!topic || !topic->retention) return KafkaAged{};
    KafkaAged aged{.kept_for = *topic->retention};
    MILLRACE_TRY(young,
                 kafka->offsets_at(options_.topic, topic->partitions, now - *topic->retention / 2));
    for (const auto& [partition, offset] : offsets) {
      const auto i = static_cast<std::size_t>(partition);
      if (i < young.size() && young[i] > offset)
        aged.records += static_cast<std::uint64_t>(young[i] - offset);
    }
    return aged;
  };
  auto aged = co_await offload(parts_.waiting.next(), home_, std::move(ask));
  co_return aged;
}

void KafkaSource::tell_age(KafkaAged aged) {
  const std::lock_guard lock(mutex_);
  const bool was = status_.aged.records > 0;
  if (aged.records > 0) {
    aged.since = was ? status_.aged.since : parts_.clocks.wall.wall_now();
    if (!was)
      spdlog::warn(
          "records wait for longer than half of their topic's retention connection={} topic={} "
          "records={} retention_s={}",
          options_.source.connection, options_.topic, aged.records,
          std::chrono::floor<std::chrono::seconds>(aged.kept_for).count());
  }
  status_.aged = std::move(aged);
}

}  // namespace millrace::ingress
