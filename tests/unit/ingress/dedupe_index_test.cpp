#include "ingress/dedupe_index.hpp"

#include <gtest/gtest.h>

#include "ingress/idempotency.hpp"
#include "millrace/event.hpp"
#include "support.hpp"

namespace millrace::ingress {
namespace {

const WallTime start{seconds(1'000'000)};

class Inline final : public Executor {
 public:
  void post(Task task) override { task(); }
};

TEST(DedupeIndex, IsFreshOnceThenPendingThenDurable) {
  DedupeIndex index({});
  const RecordId key = hook_key("carrier", "1");
  EXPECT_EQ(index.begin(key, start), Seen::fresh);
  EXPECT_EQ(index.begin(key, start), Seen::duplicate_pending);
  index.settle(key, true, start);
  EXPECT_EQ(index.begin(key, start), Seen::duplicate_durable);
  EXPECT_EQ(index.begin(hook_key("other", "1"), start), Seen::fresh);
  EXPECT_EQ(index.begin(event_key("carrier", "1"), start), Seen::fresh);
}

TEST(DedupeIndex, AnswersWaitingDuplicatesWithTheOutcome) {
  DedupeIndex index({});
  Inline here;
  const RecordId key = hook_key("carrier", "1");
  std::vector<bool> outcomes;
  const auto note = [&](bool durable) { outcomes.push_back(durable); };
  ASSERT_EQ(index.begin(key, start), Seen::fresh);
  index.when_settled(key, here, note);
  EXPECT_TRUE(outcomes.empty());
  index.settle(key, false, start);
  EXPECT_EQ(outcomes, std::vector<bool>{false});
  EXPECT_EQ(index.begin(key, start), Seen::fresh) << "what was not written may be sent again";
  index.settle(key, true, start);
  index.when_settled(key, here, note);
  EXPECT_EQ(outcomes, (std::vector<bool>{false, true}));
}

TEST(DedupeIndex, KeepsIdsForTheWindowAndForgetsThemLater) {
  DedupeIndex index({.window = seconds(800)});
  const RecordId old = hook_key("carrier", "old");
  index.remember(old, start);
  for (int second = 10; second <= 700; second += 10) {
    index.remember(hook_key("carrier", std::to_string(second)), start + seconds(second));
  }
  EXPECT_EQ(index.begin(old, start + seconds(700)), Seen::duplicate_durable);
  EXPECT_EQ(index.begin(old, start + seconds(1000)), Seen::fresh);
  index.settle(old, false, start + seconds(1000));
  for (int second = 800; second <= 1800; second += 5) {
    index.remember(hook_key("carrier", std::to_string(second)), start + seconds(second));
  }
  EXPECT_LT(index.size(), 250u);
  EXPECT_EQ(index.forgotten_early(), 0u);
}

TEST(DedupeIndex, StaysWithinItsBoundAndCountsWhatItForgot) {
  DedupeIndex index({.window = seconds(1'000'000), .bytes_max = 1600 * 40});
  for (int i = 0; i < 20'000; ++i) index.remember(hook_key("c", std::to_string(i)), start);
  EXPECT_LE(index.size(), 1600u);
  EXPECT_GE(index.size(), 800u);
  EXPECT_EQ(index.size() + index.forgotten_early(), 20'000u);
  EXPECT_EQ(index.begin(hook_key("c", "19999"), start), Seen::duplicate_durable);
}

TEST(DedupeIndex, ForgetsWhatSideFilesHaveAndNothingElse) {
  DedupeIndex index({});
  index.begin_segment(0);
  for (int i = 0; i < 1000; ++i) index.remember(hook_key("c", std::to_string(i)), start);
  // One is still being written when the next segment begins, and counts as of that one.
  ASSERT_EQ(index.begin(hook_key("c", "slow"), start), Seen::fresh);
  index.begin_segment(5000);
  index.settle(hook_key("c", "slow"), true, start);
  index.remember(hook_key("c", "new"), start);
  index.archived_below(5000);
  EXPECT_EQ(index.size(), 2u);
  EXPECT_TRUE(index.contains(hook_key("c", "slow"), start));
  EXPECT_TRUE(index.contains(hook_key("c", "new"), start));
  EXPECT_EQ(index.forgotten_early(), 0u);
}

TEST(DedupeIndex, FindsTheIdsOfARecordInItsPayload) {
  const DedupeIndex inbox({.journal = Journal::inbox});
  const DedupeIndex events({.journal = Journal::events});
  const auto ids_in = [](const DedupeIndex& index, const std::string& payload) {
    LogRecord record;
    record.payload = payload;
    std::vector<RecordId> ids;
    index.ids_of(record, ids);
    return ids;
  };
  RawMessage message;
  message.connection = "carrier";
  EXPECT_TRUE(ids_in(inbox, encode(message)).empty());
  message.id = "m1";
  EXPECT_EQ(ids_in(inbox, encode(message)), std::vector{hook_key("carrier", "m1")});
  Event sent;
  sent.id = "e1";
  sent.source = "mes";
  sent.type = "production_report.received";
  sent.record = "events:mes/7";
  EXPECT_EQ(ids_in(events, encode(sent)), std::vector{event_key("mes", "e1")});
  const auto request = RequestIds::of("key", "k1", "body");
  sent.request = request.text();
  EXPECT_EQ(ids_in(events, encode(sent)),
            (std::vector{event_key("mes", "e1"), request.key, request.same}));
  sent.record = "odoo/sale.order/7";
  sent.rev = 7;
  EXPECT_TRUE(ids_in(events, encode(sent)).empty()) << "our own events have ids of their own";
}

}  // namespace
}  // namespace millrace::ingress
