#include "ingress/dedupe_index.hpp"

#include <gtest/gtest.h>

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
  const DedupeKey key = hook_key("carrier", "1");
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
  const DedupeKey key = hook_key("carrier", "1");
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
  DedupeIndex index({seconds(800), 50'000'000, std::size_t{512} << 20});
  const DedupeKey old = hook_key("carrier", "old");
  index.remember(old, start);
  for (int second = 10; second <= 700; second += 10) {
    index.remember(hook_key("carrier", std::to_string(second)), start + seconds(second));
  }
  EXPECT_EQ(index.begin(old, start + seconds(700)), Seen::duplicate_durable);
  for (int second = 800; second <= 1800; second += 5) {
    index.remember(hook_key("carrier", std::to_string(second)), start + seconds(second));
  }
  EXPECT_EQ(index.begin(old, start + seconds(1800)), Seen::fresh);
  EXPECT_EQ(index.forgotten_early(), 0u);
}

TEST(DedupeIndex, StaysWithinItsBoundAndCountsWhatItForgot) {
  DedupeIndex index({seconds(1'000'000), 1600, std::size_t{512} << 20});
  for (int i = 0; i < 20'000; ++i) index.remember(hook_key("c", std::to_string(i)), start);
  EXPECT_LE(index.size(), 1600u);
  EXPECT_GE(index.size(), 800u);
  EXPECT_EQ(index.size() + index.forgotten_early(), 20'000u);
  EXPECT_EQ(index.begin(hook_key("c", "19999"), start), Seen::duplicate_durable);
}

TEST(DedupeIndex, IsRebuiltFromTheJournals) {
  DedupeIndex index({});
  RawMessage message;
  message.connection = "carrier";
  message.id = "m1";
  const std::string inbox = encode(message);
  LogRecord record;
  record.appended_at = start;
  record.payload = inbox;
  index.feed(Journal::inbox, record);
  Event sent;
  sent.id = "e1";
  sent.source = "mes";
  sent.type = "production_report.received";
  sent.record = "events:mes/7";
  const std::string sent_bytes = encode(sent);
  record.payload = sent_bytes;
  index.feed(Journal::events, record);
  Event own = sent;
  own.id = "e2";
  own.record = "odoo/sale.order/7";
  own.rev = 7;
  const std::string own_bytes = encode(own);
  record.payload = own_bytes;
  index.feed(Journal::events, record);
  EXPECT_EQ(index.begin(hook_key("carrier", "m1"), start), Seen::duplicate_durable);
  EXPECT_EQ(index.begin(event_key("mes", "e1"), start), Seen::duplicate_durable);
  EXPECT_EQ(index.begin(event_key("mes", "e2"), start), Seen::fresh);
}

}  // namespace
}  // namespace millrace::ingress
