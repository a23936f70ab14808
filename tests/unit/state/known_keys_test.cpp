// What is known of the rows without reading them: a row that is there is never said to be absent.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "conformance/state_store_support.hpp"
#include "state/key_filter.hpp"
#include "state/sqlite_known_keys.hpp"
#include "state/sqlite_state.hpp"
#include "temporary_directory.hpp"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using conformance::answer_of;
using conformance::put;
using conformance::submit;

std::string key_of(int number) {
  return row_key(std::string("order"), fmt::format("shop/sale.order/{}", number));
}

TEST(KeyFilter, HoldsEveryKeyThatWasAddedAndHardlyAnother) {
  constexpr int kKeys = 300'000;  // of five layers
  KeyFilter filter;
  EXPECT_FALSE(filter.may_hold(key_of(1)));
  EXPECT_FALSE(filter.may_hold(""));
  for (int i = 0; i < kKeys; ++i) filter.add(key_of(i));
  for (int i = 0; i < kKeys; ++i) ASSERT_TRUE(filter.may_hold(key_of(i))) << i;
  int wrong = 0;
  for (int i = kKeys; i < 2 * kKeys; ++i) wrong += filter.may_hold(key_of(i)) ? 1 : 0;
  EXPECT_LT(wrong, kKeys / 20);
  EXPECT_LT(filter.bytes(), 4u * kKeys);
}

TEST(KeyFilter, TakesNoRoomForAKeyThatItHolds) {
  KeyFilter filter;
  for (int i = 0; i < 100'000; ++i) filter.add(key_of(i % 10));
  EXPECT_EQ(filter.size(), 10u);
}

class KnownKeys : public testing::Test {
 protected:
  std::unique_ptr<StateStore> open() {
    SqliteStateOptions options;
    options.path = directory_.file("state.db");
    options.on_fatal = [](const Error& error) { abort_with(error.message, error.where); };
    auto store = open_sqlite_state(std::move(options));
    EXPECT_TRUE(store) << (store ? "" : store.error().message);
    return store ? *std::move(store) : nullptr;
  }
  void write(StateStore& store, int begin, int end) {
    Batch batch;
    for (int i = begin; i < end; ++i) batch.put(Table::projections, key_of(i), "{}");
    auto ack = submit(store, std::move(batch), Urgency::now, home_);
    ASSERT_TRUE(answer_of(ack));
  }
  static bool becomes_absent(auto& keys, const std::string& key) {
    for (int i = 0; i < 10'000; ++i) {
      if (keys.is_surely_absent(Table::projections, key)) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }

  conformance::ThreadExecutor home_;
  TemporaryDirectory directory_;
};

TEST_F(KnownKeys, ARowIsNeverSaidToBeAbsent) {
  constexpr int kRows = 10'000;  // more than one read of what was there
  {
    const auto store = open();
    write(*store, 0, kRows);
    for (int i = 0; i < kRows; ++i)
      ASSERT_FALSE(store->is_surely_absent(Table::projections, key_of(i))) << i;
    store->close();
  }
  const auto store = open();
  // While the old ones are being read, and behind it.
  write(*store, kRows, kRows + 100);
  const auto all_may_be_there = [&] {
    for (int i = 0; i < kRows + 100; ++i)
      ASSERT_FALSE(store->is_surely_absent(Table::projections, key_of(i))) << i;
  };
  all_may_be_there();
  ASSERT_TRUE(becomes_absent(*store, "nobody"));
  all_may_be_there();
  store->close();
}

TEST_F(KnownKeys, HardlyAnyNewRecordIsLookedUp) {
  const auto store = open();
  write(*store, 0, 1000);
  ASSERT_TRUE(becomes_absent(*store, "nobody"));
  int looked_up = 0;
  for (int i = 1000; i < 2000; ++i)
    looked_up += store->is_surely_absent(Table::projections, key_of(i)) ? 0 : 1;
  EXPECT_LT(looked_up, 50);
  EXPECT_FALSE(store->is_surely_absent(Table::cursors, "nobody")) << "only projections are known";
  store->close();
}

TEST_F(KnownKeys, AnEmptyKeyIsKeptInMindToo) {
  {
    const auto store = open();
    auto ack = submit(*store, put(Table::projections, "", "{}"), Urgency::now, home_);
    ASSERT_TRUE(answer_of(ack));
    store->close();
  }
  const auto store = open();
  ASSERT_TRUE(becomes_absent(*store, "nobody"));
  EXPECT_FALSE(store->is_surely_absent(Table::projections, ""));
  store->close();
}

TEST_F(KnownKeys, WhereTheyCannotBeReadNothingIsSaidToBeAbsent) {
  SqliteKnownKeys keys(directory_.file("is-not-there.db"));
  keys.add(Table::projections, key_of(1));
  EXPECT_FALSE(keys.is_surely_absent(Table::projections, "nobody"));
  keys.stop();
  EXPECT_FALSE(keys.is_surely_absent(Table::projections, "nobody"));
  EXPECT_FALSE(keys.is_surely_absent(Table::projections, key_of(1)));
}

TEST_F(KnownKeys, BeyondItsSizeNothingIsSaidToBeAbsent) {
  const auto store = open();
  SqliteKnownKeys keys(directory_.file("state.db"), 1000);
  ASSERT_TRUE(becomes_absent(keys, "nobody"));
  for (int i = 0; i < 2000; ++i) keys.add(Table::projections, key_of(i));
  EXPECT_FALSE(keys.is_surely_absent(Table::projections, "nobody"));
  store->close();
}

TEST_F(KnownKeys, WhatWasBeingReadWhenItWasStoppedMayBeThere) {
  const auto store = open();
  write(*store, 0, 10'000);
  for (int round = 0; round < 20; ++round) {
    SqliteKnownKeys keys(directory_.file("state.db"));
    keys.is_surely_absent(Table::projections, "nobody");
    keys.stop();
    for (int i = 0; i < 10'000; i += 100)
      ASSERT_FALSE(keys.is_surely_absent(Table::projections, key_of(i))) << i;
  }
  store->close();
}

}  // namespace
}  // namespace millrace
