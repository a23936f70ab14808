#include "lane_world.hpp"

namespace millrace::deliver::test {
namespace {

Awaitable<void> run(std::shared_ptr<Lane> lane, std::promise<Result<void>>* outcome) {
  auto result = co_await lane->start();
  lane->thaw();
  outcome->set_value(std::move(result));
}

Awaitable<void> run_decide(std::shared_ptr<Lane> lane, std::string key, Decision decision,
                           std::shared_ptr<std::promise<Result<Json>>> outcome) {
  auto result = co_await lane->decide(std::move(key), std::move(decision));
  outcome->set_value(std::move(result));
}

}  // namespace

LaneWorld::LaneWorld() {
  config_ = std::make_shared<config::Config>();
  config::Connection mes;
  mes.name = mes.system = "mes";
  mes.idempotent = true;
  config_->connections["mes"] = mes;
  config::Route route;
  route.name = "r";
  route.entity = "order";
  route.to = "mes";
  config::RouteRequest request;
  request.event = "changed";
  request.method = "POST";
  request.path.text = "/orders";
  request.path.literals = {"/orders"};
  route.requests.push_back(request);
  config_->routes["r"] = route;
  connect();
  shard_.start();
}

void LaneWorld::connect() {
  auto sink = std::make_unique<HeldSink>(shard_);
  sink_ = sink.get();
  sink_->at_once = [this](const Delivery& delivery) -> std::optional<Outcome> {
    for (const auto& id : {delivery.event_id, std::string()}) {
      if (const auto found = at_once_.find(id); found != at_once_.end()) return found->second;
    }
    return std::nullopt;
  };
  target_ = std::make_shared<Target>(shard_, config_->connections["mes"], std::move(sink), clock_);
}

LaneWorld::~LaneWorld() {
  state_.hold(false);
  if (lane_) {
    on_shard([this] {
      lane_->stop();
      lane_->retire();
      return 0;
    });
  }
  target_->stop();
  shard_.stop(milliseconds(2000));
  lane_.reset();
}

Event LaneWorld::event(std::string id, std::string record) const {
  Event whole;
  whole.id = std::move(id);
  whole.source = "/test/shop";
  whole.entity = "order";
  whole.type = "order.changed";
  whole.record = std::move(record);
  whole.subject = "S1";
  whole.time = clock_.wall_now();
  whole.types = {"order.changed"};
  whole.data = JsonObject{{"number", "S1"}};
  return whole;
}

void LaneWorld::append(std::string id, std::string record) {
  const auto batch = log_.add({{.partition = 0,
                                .topic = "order",
                                .payload = encode(event(std::move(id), std::move(record)))}});
  on_shard([&] {
    tail_.dispatch(batch);
    return 0;
  });
}

ParkedRow LaneWorld::parked_row(std::string id) {
  const Event whole = event(std::move(id));
  ParkedRow row;
  row.stage = "deliver";
  row.owner = "r";
  row.record = whole.record;
  row.offset = 3;
  row.type = whole.type;
  row.request_name = "changed";
  row.since = row.next_at = clock_.wall_now();
  row.attempts = 3;
  row.payload = *parse_json(encode(whole));
  return row;
}

void LaneWorld::set_row(const std::string& key, const std::string& value) {
  Batch batch;
  batch.put(Table::parked, key, value);
  state_.commit(std::move(batch), Urgency::now, shard_, [](Result<void>) {});
}

std::optional<ParkedRow> LaneWorld::stored(const std::string& key) {
  const auto text = *state_.get(Table::parked, key);
  return text ? std::optional(*decode_parked_row(*text)) : std::nullopt;
}

void LaneWorld::start() {
  LaneContext context{.shard = shard_,
                      .log = log_,
                      .state = state_,
                      .readers = readers_,
                      .clock = clock_,
                      .trail = trail_,
                      .dispatcher = tail_,
                      .stream_id = "log",
                      .installation_uuid = "installation",
                      .shard_count = shards_,
                      .together = together_,
                      .reference_bound = [](const std::string&) {},
                      .announced = [] {}};
  LaneStart start;
  start.text = {config_, &config_->routes.find("r")->second};
  start.target = target_;
  for (Partition p = 0; p < kPartitionCount; ++p) start.progress[p] = route::Progress(0);
  std::promise<Result<void>> outcome;
  lane_ = on_shard([&] { return std::make_shared<Lane>(std::move(context), std::move(start)); });
  shard_.spawn("start", run(lane_, &outcome));
  ASSERT_TRUE(outcome.get_future().get().has_value());
}

void LaneWorld::answer_at_once(const std::string& event, Outcome outcome) {
  on_shard([&] {
    at_once_[event] = std::move(outcome);
    return 0;
  });
}

std::vector<ParkedRow> LaneWorld::rows(ParkedState state) {
  std::vector<ParkedRow> found;
  const auto stored = state_.scan(Table::parked, "", "", ~std::size_t{0});
  for (const Row& one : *stored) {
    ParkedRow row = *decode_parked_row(one.value);
    if (row.state == state) found.push_back(std::move(row));
  }
  return found;
}

void LaneWorld::until(const std::function<bool()>& holds, const char* what) {
  for (int look = 0; look < 20'000; ++look) {
    if (on_shard(holds)) return;
    std::this_thread::sleep_for(milliseconds(1));
  }
  FAIL() << "it never came about: " << what;
}

void LaneWorld::until_on_wire(const std::string& event) {
  until([&] { return sink_->has(event); }, "it is on the wire");
}

void LaneWorld::answer(const std::string& event, Outcome outcome) {
  on_shard([&] {
    sink_->answers = std::move(outcome);
    sink_->answer(event);
    return 0;
  });
  until([&] { return !sink_->has(event); }, "it is answered");
}

std::future<Result<Json>> LaneWorld::decide(const std::string& key, Decision decision) {
  auto outcome = std::make_shared<std::promise<Result<Json>>>();
  auto future = outcome->get_future();
  shard_.spawn("decide", run_decide(lane_, key, std::move(decision), outcome));
  return future;
}

}  // namespace millrace::deliver::test
