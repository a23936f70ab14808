// The connectors over real sockets, against the stand-ins.
#include "standin.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "connectors/all_connectors.hpp"

namespace millrace {
namespace {

using State = ReadRecord::State;
using test::Standin;

FieldPlan plan(std::vector<std::string> names) {
  FieldPlan made;
  for (auto& name : names) made.fields.push_back({std::move(name), {}});
  return made;
}

const ConnectorType& type(std::string_view name) {
  static const auto registry = [] {
    ConnectorRegistry made;
    register_all_connectors(made);
    return made;
  }();
  return *registry.find(name);
}

class OdooStandinTest : public testing::Test {
 protected:
  OdooStandinTest() { connect(); }
  ~OdooStandinTest() override { odoo_.end(std::move(reader_)); }
  void connect(std::string_view key = "broker-key") {
    odoo_.end(std::move(reader_));
    const auto options = type("odoo").spec().parse_yaml(
        fmt::format("{{ database: test, login: broker, api_key: {} }}", key));
    reader_ = type("odoo").make_reader(options.value(), odoo_.context({{1, "lyon"}})).value();
  }
  Result<std::vector<ReadRecord>> read(std::string model, std::vector<std::int64_t> ids,
                                       FieldPlan fields) {
    return odoo_.on_shard(reader_->read({std::move(model), std::move(ids), std::move(fields)}));
  }
  std::int64_t partner(std::string_view name) {
    return odoo_
        .control("create", fmt::format(R"("model":"res.partner","values":{{"name":"{}"}})", name))
        .at("result")
        .as_int64();
  }
  std::int64_t calls(const char* name) {
    const Json counts = odoo_.control("counts");
    const Json* one = find(counts.at("counts"), name);
    return one != nullptr ? int_or(*one, "calls", 0) : 0;
  }

  Standin odoo_{"odoo_standin.py"};
  std::unique_ptr<RecordReader> reader_;
};

TEST_F(OdooStandinTest, ReadsAnOrderWithItsLinesAndTheirProducts) {
  odoo_.control("do", R"("operations":[
      ["create","res.partner",{"name":"Möbel GmbH","ref":"C1"}],
      ["create","product.product",{"name":"Table","default_code":"T1"}],
      ["create","sale.order",{"partner_id":"$0","order_line":[[0,0,
        {"product_id":"$1","product_uom_qty":3,"price_unit":120,"name":"Table"}]]}]])");
  FieldPlan line = plan({"product_uom_qty", "display_type"});
  line.fields.push_back({"product_uom", plan({"name"})});
  line.fields.push_back({"product_id", plan({"default_code", "type"})});
  FieldPlan order = plan({"name", "state", "company_id", "amount_total", "client_order_ref"});
  order.fields.push_back({"partner_id", plan({"ref", "name"})});
  order.fields.push_back({"order_line", line});
  const auto read_back = read("sale.order", {1}, order);
  ASSERT_TRUE(read_back) << read_back.error().message;
  EXPECT_EQ(write_json(read_back->front().value),
            R"({"id":1,"name":"S00001","state":"draft","company_id":1,"amount_total":360.0,)"
            R"("client_order_ref":null,"partner_id":{"id":1,"ref":"C1","name":"Möbel GmbH"},)"
            R"("order_line":[{"id":1,"product_uom_qty":3.0,"display_type":null,)"
            R"("product_uom":{"id":1,"name":"Units"},)"
            R"("product_id":{"id":1,"default_code":"T1","type":"consu"}}]})");
  EXPECT_EQ(read_back->front().write_date.size(), 19U);
}

TEST_F(OdooStandinTest, TakesAnEmptyTextForNull) {
  odoo_.control("create", R"("model":"res.partner","values":{"name":"a","ref":""})");
  const auto read_back = read("res.partner", {1}, plan({"ref"}));
  ASSERT_TRUE(read_back) << read_back.error().message;
  EXPECT_EQ(write_json(read_back->front().value), R"({"id":1,"ref":null})");
}

TEST_F(OdooStandinTest, BlamesTheConfigurationForALanguageThatIsNotActive) {
  partner("a");
  connect("broker-key, language: fr_FR");
  const auto read_back = read("res.partner", {1}, plan({"name"}));
  ASSERT_FALSE(read_back);
  EXPECT_EQ(read_back.error().code, Errc::config) << read_back.error().message;
  const auto checked = odoo_.on_shard(reader_->check());
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().message.find("language"), std::string::npos);
}

TEST_F(OdooStandinTest, TellsFoundAbsentHiddenAndFailedApart) {
  for (const auto* name : {"a", "b", "c", "d"}) partner(name);
  odoo_.control("forbid", R"("model":"res.partner","ids":[2])");
  odoo_.control("poison", R"("model":"res.partner","ids":[3])");
  const auto read_back = read("res.partner", {1, 2, 3, 4, 99}, plan({"name"}));
  ASSERT_TRUE(read_back) << read_back.error().message;
  std::vector<State> states;
  for (const auto& record : *read_back) states.push_back(record.state);
  EXPECT_EQ(states, (std::vector<State>{State::found, State::hidden, State::failed, State::found,
                                        State::absent}));
}

TEST_F(OdooStandinTest, DoesNotSeeATransactionBeforeItsCommit) {
  const auto tx = odoo_.control("begin").at("tx").as_int64();
  odoo_.control("create",
                fmt::format(R"("tx":{},"model":"res.partner","values":{{"name":"late"}})", tx));
  EXPECT_EQ(read("res.partner", {1}, plan({"name"})).value().front().state, State::absent);
  odoo_.control("commit", fmt::format(R"("tx":{})", tx));
  EXPECT_EQ(read("res.partner", {1}, plan({"name"})).value().front().state, State::found);
}

TEST_F(OdooStandinTest, ListsInPagesAndByTouchedParent) {
  odoo_.control("seed", R"("model":"sale.order","count":2500,"lines":1)");
  std::vector<ListedRecord> all;
  for (std::int64_t after = 0;;) {
    const auto page = odoo_.on_shard(reader_->list({"sale.order", JsonArray{}, "", after, 1000}));
    ASSERT_TRUE(page) << page.error().message;
    all.insert(all.end(), page->begin(), page->end());
    if (page->size() < 1000) break;
    after = page->back().id;
  }
  EXPECT_EQ(all.size(), 2500U);
  odoo_.control("write",
                R"("model":"sale.order.line","ids":[7,2400],"values":{"product_uom_qty":9})");
  JsonArray changed;
  changed.emplace_back(JsonArray{"product_uom_qty", "=", 9});
  const auto touched =
      odoo_.on_shard(reader_->list({"sale.order.line", changed, "order_id", 0, 1000}));
  ASSERT_TRUE(touched) << touched.error().message;
  ASSERT_EQ(touched->size(), 2U);
  EXPECT_EQ((*touched)[0].id, 7);
  EXPECT_EQ((*touched)[1].id, 2400);
  EXPECT_GT((*touched)[0].write_date, all.back().write_date);
}

TEST_F(OdooStandinTest, ListsEveryTouchedParentOnceAcrossPages) {
  odoo_.control("seed", R"("model":"sale.order","count":700,"lines":2)");
  odoo_.control("do", R"("operations":[["create","sale.order",{}]])");
  std::string rows;
  for (int line = 0; line < 1200; ++line) {
    rows += fmt::format(R"({}{{"order_id":701,"write_date":"2030-01-01 00:{:02}:{:02}.5"}})",
                        line == 0 ? "" : ",", line / 60, line % 60);
  }
  odoo_.control("insert", fmt::format(R"("model":"sale.order.line","rows":[{}])", rows));
  const auto touched =
      odoo_.on_shard(reader_->list({"sale.order.line", JsonArray{}, "order_id", 0, 1000}));
  ASSERT_TRUE(touched) << touched.error().message;
  ASSERT_EQ(touched->size(), 701U);
  for (std::size_t at = 0; at < touched->size(); ++at) {
    EXPECT_EQ((*touched)[at].id, static_cast<std::int64_t>(at + 1));
  }
  EXPECT_EQ(touched->back().write_date, "2030-01-01 00:19:59");
}

TEST_F(OdooStandinTest, KnowsTheDatabasesClock) {
  odoo_.control("clock", R"("offset_seconds":-86400)");
  const auto time = odoo_.on_shard(reader_->server_time());
  ASSERT_TRUE(time) << time.error().message;
  const std::string now(odoo_.control("ping").at("now").as_string());
  EXPECT_LE(*time, now);
  EXPECT_EQ(time->substr(0, 10), now.substr(0, 10));
}

TEST_F(OdooStandinTest, ReportsWhatIsWrongWithTheWholeOdoo) {
  partner("a");
  const auto fault = [&](std::string_view members) {
    odoo_.control("faults_clear");
    odoo_.control("fault", members);
    const auto read_back = read("res.partner", {1}, plan({"name"}));
    return read_back ? Errc::internal : read_back.error().code;
  };
  ASSERT_TRUE(read("res.partner", {1}, plan({"name"})));
  EXPECT_EQ(fault(R"("mode":"html","status":200)"), Errc::protocol);
  EXPECT_EQ(fault(R"("mode":"html","status":502)"), Errc::peer_unavailable);
  EXPECT_EQ(fault(R"("mode":"redirect")"), Errc::protocol);
  EXPECT_EQ(fault(R"("mode":"no_result")"), Errc::protocol);
  EXPECT_EQ(fault(R"("mode":"malformed")"), Errc::protocol);
  EXPECT_EQ(fault(R"("mode":"serialization")"), Errc::peer_unavailable);
  EXPECT_EQ(fault(R"("mode":"database_down")"), Errc::peer_unavailable);
  EXPECT_EQ(fault(R"("mode":"access_denied")"), Errc::peer_auth);
  EXPECT_EQ(fault(R"("mode":"close")"), Errc::unanswered);
  EXPECT_EQ(fault(R"("mode":"close_midway")"), Errc::unanswered);
  EXPECT_EQ(fault(R"("mode":"oversized","bytes":100000000)"), Errc::too_large);
  odoo_.control("faults_clear");
  odoo_.control("down");
  EXPECT_EQ(read("res.partner", {1}, plan({"name"})).error().code, Errc::not_connected);
  odoo_.control("up");
  EXPECT_TRUE(read("res.partner", {1}, plan({"name"})));
}

TEST_F(OdooStandinTest, ReadsTwoHundredOrdersWithLinesAndUnitsInBatches) {
  odoo_.control("do", R"("operations":[["create","product.product",{"name":"Table"}]])");
  odoo_.control("seed", R"("model":"sale.order","count":200,"lines":3)");
  ASSERT_TRUE(read("sale.order", {1}, plan({"name"})));
  FieldPlan line = plan({"product_uom_qty"});
  line.fields.push_back({"product_uom", plan({"name"})});
  FieldPlan order = plan({"name"});
  order.fields.push_back({"order_line", line});
  ASSERT_TRUE(read("sale.order", {1}, order));
  odoo_.control("reset_log");
  std::vector<std::int64_t> ids;
  for (std::int64_t id = 1; id <= 200; ++id) ids.push_back(id);
  const auto read_back = read("sale.order", ids, order);
  ASSERT_TRUE(read_back) << read_back.error().message;
  EXPECT_EQ((*read_back)[199].value.at("order_line").as_array().size(), 3U);
  EXPECT_EQ(calls("sale.order.read"), 2);
  EXPECT_EQ(calls("sale.order.line.read"),
            6);  // 600 lines, and once more as parents of their units
  EXPECT_EQ(calls("uom.uom.read"), 1);
}

TEST_F(OdooStandinTest, ChecksTheLogin) {
  EXPECT_EQ(odoo_.on_shard(reader_->check()).value(), "Odoo 18.0-20250421, user 2");
  connect("wrong-key");
  EXPECT_EQ(odoo_.on_shard(reader_->check()).error().code, Errc::peer_auth);
}

class TargetStandinTest : public testing::Test {
 protected:
  TargetStandinTest() {
    const auto options = type("http").spec().parse_yaml("auth: { bearer: token }");
    sink_ = type("http").make_sink(options.value(), target_.context()).value();
  }
  ~TargetStandinTest() override { target_.end(std::move(sink_)); }
  Outcome deliver(std::string key = "k1") {
    Delivery delivery;
    delivery.request = {"POST", "/orders", {}, R"({"a":1})"};
    delivery.idempotency_key = std::move(key);
    return target_.on_shard(sink_->deliver(std::move(delivery)));
  }

  Standin target_{"target_standin.py"};
  std::unique_ptr<Sink> sink_;
};

TEST_F(TargetStandinTest, DeliversOnceWhereTheKeyIsHonoured) {
  target_.control("idempotent");
  const Outcome first = deliver();
  EXPECT_EQ(first.kind, Outcome::Kind::delivered);
  EXPECT_EQ(deliver().answer->body, first.answer->body);
  EXPECT_EQ(target_.control("effects").at("count"), Json(1));
}

TEST_F(TargetStandinTest, JudgesWhatTheTargetDoes) {
  using Kind = Outcome::Kind;
  const auto outcome = [&](std::string_view fault) {
    target_.control("faults_clear");
    target_.control("fault", fault);
    return deliver();
  };
  EXPECT_EQ(outcome(R"("mode":"status","status":422)").kind, Kind::rejected);
  EXPECT_EQ(outcome(R"("mode":"status","status":401)").scope, Outcome::Scope::target);
  EXPECT_EQ(outcome(R"("mode":"status","status":503,"headers":{"Retry-After":"7"})").retry_after,
            seconds(7));
  EXPECT_EQ(outcome(R"("mode":"close")").kind, Kind::unknown);
  EXPECT_EQ(outcome(R"("mode":"close_midway")").kind, Kind::unknown);
  EXPECT_EQ(outcome(R"("mode":"oversized")").kind, Kind::unknown);
  EXPECT_EQ(outcome(R"("mode":"endless")").kind, Kind::unknown);
  target_.control("faults_clear");
  target_.control("down");
  const Outcome down = deliver();
  EXPECT_EQ(down.kind, Kind::again);
  EXPECT_EQ(down.scope, Outcome::Scope::target);
  EXPECT_EQ(target_.on_shard(sink_->check()).kind, Kind::again);
  target_.control("up");
  EXPECT_EQ(target_.on_shard(sink_->check()).kind, Kind::delivered);
}

}  // namespace
}  // namespace millrace
