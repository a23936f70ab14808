// The rules every StateStore keeps, as tests. An implementation includes this header in one file of
// its test program and, in namespace millrace::conformance, names where its stores live:
//   INSTANTIATE_TEST_SUITE_P(Sqlite, StateStoreSuite, testing::Values(maker), maker_name);
// Nothing here sleeps or measures time.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "conformance/state_store_support.hpp"
#include "millrace/state_keys.hpp"
#include "millrace/state_store.hpp"

namespace millrace::conformance {

using namespace std::chrono_literals;
using namespace std::string_literals;

/// Where one store lives. `open` may be called again once the last store was closed, and then shows
/// what was acknowledged.
class StateStoreHarness {
 public:
  virtual ~StateStoreHarness() = default;
  virtual std::unique_ptr<StateStore> open(std::chrono::milliseconds commit_delay) = 0;
  /// Of a store that is not told otherwise.
  virtual std::chrono::milliseconds usual_delay() const = 0;
};

struct StateStoreMaker {
  std::string name;
  std::function<std::unique_ptr<StateStoreHarness>()> make;  ///< an empty home each time
};

inline std::string maker_name(const testing::TestParamInfo<StateStoreMaker>& info) {
  return info.param.name;
}

class StateStoreSuite : public testing::TestWithParam<StateStoreMaker> {
 protected:
  void SetUp() override {
    harness_ = GetParam().make();
    open(kForever);
  }
  void TearDown() override {
    if (store_) store_->close();
  }

  void open(std::chrono::milliseconds commit_delay) {
    close();
    store_ = harness_->open(commit_delay);
    ASSERT_NE(store_, nullptr);
  }
  void close() {
    if (store_) store_->close();
    store_.reset();
  }
  Ack submit_soon(Batch batch) { return submit(*store_, std::move(batch), Urgency::soon, home_); }
  Ack submit_now(Batch batch) { return submit(*store_, std::move(batch), Urgency::now, home_); }
  Result<void> commit(Batch batch) {
    Ack ack = submit_now(std::move(batch));
    return answer_of(ack);
  }
  /// The row's value; "absent" or "error" where there is none.
  std::string value(Table table, std::string_view key) {
    auto found = store_->get(table, key);
    if (!found) return "error";
    return found->value_or("absent");
  }
  std::vector<std::string> keys(Table table, std::string_view prefix, std::string_view after = {},
                                std::size_t rows_max = 1000) {
    std::vector<std::string> names;
    auto rows = store_->scan(table, prefix, after, rows_max);
    if (!rows) return {"error"};
    for (auto& row : *rows) names.push_back(std::move(row.key));
    return names;
  }

  ThreadExecutor home_;
  std::unique_ptr<StateStoreHarness> harness_;
  std::unique_ptr<StateStore> store_;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StateStoreSuite);

TEST_P(StateStoreSuite, AppliesEveryWriteOfABatch) {
  Batch batch;
  batch.put(Table::cursors, "a", "1");
  batch.put(Table::projections, "b", "2");
  batch.put(Table::parked, "c", "3");
  ASSERT_TRUE(commit(std::move(batch)));
  EXPECT_EQ(value(Table::cursors, "a"), "1");
  EXPECT_EQ(value(Table::projections, "b"), "2");
  EXPECT_EQ(value(Table::parked, "c"), "3");
}

TEST_P(StateStoreSuite, KeepsTablesApart) {
  for (std::size_t i = 0; i < kTableCount; ++i)
    ASSERT_TRUE(commit(put(static_cast<Table>(i), "same", std::to_string(i))));
  for (std::size_t i = 0; i < kTableCount; ++i) {
    EXPECT_EQ(value(static_cast<Table>(i), "same"), std::to_string(i));
    EXPECT_EQ(store_->count(static_cast<Table>(i), "").value_or(0), 1u);
  }
}

TEST_P(StateStoreSuite, AppliesNothingOfABatchWhosePreconditionFails) {
  ASSERT_TRUE(commit(put(Table::cursors, "epoch", "1")));
  Batch batch;
  batch.put(Table::cursors, "moved", "1");
  batch.put(Table::outbox, "announced", "1");
  batch.erase(Table::cursors, "epoch");
  batch.require.push_back({Table::cursors, "epoch", "1"});
  batch.require.push_back({Table::cursors, "other", "1"});
  EXPECT_EQ(code_of(commit(std::move(batch))), Errc::precondition_failed);
  EXPECT_EQ(value(Table::cursors, "moved"), "absent");
  EXPECT_EQ(value(Table::outbox, "announced"), "absent");
  EXPECT_EQ(value(Table::cursors, "epoch"), "1");
}

TEST_P(StateStoreSuite, ComparesPreconditionsWithTheStoredValue) {
  ASSERT_TRUE(commit(put(Table::keys, "k", "{\"a\":1}")));
  const auto with = [](std::optional<std::string> expected, std::string key) {
    Batch batch = put(Table::keys, "result", "1");
    batch.require.push_back({Table::keys, std::move(key), std::move(expected)});
    return batch;
  };
  EXPECT_EQ(code_of(commit(with("{\"a\":2}", "k"))), Errc::precondition_failed);
  EXPECT_EQ(code_of(commit(with("", "k"))), Errc::precondition_failed);
  EXPECT_EQ(code_of(commit(with(std::nullopt, "k"))), Errc::precondition_failed);
  EXPECT_EQ(code_of(commit(with("{\"a\":1}", "absent"))), Errc::precondition_failed);
  EXPECT_EQ(code_of(commit(with("", "absent"))), Errc::precondition_failed);
  EXPECT_TRUE(commit(with("{\"a\":1}", "k")));
  EXPECT_TRUE(commit(with(std::nullopt, "absent")));
}

TEST_P(StateStoreSuite, LetsPreconditionsSeeEarlierBatchesOfTheSameTransaction) {
  const auto step = [](std::optional<std::string> from, std::string to) {
    Batch batch = put(Table::cursors, "x", std::move(to));
    batch.require.push_back({Table::cursors, "x", std::move(from)});
    return batch;
  };
  Ack first = submit_soon(step(std::nullopt, "1"));
  Ack second = submit_soon(step("1", "2"));
  Ack stale = submit_soon(step("1", "9"));
  Ack third = submit_now(step("2", "3"));
  EXPECT_TRUE(answer_of(first));
  EXPECT_TRUE(answer_of(second));
  EXPECT_EQ(code_of(answer_of(stale)), Errc::precondition_failed);
  EXPECT_TRUE(answer_of(third));
  EXPECT_EQ(value(Table::cursors, "x"), "3");
}

TEST_P(StateStoreSuite, LetsPreconditionsSeeADeleteOfTheSameTransaction) {
  ASSERT_TRUE(commit(put(Table::cursors, "x", "1")));
  Batch erase;
  erase.erase(Table::cursors, "x");
  Ack erased = submit_soon(std::move(erase));
  Batch create = put(Table::cursors, "x", "2");
  create.require.push_back({Table::cursors, "x", std::nullopt});
  EXPECT_TRUE(commit(std::move(create)));
  EXPECT_TRUE(answer_of(erased));
  EXPECT_EQ(value(Table::cursors, "x"), "2");
}

TEST_P(StateStoreSuite, HidesARefusedBatchFromTheBatchesBehindIt) {
  Batch refused = put(Table::cursors, "x", "1");
  refused.require.push_back({Table::cursors, "never", "1"});
  Ack first = submit_soon(std::move(refused));
  Batch create = put(Table::cursors, "x", "2");
  create.require.push_back({Table::cursors, "x", std::nullopt});
  EXPECT_TRUE(commit(std::move(create)));
  EXPECT_EQ(code_of(answer_of(first)), Errc::precondition_failed);
  EXPECT_EQ(value(Table::cursors, "x"), "2");
}

TEST_P(StateStoreSuite, LetsTheLastWriteOfAKeyWin) {
  Batch batch;
  batch.put(Table::projections, "put twice", "1");
  batch.put(Table::projections, "put twice", "2");
  batch.put(Table::projections, "put then erased", "1");
  batch.erase(Table::projections, "put then erased");
  batch.erase(Table::projections, "erased then put");
  batch.put(Table::projections, "erased then put", "3");
  Ack first = submit_soon(std::move(batch));
  ASSERT_TRUE(commit(put(Table::projections, "put twice", "4")));
  EXPECT_TRUE(answer_of(first));
  EXPECT_EQ(value(Table::projections, "put twice"), "4");
  EXPECT_EQ(value(Table::projections, "put then erased"), "absent");
  EXPECT_EQ(value(Table::projections, "erased then put"), "3");
}

TEST_P(StateStoreSuite, ErasesARowThatIsThereAndAcceptsOneThatIsNot) {
  ASSERT_TRUE(commit(put(Table::xref, "a", "1")));
  Batch batch;
  batch.erase(Table::xref, "a");
  batch.erase(Table::xref, "was never there");
  EXPECT_TRUE(commit(std::move(batch)));
  EXPECT_EQ(value(Table::xref, "a"), "absent");
}

TEST_P(StateStoreSuite, AppliesBatchesInTheOrderQueued) {
  constexpr int kSteps = 500;
  std::vector<Ack> acks;
  for (int i = 0; i < kSteps; ++i) {
    Batch batch = put(Table::marks, "step", std::to_string(i));
    batch.require.push_back(
        {Table::marks, "step", i == 0 ? std::nullopt : std::optional(std::to_string(i - 1))});
    acks.push_back(i % 7 == 0 ? submit_now(std::move(batch)) : submit_soon(std::move(batch)));
  }
  ASSERT_TRUE(commit(put(Table::marks, "end", "1")));
  for (auto& ack : acks) EXPECT_TRUE(answer_of(ack));
  EXPECT_EQ(value(Table::marks, "step"), std::to_string(kSteps - 1));
}

TEST_P(StateStoreSuite, CompletesInTheOrderQueued) {
  std::vector<int> order;  // touched on the home executor only, until the last completion
  for (int i = 0; i < 100; ++i) {
    Batch batch = put(Table::marks, std::to_string(i), "1");
    if (i % 3 == 0) batch.require.push_back({Table::marks, "never", "1"});
    store_->commit(std::move(batch), i % 10 == 0 ? Urgency::now : Urgency::soon, home_,
                   [&order, i](const Result<void>&) { order.push_back(i); });
  }
  ASSERT_TRUE(commit(put(Table::marks, "end", "1")));
  ASSERT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_P(StateStoreSuite, RunsEachCompletionOnItsHome) {
  ThreadExecutor other;
  std::promise<std::thread::id> here;
  std::promise<std::thread::id> there;
  store_->commit(put(Table::marks, "a", "1"), Urgency::soon, home_,
                 [&](const Result<void>&) { here.set_value(std::this_thread::get_id()); });
  store_->commit(put(Table::marks, "b", "1"), Urgency::now, other,
                 [&](const Result<void>&) { there.set_value(std::this_thread::get_id()); });
  auto ran_here = here.get_future();
  auto ran_there = there.get_future();
  ASSERT_EQ(ran_here.wait_for(kAnswerLimit), std::future_status::ready);
  ASSERT_EQ(ran_there.wait_for(kAnswerLimit), std::future_status::ready);
  EXPECT_EQ(ran_here.get(), home_.id());
  EXPECT_EQ(ran_there.get(), other.id());
}

TEST_P(StateStoreSuite, TakesLazyBatchesAlongInOneTransaction) {
  std::atomic<int> transactions = 0;
  store_->set_journal_ends([&] { return std::to_string(transactions.fetch_add(1)); });
  std::vector<Ack> lazy;
  for (int i = 0; i < 10; ++i) lazy.push_back(submit_soon(put(Table::marks, "m", "1")));
  EXPECT_TRUE(commit(put(Table::marks, "n", "1")));
  for (auto& ack : lazy) EXPECT_TRUE(answer_of(ack));
  EXPECT_EQ(transactions.load(), 1);
  store_->set_journal_ends({});
}

TEST_P(StateStoreSuite, PostsTheCompletionsOfATransactionTogether) {
  const int before = home_.posts();
  std::vector<Ack> lazy;
  for (int i = 0; i < 10; ++i) lazy.push_back(submit_soon(put(Table::marks, "m", "1")));
  ASSERT_TRUE(commit(put(Table::marks, "n", "1")));
  for (auto& ack : lazy) EXPECT_TRUE(answer_of(ack));
  EXPECT_EQ(home_.posts() - before, 1);
}

TEST_P(StateStoreSuite, CommitsALazyBatchThatNobodyJoins) {
  open(1ms);
  Ack ack = submit_soon(put(Table::marks, "alone", "1"));
  EXPECT_TRUE(answer_of(ack));
  EXPECT_EQ(value(Table::marks, "alone"), "1");
}

TEST_P(StateStoreSuite, ALazyBatchWaitsForFiftyMillisecondsAtMost) {
  EXPECT_GT(harness_->usual_delay(), 0ms) << "it rides with the next commit";
  EXPECT_LE(harness_->usual_delay(), 50ms);
}

TEST_P(StateStoreSuite, CommitsWhatIsQueuedWhenClosed) {
  Ack ack = submit_soon(put(Table::marks, "late", "1"));
  store_->close();
  EXPECT_TRUE(answer_of(ack));
  open(kForever);
  EXPECT_EQ(value(Table::marks, "late"), "1");
}

TEST_P(StateStoreSuite, RefusesABatchAfterClose) {
  store_->close();
  EXPECT_EQ(code_of(commit(put(Table::marks, "late", "1"))), Errc::stopping);
  store_->close();  // a second time changes nothing
}

TEST_P(StateStoreSuite, AcceptsABatchWithoutWritesAsABarrier) {
  Ack lazy = submit_soon(put(Table::marks, "before", "1"));
  EXPECT_TRUE(commit({}));
  EXPECT_EQ(lazy.wait_for(0s), std::future_status::ready);
  Batch check;
  check.require.push_back({Table::marks, "before", "2"});
  EXPECT_EQ(code_of(commit(std::move(check))), Errc::precondition_failed);
}

TEST_P(StateStoreSuite, AppliesASingleBatchBeyondTheRowsOfATransactionWhole) {
  constexpr int kRows = 5000;
  Batch batch;
  for (int i = 0; i < kRows; ++i) batch.put(Table::names, std::to_string(i), "1");
  ASSERT_TRUE(commit(std::move(batch)));
  EXPECT_EQ(store_->count(Table::names, "").value_or(0), std::uint64_t{kRows});
}

TEST_P(StateStoreSuite, ReturnsValuesAndKeysByteForByte) {
  const std::string every_byte = [] {
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
    return bytes;
  }();
  const std::string large(300'000, 'x');
  Batch batch;
  batch.put(Table::parked, every_byte, "{\"name\":\"Zoë 'quoted' \\u0000\"}");
  batch.put(Table::parked, "empty", "");
  batch.put(Table::parked, "large", large);
  ASSERT_TRUE(commit(std::move(batch)));
  EXPECT_EQ(value(Table::parked, every_byte), "{\"name\":\"Zoë 'quoted' \\u0000\"}");
  EXPECT_EQ(value(Table::parked, "empty"), "");
  EXPECT_EQ(value(Table::parked, "large"), large);
}

TEST_P(StateStoreSuite, TakesTheLongestKeyInEveryTableAndRefusesALongerOne) {
  // Random bytes: an index may compress others.
  std::mt19937 random(1);
  std::string key(kStateKeyBytesMax, '\0');
  for (char& c : key) c = static_cast<char>(random());
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const auto table = static_cast<Table>(i);
    Batch batch = put(table, key, "1");
    batch.require.push_back({table, key, std::nullopt});
    ASSERT_TRUE(commit(std::move(batch))) << to_string(table);
    EXPECT_EQ(value(table, key), "1");
    EXPECT_EQ(keys(table, key), std::vector<std::string>{key});
  }
  Batch longer = put(Table::marks, "beside", "1");
  longer.put(Table::xref_by_id, key + "x", "1");
  EXPECT_EQ(code_of(commit(std::move(longer))), Errc::too_large);
  EXPECT_EQ(value(Table::marks, "beside"), "absent");
  EXPECT_EQ(value(Table::xref_by_id, key + "x"), "absent");
  EXPECT_TRUE(commit(put(Table::marks, "beside", "2"))) << "the store goes on";
}

TEST_P(StateStoreSuite, AnswersManyKeysInTheirOrder) {
  Batch batch;
  batch.put(Table::names, "a", "1");
  batch.put(Table::names, "b", "2");
  ASSERT_TRUE(commit(std::move(batch)));
  const std::vector<std::string> wanted{"b", "missing", "a", "b"};
  const auto found = store_->get_many(Table::names, wanted);
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, (std::vector<std::optional<std::string>>{"2", std::nullopt, "1", "2"}));
  EXPECT_TRUE(store_->get_many(Table::names, {})->empty());
}

TEST_P(StateStoreSuite, ScansExactlyThePrefix) {
  Batch batch;
  for (const auto& key : {"a"s, "a\0"s, "a\0b"s, "a\0b\0c"s, "a\0c"s, "a\1"s, "ab"s, "b"s})
    batch.put(Table::xref, key, "1");
  ASSERT_TRUE(commit(std::move(batch)));
  EXPECT_EQ(keys(Table::xref, "a\0"s),
            (std::vector<std::string>{"a\0"s, "a\0b"s, "a\0b\0c"s, "a\0c"s}));
  EXPECT_EQ(keys(Table::xref, "a\0b\0"s), (std::vector<std::string>{"a\0b\0c"s}));
  EXPECT_EQ(keys(Table::xref, "c"), (std::vector<std::string>{}));
  EXPECT_EQ(keys(Table::xref, "").size(), 8u);
  EXPECT_EQ(store_->count(Table::xref, "a\0"s).value_or(0), 4u);
  EXPECT_EQ(store_->count(Table::xref, "").value_or(0), 8u);
  EXPECT_EQ(store_->count(Table::xref, "c").value_or(9), 0u);
}

TEST_P(StateStoreSuite, ScansPrefixesThatEndInTheLastByte) {
  Batch batch;
  for (const auto& key : {"\xfe"s, "\xff"s, "\xff\0"s, "\xff\xfe"s, "\xff\xff"s, "\xff\xff\x01"s,
                          "a\xff"s, "a\xffz"s, "b"s})
    batch.put(Table::xref, key, "1");
  ASSERT_TRUE(commit(std::move(batch)));
  EXPECT_EQ(keys(Table::xref, "\xff\xff"s),
            (std::vector<std::string>{"\xff\xff"s, "\xff\xff\x01"s}));
  EXPECT_EQ(keys(Table::xref, "\xff"s).size(), 5u);
  EXPECT_EQ(keys(Table::xref, "a\xff"s), (std::vector<std::string>{"a\xff"s, "a\xffz"s}));
  EXPECT_EQ(store_->count(Table::xref, "\xff"s).value_or(0), 5u);
  EXPECT_EQ(store_->count(Table::xref, "a\xff"s).value_or(0), 2u);
}

TEST_P(StateStoreSuite, ScansInPages) {
  Batch batch;
  for (int i = 10; i < 35; ++i)
    batch.put(Table::doorbells, row_key("odoo"s, std::to_string(i)), "1");
  batch.put(Table::doorbells, "odoo2", "1");
  ASSERT_TRUE(commit(std::move(batch)));
  std::vector<std::string> all;
  std::string after;
  while (true) {
    const auto page = keys(Table::doorbells, "odoo\0"s, after, 10);
    if (page.empty()) break;
    ASSERT_LE(page.size(), 10u);
    all.insert(all.end(), page.begin(), page.end());
    after = page.back();
  }
  ASSERT_EQ(all.size(), 25u);
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  // A position before the prefix begins at the prefix, one behind it finds nothing.
  EXPECT_EQ(keys(Table::doorbells, "odoo\0"s, "a", 1), std::vector<std::string>{"odoo\0"s + "10"});
  EXPECT_EQ(keys(Table::doorbells, "odoo\0"s, "p", 1), std::vector<std::string>{});
  EXPECT_EQ(keys(Table::doorbells, "odoo\0"s, "", 0), std::vector<std::string>{});
}

TEST_P(StateStoreSuite, ReturnsValuesWithTheRowsOfAScan) {
  Batch batch;
  batch.put(Table::audit, "1", "{\"who\":\"ann\"}");
  batch.put(Table::audit, "2", "{\"who\":\"bob\"}");
  ASSERT_TRUE(commit(std::move(batch)));
  const auto rows = store_->scan(Table::audit, "", "", 10);
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[1].key, "2");
  EXPECT_EQ((*rows)[1].value, "{\"who\":\"bob\"}");
}

TEST_P(StateStoreSuite, StoresTheJournalsEndsWithEachTransaction) {
  std::atomic<int> ends = 0;
  store_->set_journal_ends([&] { return "{\"events\":" + std::to_string(ends.load()) + "}"; });
  for (int i = 1; i <= 3; ++i) {
    ends.store(i);
    ASSERT_TRUE(commit(put(Table::marks, "m", std::to_string(i))));
    EXPECT_EQ(value(Table::meta, "journal_ends"), "{\"events\":" + std::to_string(i) + "}");
  }
  store_->set_journal_ends({});
}

TEST_P(StateStoreSuite, ShowsEverythingAcknowledgedWhenOpenedAgain) {
  std::vector<Ack> acks;
  for (int i = 0; i < 200; ++i) {
    Batch batch;
    for (int row = 0; row < 5; ++row)
      batch.put(Table::projections, row_key("order"s, std::to_string(i), std::to_string(row)),
                "{\"i\":" + std::to_string(i) + "}");
    acks.push_back(submit_soon(std::move(batch)));
  }
  ASSERT_TRUE(commit({}));
  for (auto& ack : acks) ASSERT_TRUE(answer_of(ack));
  open(kForever);
  EXPECT_EQ(store_->count(Table::projections, "order\0"s).value_or(0), 1000u);
  EXPECT_EQ(value(Table::projections, row_key("order"s, "199"s, "4"s)), "{\"i\":199}");
}

TEST_P(StateStoreSuite, NeverSaysOfACommittedRowThatItIsAbsent) {
  const auto key = row_key("order"s, "shop/1"s);
  ASSERT_TRUE(commit(put(Table::projections, key, "{}")));
  EXPECT_FALSE(store_->is_surely_absent(Table::projections, key));
  ASSERT_TRUE(commit(put(Table::projections, key, "{\"rev\":2}")));
  EXPECT_FALSE(store_->is_surely_absent(Table::projections, key));
  open(kForever);
  EXPECT_FALSE(store_->is_surely_absent(Table::projections, key));
}

TEST_P(StateStoreSuite, ServesReadersAndCommittersOfManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kBatches = 100;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kBatches; ++i) {
        const auto key = row_key(std::to_string(t), std::to_string(i));
        // Two rows in one batch: a reader sees both or neither, and both after the answer.
        Batch batch = put(Table::names, key, "1");
        batch.put(Table::xref, key, "1");
        Ack ack =
            submit(*store_, std::move(batch), i % 4 == 0 ? Urgency::now : Urgency::soon, home_);
        if (i % 4 != 0) continue;
        if (!answer_of(ack)) wrong.fetch_add(1);
        const auto found = store_->get(Table::xref, key);
        if (!found || !found->has_value()) wrong.fetch_add(1);
      }
    });
  for (auto& thread : threads) thread.join();
  ASSERT_TRUE(commit({}));
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(store_->count(Table::names, "").value_or(0), std::uint64_t{kThreads * kBatches});
}

}  // namespace millrace::conformance
