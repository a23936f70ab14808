// How far routes have come, told to Kafka where the log is there: tools that show the lag of
// consumers see routes as groups (semantics 6). It is for people; nothing depends on it.
#include <spdlog/spdlog.h>

#include "daemon/broker.hpp"
#include "daemon/recovery.hpp"
#include "log/kafka_groups.hpp"
#include "stores/kafka_settings.hpp"

namespace millrace::daemon {
namespace {

constexpr milliseconds kPublishEvery{30'000};
constexpr int kAllEvery = 20;  // rounds: ten minutes
// A Kafka whose groups were never used refuses the first time.
constexpr int kFailuresBeforeTold = 2;
constexpr std::string_view kRoutePrefix = "route/";

}  // namespace

// On a reader thread.
Result<void> Broker::publish_cursors(log::KafkaGroups& groups) {
  MILLRACE_TRY(owners, read_owners(*state_, *log_));
  const auto running = running_routes();
  const PartitionSet mine = owned();
  for (const watch::OwnerOffsets& owner : owners) {
    if (stopping_) return {};
    if (!owner.owner.starts_with(kRoutePrefix)) continue;
    const auto found = running->routes.find(owner.owner.substr(kRoutePrefix.size()));
    if (found == running->routes.end()) continue;
    const std::string& name = found->second.route().name;
    if (running->find(name) != &found->second) continue;  // a removed one that drains beside it
    MILLRACE_CHECK_OK(groups.publish(name, owner.stream, only(mine, owner.next)));
  }
  return {};
}

void Broker::start_publishing() {
  if (!config_->installation.kafka_log) return;
  if (!kafka_waiting_) kafka_waiting_ = std::make_unique<ReaderPool>(1, "kafka");
  shards_->at(0).spawn("published cursors", watch_published());
}

Awaitable<void> Broker::watch_published() {
  const config::ConfigPtr running = config();
  const auto groups = std::make_shared<log::KafkaGroups>(
      stores::kafka_settings(running->installation), running->installation.kafka_log->prefix);
  int failures = 0;  // one after another
  for (int round = 1;; ++round) {
    if (round % kAllEvery == 0) groups->forget();
    auto publish = [this, groups] { return publish_cursors(*groups); };
    auto published = co_await offload(kafka_waiting_->next(), shards_->at(0), std::move(publish));
    failures = published ? 0 : failures + 1;
    if (failures == kFailuresBeforeTold) {
      spdlog::warn("lag tools of Kafka do not see how far routes have come error={}",
                   published.error().message);
    }
    co_await sleep_for(kPublishEvery);
  }
}

}  // namespace millrace::daemon
