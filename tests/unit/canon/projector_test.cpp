// What is said, and when nothing is.
#include "canon/projector.hpp"

#include <gmock/gmock.h>

#include "canon_world.hpp"

namespace millrace::canon::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;
using Kind = ProjectResult::Kind;

class ProjectorTest : public CanonWorld {
 protected:
  /// A reading of order 7.
  SourceChange read(const char* state) {
    SourceChange change;
    change.entity = &config_->entities.find("order")->second;
    change.source = &change.entity->from.front();
    change.record = "erp/sale.order/7";
    change.value = JsonObject{{"name", "S7"}, {"state", state}, {"unread", next_++}};
    return change;
  }
  SourceChange read_of(int id, const char* state) {
    SourceChange change = read(state);
    change.record = "erp/sale.order/" + std::to_string(id);
    return change;
  }
  static std::string key_of(int id) {
    return row_key(std::string("order"), "erp/sale.order/" + std::to_string(id));
  }
  Kind say(SourceChange change) {
    std::vector<SourceChange> changes;
    changes.push_back(std::move(change));
    return project(std::move(changes)).front().kind;
  }
  Kind say(const char* state) { return say(read(state)); }
  static Json parcel(int weight, int version) {
    return JsonObject{{"code", "P1"}, {"weight", weight}, {"version", version}};
  }

  std::int64_t next_ = 0;
};

TEST_F(ProjectorTest, SaysThreeThingsWithRisingRevisionsForABA) {
  start();
  EXPECT_EQ(say("a"), Kind::emitted);
  EXPECT_EQ(say("b"), Kind::emitted);
  EXPECT_EQ(say("a"), Kind::emitted);
  const auto events = whole_events();
  ASSERT_THAT(events, SizeIs(3));
  EXPECT_LT(events[0].rev, events[1].rev);
  EXPECT_LT(events[1].rev, events[2].rev);
  EXPECT_NE(events[0].id, events[2].id);
  EXPECT_TRUE(equal_json(events[0].data, events[2].data));
  EXPECT_EQ(events[0].subject, "S7");
}

TEST_F(ProjectorTest, SaysNothingWhenTheDataIsEqual) {
  start();
  say("a");
  EXPECT_EQ(say("a"), Kind::unchanged);
  EXPECT_THAT(events(), SizeIs(1));
}

TEST_F(ProjectorTest, SaysNothingAgainAfterARestart) {
  start();
  say("a");
  crash();
  start();
  EXPECT_EQ(say("a"), Kind::unchanged);
  EXPECT_EQ(say("b"), Kind::emitted);
  EXPECT_THAT(event_types(), ElementsAre("order.created", "order.changed"));
}

TEST_F(ProjectorTest, LooksUpOnlyWhatMayBeThere) {
  start();
  say(read_of(7, "a"));
  say(read_of(9, "a"));
  crash();
  start();
  state().say_absent({key_of(6), key_of(8), key_of(10)});
  std::vector<SourceChange> changes;
  for (int id = 10; id >= 6; --id) changes.push_back(read_of(id, "b"));
  project(std::move(changes));
  EXPECT_THAT(state().take_read(), UnorderedElementsAre(key_of(7), key_of(9)));
  EXPECT_THAT(event_types(),
              ElementsAre("order.created", "order.created", "order.created", "order.changed",
                          "order.created", "order.changed", "order.created"));
  state().say_absent({key_of(11)});
  EXPECT_EQ(say(read_of(11, "a")), Kind::emitted);
  EXPECT_THAT(state().take_read(), IsEmpty());
  state().say_absent({});
  EXPECT_EQ(say(read_of(12, "a")), Kind::emitted);
  EXPECT_THAT(state().take_read(), ElementsAre(key_of(12)));
}

TEST_F(ProjectorTest, ASilentFirstSightIsStoredAndTheNextChangeSpeaks) {
  start();
  SourceChange first = read("a");
  first.silent = true;
  EXPECT_EQ(say(std::move(first)), Kind::baselined);
  EXPECT_THAT(events(), IsEmpty());
  SourceChange second = read("b");
  second.silent = true;
  EXPECT_EQ(say(std::move(second)), Kind::emitted);
  EXPECT_THAT(event_types(), ElementsAre("order.changed"));
}

TEST_F(ProjectorTest, DropsAPayloadThatIsOlderThanWhatWasApplied) {
  start();
  post_payload("P1", parcel(10, 2));
  post_payload("P1", parcel(11, 1));
  EXPECT_THAT(events(), ElementsAre(R"(parcel.changed P1 {"code":"P1","weight":10})"));
  post_payload("P1", parcel(12, 3));
  EXPECT_THAT(events(), SizeIs(2));
}

TEST_F(ProjectorTest, DropsAPayloadThatIsAlreadyReflected) {
  start();
  SourceChange change;
  change.entity = &config_->entities.find("parcel")->second;
  change.source = &change.entity->from.front();
  change.record = "shop/P1";
  change.payload = true;
  change.cause_partition = partition_of(change.record);
  change.cause_offset = 5;
  change.value = parcel(10, 1);
  EXPECT_EQ(say(change), Kind::emitted);
  change.value = parcel(11, 2);
  EXPECT_EQ(say(change), Kind::repeated) << "the same offset again, after a crash";
  change.cause_offset = 4;
  EXPECT_EQ(say(change), Kind::repeated);
  change.cause_offset = 6;
  EXPECT_EQ(say(change), Kind::emitted);
}

TEST_F(ProjectorTest, ThreePayloadsWhoseCommitIsLostInACrashAreSaidOnce) {
  config_->connections["shop"].version.reset();
  start();
  post_payload("P1", parcel(9, 0));
  state().lose_commits();
  for (const int weight : {1, 2, 1}) send_payloads("P1", {parcel(weight, 0)});
  await([this] { return events().size() == 4; });
  crash();
  start();
  EXPECT_EQ(projection("parcel", "shop/P1").data, R"({"code":"P1","weight":1})");
  post_payload("P1", parcel(2, 0));
  EXPECT_THAT(events(), ElementsAre(R"(parcel.changed P1 {"code":"P1","weight":9})",
                                    R"(parcel.changed P1 {"code":"P1","weight":1})",
                                    R"(parcel.changed P1 {"code":"P1","weight":2})",
                                    R"(parcel.changed P1 {"code":"P1","weight":1})",
                                    R"(parcel.changed P1 {"code":"P1","weight":2})"));
}

TEST_F(ProjectorTest, WhileTheStateIsFullNothingMoreIsProjectedAndThenEverythingOnce) {
  start();
  source_.put("sale.order", 7, {{"name", "S7"}, {"state", "draft"}}, "2026-01-01 00:00:01",
              "2026-01-01 00:00:01");
  state().refuse_commits(true);
  send_payloads("P1", {parcel(1, 1)});
  await([this] { return state().refused() > 0; });
  send_doorbell(7, "check", clock_.wall_now());
  std::vector<Json> more;
  for (int i = 2; i <= 1000; ++i) more.push_back(parcel(i, i));
  send_payloads("P1", more);
  // It is tried again and again, and only that.
  await([this] { return state().refused() > 2; });
  EXPECT_THAT(events(), SizeIs(1));
  state().refuse_commits(false);
  settle();
  std::vector<std::string> wanted;
  for (int i = 1; i <= 1000; ++i) {
    wanted.push_back(R"(parcel.changed P1 {"code":"P1","weight":)" + std::to_string(i) + "}");
  }
  auto said = events();
  EXPECT_EQ(std::erase(said, R"(order.created 7 {"name":"S7","state":"draft"})"), 1u);
  EXPECT_EQ(said, wanted);
}

TEST_F(ProjectorTest, AMapThatFailsIsAResultAndHoldsUpWhatFollowsOfItsRecord) {
  config_->entities.find("parcel")->second.from.front().map =
      program(R"(if .weight < 0 then error("no weight") else {code, weight} end)", {"now"});
  start();
  post_payload("P1", parcel(-1, 1));
  post_payload("P1", parcel(5, 2));
  post_payload("P2", parcel(6, 1));
  EXPECT_THAT(events(), ElementsAre(R"(parcel.changed P2 {"code":"P1","weight":6})"));
  ASSERT_THAT(parked(), SizeIs(2));
  EXPECT_EQ(parked()[0].state, ParkedState::needs_decision);
  EXPECT_THAT(parked()[0].reason, testing::HasSubstr("no weight"));
  EXPECT_EQ(parked()[1].state, ParkedState::behind);
}

TEST_F(ProjectorTest, DataThatDoesNotFitTheSchemaIsNotSaid) {
  auto schema = parse_json(R"({"type": "object", "properties": {"state": {"enum": ["a", "b"]}}})");
  config_->entities.find("order")->second.schema = *schema;
  start();
  EXPECT_EQ(say("a"), Kind::emitted);
  std::vector<SourceChange> odd;
  odd.push_back(read("odd"));
  const auto results = project(std::move(odd));
  ASSERT_EQ(results.front().kind, Kind::failed);
  EXPECT_EQ(results.front().error->code, Errc::schema_violation);
  EXPECT_THAT(events(), SizeIs(1));
  EXPECT_EQ(projection("order", "erp/sale.order/7").data, R"({"name":"S7","state":"a"})");
}

TEST_F(ProjectorTest, LeavingTheFilterSaysDeletedWithTheLastDataAndEnteringItIsNews) {
  order_source(*config_).only = program(R"(.state != "draft")");
  start();
  EXPECT_EQ(say("draft"), Kind::filtered);
  EXPECT_THAT(events(), IsEmpty());
  EXPECT_EQ(say("sale"), Kind::emitted);
  EXPECT_EQ(say("draft"), Kind::emitted);
  EXPECT_EQ(say("draft"), Kind::filtered);
  EXPECT_EQ(say("sale"), Kind::emitted);
  EXPECT_THAT(events(), ElementsAre(R"(order.created 7 {"name":"S7","state":"sale"})",
                                    R"(order.deleted 7 {"name":"S7","state":"sale"})",
                                    R"(order.created 7 {"name":"S7","state":"sale"})"));
}

TEST_F(ProjectorTest, ADeleteIsSaidOnceAndOnlyOfWhatIsKnown) {
  start();
  SourceChange gone = read("a");
  gone.gone = true;
  EXPECT_EQ(say(gone), Kind::unchanged);
  say("a");
  EXPECT_EQ(say(gone), Kind::emitted);
  EXPECT_EQ(say(gone), Kind::unchanged);
  EXPECT_THAT(event_types(), ElementsAre("order.created", "order.deleted"));
}

TEST_F(ProjectorTest, NamesEveryTypeOfAChangeInEachOfItsEvents) {
  auto& order = config_->entities.find("order")->second;
  order.events.push_back({"confirmed", program(R"(.state == "sale")", {"before"})});
  start();
  say("sale");
  for (const Event& event : whole_events()) {
    EXPECT_THAT(event.types, ElementsAre("order.created", "order.confirmed"));
    EXPECT_EQ(event.rev, whole_events().front().rev);
  }
  EXPECT_THAT(event_types(), ElementsAre("order.created", "order.confirmed"));
}

}  // namespace
}  // namespace millrace::canon::test
