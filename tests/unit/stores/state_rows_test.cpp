#include "stores/state_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "counted_log.hpp"
#include "millrace/offsets.hpp"
#include "millrace/parking.hpp"

namespace millrace::stores {
namespace {

using test::CountedLog;
using testing::ElementsAre;
using testing::HasSubstr;

/// Rows in memory.
class Rows final : public StateReader {
 public:
  void put(Table table, std::string key, std::string value) {
    rows_[table][std::move(key)] = std::move(value);
  }
  Result<std::optional<std::string>> get(Table, std::string_view) override { std::abort(); }
  Result<std::vector<std::optional<std::string>>> get_many(Table,
                                                           std::span<const std::string>) override {
    std::abort();
  }
  Result<std::vector<Row>> scan(Table table, std::string_view prefix, std::string_view after,
                                std::size_t rows_max) override {
    std::vector<Row> found;
    for (const auto& [key, value] : rows_[table]) {
      if (key.starts_with(prefix) && key > after && found.size() < rows_max)
        found.push_back({key, value});
    }
    return found;
  }
  Result<std::uint64_t> count(Table, std::string_view) override { std::abort(); }

 private:
  std::map<Table, std::map<std::string, std::string>> rows_;
};

/// Partition 1 has, on files: order, parcel, order, parcel, order, order.
class StateRowsTest : public testing::Test {
 protected:
  StateRowsTest() {
    for (const char* topic : {"order", "parcel", "order", "parcel", "order", "order"}) {
      files_.add(Journal::events, topic, 1, "");
      kafka_.add(Journal::events, topic, 1, "");
    }
    for (CountedLog* log : {&files_, &kafka_}) {
      for (int i = 0; i < 6; ++i) log->add(Journal::inbox, "shop", 1, "");
    }
    life("to-mes", "order");
    life("to-wms", "parcel");
  }

  void life(const std::string& id, const std::string& entity) {
    state_.put(Table::routes, row_key("life", id),
               R"({"id":")" + id + R"(","entity":")" + entity + R"("})");
  }
  void cursor(const std::string& owner, const std::string& rest) {
    state_.put(Table::cursors, row_key(owner, "01"), R"({"log":"files","next":)" + rest + "}");
  }

  /// As they are for the other log: "owner" to the row's text.
  Result<std::map<std::string, std::string>> cursors_in(EventLog& from, EventLog& to) {
    Positions positions(from);
    StateRows rows(positions, from, {"order", "parcel"});
    MILLRACE_CHECK_OK(rows.read_routes(state_));
    const auto asked = rows.move_cursors(state_);
    if (!asked) return std::unexpected(asked.error());
    MILLRACE_CHECK_OK(positions.resolve(to));
    rows.set_target(to);
    MILLRACE_TRY(moved, rows.move_cursors(state_));
    std::map<std::string, std::string> found;
    for (const Row& row : moved) {
      const std::size_t end = row.key.find('\0');
      if (row.key.substr(end + 1) == "01") found[row.key.substr(0, end)] = row.value;
    }
    return found;
  }

  Result<Row> moved(Table table, const Row& row, EventLog& from, EventLog& to) {
    Positions positions(from);
    StateRows rows(positions, from, {"order", "parcel"});
    MILLRACE_CHECK_OK(rows.read_routes(state_));
    const auto asked = rows.move(table, row);
    if (!asked) return std::unexpected(asked.error());
    MILLRACE_CHECK_OK(positions.resolve(to));
    rows.set_target(to);
    return rows.move(table, row);
  }

  CountedLog files_{"files", CountedLog::Counts::together};
  CountedLog kafka_{"kafka", CountedLog::Counts::by_topic};
  Rows state_;
};

TEST_F(StateRowsTest, CursorsAndTheirWindowsGoToKafka) {
  cursor("inbox", "4");
  cursor("route/to-mes", R"(0,"settled":[[1,2]],"taken":5)");
  cursor("route/to-wms", R"(2,"settled":[[4,5]])");
  const auto moved = cursors_in(files_, kafka_);
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(R"({"log":"kafka","next":4,"settled":[]})", moved->at("inbox"));
  // Of 1 and 2 only 2 is an order, the second one.
  EXPECT_EQ(R"({"log":"kafka/order","next":0,"settled":[[1,1]],"taken":3})",
            moved->at("route/to-mes"));
  EXPECT_EQ(R"({"log":"kafka/parcel","next":1,"settled":[]})", moved->at("route/to-wms"));
}

TEST_F(StateRowsTest, WhoIsOnTheTailGetsARowOfItsOwn) {
  cursor("tail", "5");
  cursor("route/to-mes", R"(1,"settled":[],"taken":4,"tail":true)");
  cursor("route/to-wms", R"(1,"settled":[],"tail":true)");
  const auto moved = cursors_in(files_, kafka_);
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(R"({"log":"kafka/order","next":3,"settled":[]})", moved->at("route/to-mes"));
  EXPECT_EQ(R"({"log":"kafka/parcel","next":2,"settled":[]})", moved->at("route/to-wms"));
  EXPECT_FALSE(moved->contains("tail"));
}

TEST_F(StateRowsTest, ProjectionsGoOnWithTheFirstEventThatIsInNone) {
  cursor("projected", "3");
  const auto there = cursors_in(files_, kafka_);
  ASSERT_TRUE(there) << there.error().message;
  EXPECT_EQ(R"({"log":"kafka/order","next":2})", there->at("projected/order"));
  EXPECT_EQ(R"({"log":"kafka/parcel","next":1})", there->at("projected/parcel"));
  Rows state;
  std::swap(state, state_);
  cursor("projected/order", "4");   // all of them
  cursor("projected/parcel", "1");  // one is left
  auto back = cursors_in(kafka_, files_);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(R"({"log":"files","next":3})", back->at("projected"));
  cursor("projected/parcel", "2");
  back = cursors_in(kafka_, files_);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(R"({"log":"files","next":6})", back->at("projected"));
}

TEST_F(StateRowsTest, AnOwnerThatNobodyKnowsIsRefused) {
  cursor("flow/x", "3");
  const auto moved = cursors_in(files_, kafka_);
  ASSERT_FALSE(moved);
  EXPECT_THAT(moved.error().message, HasSubstr("flow/x"));
}

TEST_F(StateRowsTest, ParkedRowsKeepAllButTheirPlace) {
  ParkedRow row;
  row.stage = "deliver";
  row.owner = "to-mes";
  row.partition = 1;
  row.offset = 4;
  row.send = 2;
  row.state = ParkedState::dead;
  row.type = "order.changed";
  row.payload = Json(JsonObject{{"id", "x"}});
  const auto there = moved(Table::parked, {row.key(), encode(row)}, files_, kafka_);
  ASSERT_TRUE(there) << there.error().message;
  row.offset = 2;
  EXPECT_EQ(row.key(), there->key);
  EXPECT_EQ(encode(row), there->value);
  const auto back = moved(Table::parked, *there, kafka_, files_);
  row.offset = 4;
  EXPECT_EQ(row.key(), back->key);
}

TEST_F(StateRowsTest, TextsDrainsAndReplaysOfARouteMove) {
  PartitionOffsets five{};
  five[1] = 5;
  const std::string offsets = write_json(offsets_json(five));
  const Row row{row_key("life", "to-mes"),
                R"({"id":"to-mes","entity":"order","older":[{"text":"t","below":)" + offsets +
                    R"(}],"drain":{"until":)" + offsets + R"(},"replay":{"from":)" + offsets +
                    R"(,"until":)" + offsets + R"(,"live":)" + offsets + "}}"};
  const auto there = moved(Table::routes, row, files_, kafka_);
  ASSERT_TRUE(there) << there.error().message;
  const auto json = parse_json(there->value);
  ASSERT_TRUE(json);
  const Json& replay = *find(*json, "replay");
  EXPECT_EQ(3, offsets_of(find(*json, "older")->get_array()[0], "below").value()[1]);
  EXPECT_EQ(3, offsets_of(*find(*json, "drain"), "until").value()[1]);
  for (const char* place : {"from", "until", "live"}) {
    EXPECT_EQ(3, offsets_of(replay, place).value()[1]) << place;
  }
}

TEST_F(StateRowsTest, OtherRowsThatNamePositionsMove) {
  const auto delivered = moved(
      Table::routes, {row_key("delivered", "to-wms", "shop/7"), R"({"offset":0})"}, files_, kafka_);
  ASSERT_TRUE(delivered);
  EXPECT_EQ(R"({"offset":0})", delivered->value);
  kafka_.begin_at(Journal::inbox, 1, 10);
  const auto doorbell = moved(
      Table::doorbells, {"odoo", R"({"since":"x","partition":1,"offset":3})"}, files_, kafka_);
  ASSERT_TRUE(doorbell);
  EXPECT_EQ(R"({"since":"x","partition":1,"offset":13})", doorbell->value);
  const auto projection = moved(
      Table::projections,
      {"k", R"({"rev":"1","cause":"1:3","name":"N","data":",\"cause\":\"1:9\""})"}, files_, kafka_);
  ASSERT_TRUE(projection);
  EXPECT_EQ(R"({"rev":"1","cause":"1:13","name":"N","data":",\"cause\":\"1:9\""})",
            projection->value);
}

TEST(WithCause, ChangesTheMemberAndNothingElse) {
  const auto none = [](Partition, Offset) { return std::optional<Offset>(); };
  const auto next = [](Partition, Offset offset) { return std::optional(offset + 1); };
  const std::string event =
      R"({"id":"a","subject":",\"cause\":\"1:2","cause":"5:7","data":{"a":1,"cause":"1:2"}})";
  EXPECT_EQ(R"({"id":"a","subject":",\"cause\":\"1:2","cause":"5:8","data":{"a":1,"cause":"1:2"}})",
            with_cause(event, end_of_attributes(event), next));
  EXPECT_EQ(R"({"id":"a","subject":",\"cause\":\"1:2","data":{"a":1,"cause":"1:2"}})",
            with_cause(event, end_of_attributes(event), none));
  const std::string without = R"({"id":"a","data":{"a":1,"cause":"1:2"}})";
  EXPECT_EQ(without, with_cause(without, end_of_attributes(without), next));
}

}  // namespace
}  // namespace millrace::stores
