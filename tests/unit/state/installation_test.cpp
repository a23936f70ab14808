// The guards at start, one by one, and adopt.
#include "state/installation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "conformance/state_store_support.hpp"
#include "memory_log.hpp"
#include "millrace/event.hpp"
#include "state/blocking_commit.hpp"
#include "state/sqlite_state.hpp"
#include "temporary_directory.hpp"

namespace millrace {

namespace {

using conformance::put;
using testing::HasSubstr;

class InstallationGuards : public testing::Test {
 protected:
  InstallationGuards() { reopen(); }

  void reopen() {
    store_.reset();
    SqliteStateOptions options;
    options.path = directory_.file("state.db");
    auto store = open_sqlite_state(std::move(options));
    EXPECT_TRUE(store);
    store_ = *std::move(store);
  }
  static std::string event(std::uint64_t rev) {
    Event event;
    event.id = "e";
    event.type = "order.changed";
    event.entity = "order";
    event.source = "/plant/odoo";
    event.record = "odoo/sale.order/1";
    event.types = {"order.changed"};
    event.rev = rev;
    event.data = JsonObject();
    return encode(event);
  }
  static std::uint64_t rev_of(std::uint64_t incarnation, std::uint64_t change) {
    return (incarnation << 32) + change;
  }
  Result<Installation> open_with(std::string_view environment) {
    return open_installation(*store_, log_, environment);
  }
  Result<Installation> adopt_from(std::string routes_from, std::string reason = "state.db lost") {
    return adopt(*store_, log_, "production", {std::move(routes_from), std::move(reason), {}});
  }

  TemporaryDirectory directory_;
  MemoryLog log_{"log-1"};
  std::unique_ptr<StateStore> store_;
};

TEST_F(InstallationGuards, WritesTheInstallationDurablyAtTheFirstStart) {
  EXPECT_FALSE(has_installation(*store_).value_or(true));
  const auto first = open_with("production");
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->log_uuid, "log-1");
  EXPECT_EQ(first->environment, "production");
  EXPECT_EQ(first->incarnation, 1u);
  EXPECT_EQ(first->uuid.size(), 36u);
  reopen();
  EXPECT_TRUE(has_installation(*store_).value_or(false));
  log_.add(Journal::inbox, 0, "a message");
  const auto second = open_with("production");
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->uuid, first->uuid);
  EXPECT_EQ(second->incarnation, 1u);
}

TEST_F(InstallationGuards, RefusesALogWithRecordsBesideANewState) {
  log_.add(Journal::inbox, 0, "an acknowledged message");
  const auto refused = open_with("production");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::wrong_environment);
  EXPECT_THAT(refused.error().message,
              HasSubstr("millrace state adopt --routes-from POSITION --reason"));
  EXPECT_FALSE(has_installation(*store_).value_or(true));
}

TEST_F(InstallationGuards, RefusesTheStateOfAnotherLog) {
  ASSERT_TRUE(open_with("production"));
  MemoryLog other("log-2");
  const auto refused = open_installation(*store_, other, "production");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::wrong_environment);
  EXPECT_THAT(refused.error().message, HasSubstr("log-1"));
  EXPECT_THAT(refused.error().message, HasSubstr("log-2"));
}

TEST_F(InstallationGuards, RefusesTheStateOfAnotherEnvironmentNamingBoth) {
  ASSERT_TRUE(open_with("production"));
  const auto refused = open_with("staging");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::wrong_environment);
  EXPECT_THAT(refused.error().message, HasSubstr("\"production\""));
  EXPECT_THAT(refused.error().message, HasSubstr("\"staging\""));
}

TEST_F(InstallationGuards, RefusesALogThatEndsBeforeTheStoredEnds) {
  ASSERT_TRUE(open_with("production"));
  log_.cut_off();
  EXPECT_TRUE(open_with("production"));  // no ends were stored yet
  store_->set_journal_ends([] { return "inbox 7"; });
  ASSERT_TRUE(commit_blocking(*store_, put(Table::marks, "m", "1")));
  const auto refused = open_with("production");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::corrupt);
  EXPECT_THAT(refused.error().message, HasSubstr("inbox 7"));
}

TEST_F(InstallationGuards, RefusesAnInstallationRowThatCannotBeRead) {
  for (const auto* row : {"{", "[]", "{\"uuid\":\"u\",\"log_uuid\":\"log-1\"}",
                          "{\"uuid\":\"u\",\"log_uuid\":\"log-1\",\"environment\":\"production\","
                          "\"incarnation\":0}"}) {
    ASSERT_TRUE(commit_blocking(*store_, put(Table::meta, "installation", row)));
    const auto refused = open_with("production");
    ASSERT_FALSE(refused) << row;
    EXPECT_EQ(refused.error().code, Errc::corrupt);
  }
}

TEST_F(InstallationGuards, RefusesAnEnvironmentWithoutAName) {
  const auto refused = open_with("");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::config);
}

TEST_F(InstallationGuards, AdoptsALogWithAnIncarnationAboveEveryRev) {
  log_.add(Journal::events, 3, event(rev_of(1, 5)));
  log_.add(Journal::events, 3, event(rev_of(4, 1)));
  log_.add(Journal::events, 9, event(rev_of(2, 8)));
  const auto adopted = adopt_from("end");
  ASSERT_TRUE(adopted) << adopted.error().message;
  EXPECT_EQ(adopted->incarnation, 5u);
  EXPECT_EQ(adopted->log_uuid, "log-1");
  reopen();
  const auto opened = open_with("production");
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->incarnation, 5u);
  const auto adoption = read_adoption(*store_);
  ASSERT_TRUE(adoption && adoption->has_value());
  EXPECT_EQ((*adoption)->routes_from, "end");
  EXPECT_EQ((*adoption)->reason, "state.db lost");
  EXPECT_TRUE(parse_rfc3339((*adoption)->at));
}

TEST_F(InstallationGuards, AdoptFindsTheNewestRevBehindManyEventsWithoutOne) {
  log_.add(Journal::events, 1, event(rev_of(7, 1)));
  for (int i = 0; i < 3000; ++i) log_.add(Journal::events, 1, event(0));
  const auto adopted = adopt_from("beginning");
  ASSERT_TRUE(adopted) << adopted.error().message;
  EXPECT_EQ(adopted->incarnation, 8u);
}

TEST_F(InstallationGuards, AdoptReadsOnlyTheNewestEvents) {
  for (std::uint64_t i = 1; i <= 5000; ++i) log_.add(Journal::events, 1, event(rev_of(2, i)));
  ASSERT_TRUE(adopt_from("end"));
  EXPECT_LT(log_.records_read(), 1000u);
}

TEST_F(InstallationGuards, AdoptRespectsRetention) {
  for (int i = 0; i < 100; ++i) log_.add(Journal::events, 1, event(0));
  log_.trim_to(1, 40);
  const auto adopted = adopt_from("end");
  ASSERT_TRUE(adopted) << adopted.error().message;
  // No rev is known, but a store existed before: the first incarnation is taken.
  EXPECT_EQ(adopted->incarnation, 2u);
  EXPECT_EQ(log_.records_read(), 60u);
}

TEST_F(InstallationGuards, AdoptRefusesAStoreInUseABadPositionAndNoReason) {
  log_.add(Journal::inbox, 0, "a message");
  auto refused = adopt_from("tomorrow");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
  EXPECT_THAT(refused.error().message, HasSubstr("tomorrow"));
  refused = adopt_from("end", "");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
  ASSERT_TRUE(adopt_from("2026-11-21T22:00:00Z"));
  refused = adopt_from("end");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::conflict);
}

/// Lets another one start while the time of our own start is asked for.
class OvertakenClock final : public Clock {
 public:
  explicit OvertakenClock(std::function<void()> other) : other_(std::move(other)) {}
  WallTime wall_now() const override {
    if (auto other = std::exchange(other_, {})) other();
    return system_clock().wall_now();
  }
  BootTime boot_now() const override { return system_clock().boot_now(); }

 private:
  mutable std::function<void()> other_;
};

TEST_F(InstallationGuards, OfTwoThatStartAtOnceTheSecondTakesWhatTheFirstWrote) {
  std::string first;
  const OvertakenClock clock([&] {
    const auto theirs = open_with("production");
    ASSERT_TRUE(theirs) << theirs.error().message;
    first = theirs->uuid;
  });
  const auto ours = open_installation(*store_, log_, "production", clock);
  ASSERT_TRUE(ours) << ours.error().message;
  EXPECT_EQ(ours->uuid, first);
}

TEST_F(InstallationGuards, ReportsAnEventThatAdoptCannotRead) {
  log_.add(Journal::events, 5, "not an event");
  const auto refused = adopt_from("end");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("event 5:0"));
}

}  // namespace

}  // namespace millrace
