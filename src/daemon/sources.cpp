// Connections that are read back: their readers and collectors.
#include <fmt/format.h>

#include "daemon/broker.hpp"

namespace millrace::daemon {
namespace {

class NoDoorbells final : public canon::DoorbellSink {
 public:
  void ring(const canon::Doorbell&, Batch&) override {}
};

}  // namespace

std::unique_ptr<canon::DoorbellSink> Broker::make_doorbells(ShardUnit&) {
  return std::make_unique<NoDoorbells>();
}

void Broker::replace_doorbells(const config::ConfigPtr&) {}

Awaitable<Json> Broker::doorbell_status(Shard&) {
  co_return Json(JsonObject{{"waiting", 0}, {"oldest_at", nullptr}});
}

deliver::TargetStatus Broker::source_status(const std::string&) const {
  return {};
}

Awaitable<Result<Outcome>> Broker::check_source(std::string name, Shard&) {
  co_return fail(Errc::not_found, fmt::format("connection '{}' cannot be checked", name));
}

}  // namespace millrace::daemon
