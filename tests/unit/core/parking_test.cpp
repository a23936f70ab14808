#include "millrace/parking.hpp"

#include <gtest/gtest.h>

namespace millrace {
namespace {

ParkedRow sample() {
  ParkedRow row;
  row.stage = "deliver";
  row.owner = "order-to-mes";
  row.record = "odoo/sale.order/55";
  row.partition = 12;
  row.offset = 345;
  row.state = ParkedState::unknown;
  row.reason = "sent, and no answer came";
  row.since = row.next_at = *parse_rfc3339("2026-11-21T22:05:48.5Z");
  row.payload = *parse_json(R"({"id":"1","rev":"4294967297"})");
  row.rendered = true;
  row.request = {"POST", "/work-orders", {{"x-a", "1"}}, R"({"a":3.0})"};
  row.answer_status = 500;
  row.answer_body = "no";
  return row;
}

TEST(ParkedRow, SurvivesTheStore) {
  const auto again = decode_parked_row(encode(sample()));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(encode(*again), encode(sample()));
  EXPECT_EQ(again->request.body, sample().request.body);
  EXPECT_EQ(revision_of(again->payload), 4294967297u);
}

TEST(ParkedRow, EveryMemberSurvivesTheStore) {
  ParkedRow row = sample();
  row.send = 3;
  row.type = "order.changed";
  row.subject = "S\"1\"\n\u00e9";
  row.cause = "again 503";
  row.waits_for = "partner/mes/7";
  row.unanswered = row.new_key = true;
  row.replay = 4;
  row.attempts = 5;
  row.spent = milliseconds(1234);
  row.request_name = "changed";
  row.request.headers = {{"x-a", "1"}, {"x-b", "[\"]"}};
  const auto again = decode_parked_row(encode(row));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(encode(*again), encode(row));
  EXPECT_EQ(again->subject, row.subject);
  EXPECT_EQ(again->waits_for, row.waits_for);
  EXPECT_TRUE(again->unanswered && again->new_key);
  EXPECT_EQ(again->replay, 4u);
  EXPECT_EQ(again->attempts, 5);
  EXPECT_EQ(again->spent, milliseconds(1234));
  EXPECT_EQ(again->request.headers, row.request.headers);

  row.rendered = false;
  row.answer_status = 0;
  const auto bare = decode_parked_row(encode(row));
  ASSERT_TRUE(bare) << bare.error().message;
  EXPECT_FALSE(bare->rendered);
  EXPECT_EQ(bare->answer_status, 0);
}

TEST(ParkedRow, ItsIdGivesItsKey) {
  ParkedRow row = sample();
  EXPECT_EQ(row.id(), "order-to-mes:12:345");
  EXPECT_EQ(*parse_parked_id(row.id()), row.key());
  row.send = 2;
  EXPECT_EQ(*parse_parked_id(row.id()), row.key());
  row.stage = "project";
  row.owner = "sales_order";
  EXPECT_EQ(*parse_parked_id(row.id()), row.key());
  EXPECT_TRUE(row.key().starts_with(parked_prefix("project.sales_order", 12)));
  for (const char* bad : {"", "a", "a:1", "a:x:1", "a:1:2:3:4", "a:99:1", "a:1:2:300"}) {
    EXPECT_FALSE(parse_parked_id(bad)) << bad;
  }
}

TEST(ParkedRow, KeysOfOnePartitionSortByOffset) {
  ParkedRow early = sample();
  ParkedRow late = sample();
  early.offset = 9;
  late.offset = 10;
  EXPECT_LT(early.key(), late.key());
  late.offset = 9;
  late.send = 1;
  EXPECT_LT(early.key(), late.key());
}

}  // namespace
}  // namespace millrace
