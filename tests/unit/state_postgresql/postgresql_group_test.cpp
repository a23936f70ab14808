// Several instances on one schema: they write beside each other, and what an expelled one commits
// is not applied, whenever it wakes.
#include <fmt/format.h>
#include <poll.h>

#include <thread>

#include "conformance/state_store_support.hpp"
#include "memory_log.hpp"
#include "postgresql_server.hpp"
#include "state/installation.hpp"

namespace millrace {

namespace {

using conformance::Ack;
using conformance::answer_of;
using conformance::code_of;
using conformance::put;
using conformance::submit;
using conformance::ThreadExecutor;
using Cut = CuttingProxy::Cut;
using namespace std::chrono_literals;

constexpr auto kWithin = 60s;

template <typename F>
bool eventually(F predicate) {
  const auto until = std::chrono::steady_clock::now() + kWithin;
  while (std::chrono::steady_clock::now() < until) {
    if (predicate()) return true;
    ::poll(nullptr, 0, 5);
  }
  return false;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A store, and why it died.
struct Instance {
  std::unique_ptr<StateStore> store;
  std::future<Error> died;

  StateStore* operator->() const { return store.get(); }
  Group& group() const { return *store->group(); }
  /// "" when it does not die.
  std::string death() {
    if (died.wait_for(kWithin) != std::future_status::ready) return "";
    const Error error = died.get();
    EXPECT_EQ(error.code, Errc::locked);
    return error.message;
  }
  bool lives() const { return died.wait_for(0s) == std::future_status::timeout; }
};

class PostgresGroupTest : public testing::Test {
 protected:
  PostgresGroupTest() {
    // No rights but its own schema, as docs/how-to/use-postgresql.md says.
    server_.sql({"CREATE ROLE member LOGIN PASSWORD 'member'"});
    server_.sql({fmt::format("CREATE SCHEMA \"{}\" AUTHORIZATION member", schema_)});
  }
  PostgresStateOptions options(const std::string& instance) {
    auto made = server_.state_options(schema_);
    made.conninfo = server_.conninfo("member");
    made.instance = instance;
    made.lock_wait = 20s;
    return made;
  }
  PostgresStateOptions through(const CuttingProxy& proxy, const std::string& instance) {
    auto made = options(instance);
    made.conninfo = fmt::format(
        "host=127.0.0.1 port={} user=member password=member dbname=postgres", proxy.port());
    return made;
  }
  static Instance open(PostgresStateOptions with) {
    auto died = std::make_shared<std::promise<Error>>();
    Instance made{.store = {}, .died = died->get_future()};
    with.on_fatal = [died](Error error) { died->set_value(std::move(error)); };
    auto store = open_postgresql_state(std::move(with));
    EXPECT_TRUE(store) << (store ? "" : store.error().message);
    if (store) made.store = *std::move(store);
    return made;
  }
  Instance open(const std::string& instance) { return open(options(instance)); }
  std::string refusal(const std::string& instance) {
    auto with = options(instance);
    with.lock_wait = 500ms;
    const auto store = open_postgresql_state(std::move(with));
    if (store) return "opened";
    EXPECT_EQ(store.error().code, Errc::locked);
    return store.error().message;
  }
  Ack write(const Instance& by, const std::string& key, const std::string& value) {
    return submit(*by.store, put(Table::marks, key, value), Urgency::now, home_);
  }
  void write_and_wait(const Instance& by, const std::string& key, const std::string& value) {
    auto ack = write(by, key, value);
    EXPECT_TRUE(answer_of(ack));
  }
  static GroupMember find(Group& in, const std::string& name) {
    auto members = in.members();
    EXPECT_TRUE(members) << (members ? "" : members.error().message);
    if (members)
      for (GroupMember& member : *members)
        if (member.instance == name) return std::move(member);
    return {};
  }
  static std::string names(Group& in) {
    std::string names;
    for (const GroupMember& member : in.members().value()) names += member.instance;
    return names;
  }
  std::string value(const Instance& by, const std::string& key) {
    return by->get(Table::marks, key).value().value_or("");
  }

  PostgresServer& server_ = PostgresServer::shared();
  const std::string schema_ = PostgresServer::fresh_schema();
  ThreadExecutor home_;
};

TEST_F(PostgresGroupTest, TwoInstancesCommitBesideEachOther) {
  auto a = open("a");
  auto b = open("b");
  EXPECT_EQ(names(a.group()), "ab");
  EXPECT_EQ(find(b.group(), "a").session, a.group().session());
  EXPECT_NE(a.group().session(), b.group().session());
  std::vector<Ack> acks;
  for (int i = 0; i < 50; ++i) {
    acks.push_back(write(a, fmt::format("a{}", i), "1"));
    acks.push_back(write(b, fmt::format("b{}", i), "1"));
    if (i % 10 == 9)
      for (auto& ack : std::exchange(acks, {})) EXPECT_TRUE(answer_of(ack));
  }
  EXPECT_EQ(a->count(Table::marks, "").value(), 100u);
  EXPECT_GE(find(a.group(), "a").serial, 5);
  EXPECT_GE(find(a.group(), "b").serial, 5);
  EXPECT_TRUE(a.lives());
  EXPECT_TRUE(b.lives());
}

TEST_F(PostgresGroupTest, AnExpelledInstanceIsRefusedForEver) {
  auto a = open("a");
  auto b = open("b");
  write_and_wait(a, "m", "a");
  const auto expelled = b.group().expel(find(b.group(), "a"));
  ASSERT_TRUE(expelled) << expelled.error().message;
  EXPECT_TRUE(*expelled);
  EXPECT_EQ(names(b.group()), "b");
  auto late = write(a, "m", "late");
  const auto said = a.death();
  EXPECT_TRUE(has(said, "instance a")) << said;
  EXPECT_TRUE(has(said, "it was expelled since it did not answer for so long")) << said;
  EXPECT_EQ(value(b, "m"), "a");
  EXPECT_TRUE(b.lives());
  a->close();
  // Its place is free again, for a new session.
  auto again = open("a");
  write_and_wait(again, "m", "again");
  EXPECT_EQ(names(b.group()), "ab");
}

TEST_F(PostgresGroupTest, WhoCommittedMeanwhileIsNotExpelled) {
  auto a = open("a");
  auto b = open("b");
  const auto before = find(b.group(), "a");
  write_and_wait(a, "m", "1");
  EXPECT_EQ(b.group().expel(before).value(), false);
  auto other = find(b.group(), "a");
  other.session = "another";
  EXPECT_EQ(b.group().expel(other).value(), false);
  write_and_wait(a, "m", "2");
  EXPECT_TRUE(a.lives());
}

// Frozen between its statements and their COMMIT, holding its row.
TEST_F(PostgresGroupTest, ATransactionThatFrozeCannotCommitAfterItsInstanceWasExpelled) {
  CuttingProxy proxy(server_.port());
  auto a = open(through(proxy, "a"));
  auto b = open("b");
  proxy.cut_next(Cut::hold);
  auto frozen = write(a, "m", "frozen");
  ASSERT_TRUE(eventually([&] { return proxy.cuts() == 1; }));
  const auto expelled = b.group().expel(find(b.group(), "a"));
  ASSERT_TRUE(expelled) << expelled.error().message;
  EXPECT_TRUE(*expelled);
  write_and_wait(b, "m", "b");
  proxy.let_go();
  const auto said = a.death();
  EXPECT_TRUE(has(said, "it was expelled")) << said;
  EXPECT_EQ(value(b, "m"), "b");
}

// Its COMMIT is with the server, which gets no further: decided as soon as we ask.
TEST_F(PostgresGroupTest, ACommitThatDoesNotGetToItsEndIsRolledBackByAnExpel) {
  auto a = open("a");
  auto b = open("b");
  server_.sql(
      {fmt::format("CREATE FUNCTION \"{}\".slow() RETURNS trigger LANGUAGE plpgsql AS "
                   "'BEGIN PERFORM pg_sleep(60); RETURN NULL; END'",
                   schema_),
       fmt::format("CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON \"{0}\".marks DEFERRABLE "
                   "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION \"{0}\".slow()",
                   schema_)});
  auto stuck = write(a, "m", "stuck");
  ASSERT_TRUE(eventually([&] {
    return server_.sql(
               {"SELECT count(*)::text FROM pg_stat_activity WHERE wait_event='PgSleep'"}) == "1";
  }));
  EXPECT_EQ(b.group().expel(find(b.group(), "a")).value(), true);
  EXPECT_TRUE(has(a.death(), "it was expelled"));
  EXPECT_EQ(value(b, "m"), "");
}

TEST_F(PostgresGroupTest, ARestartUnderTheSameNameIsAnotherSession) {
  std::string first;
  {
    auto a = open("a");
    write_and_wait(a, "m", "1");
    first = a.group().session();
    const auto said = refusal("a");
    EXPECT_TRUE(has(said, "instance a of the state")) << said;
    EXPECT_TRUE(has(said, "runs already, session ")) << said;
    EXPECT_TRUE(has(said, "millrace test/a ")) << said;
    EXPECT_TRUE(a.lives());
  }
  auto b = open("b");
  const auto dead = find(b.group(), "a");
  EXPECT_EQ(dead.session, first) << "it died, and nobody expelled it yet";
  auto a = open("a");
  const auto now = find(b.group(), "a");
  EXPECT_NE(now.session, first);
  EXPECT_EQ(now.serial, dead.serial);
  EXPECT_EQ(b.group().expel(dead).value(), false) << "another session lives there now";
  write_and_wait(a, "m", "2");
}

TEST_F(PostgresGroupTest, AGroupAndWhoRunsAloneExcludeEachOther) {
  {
    auto a = open("a");
    auto said = refusal("");
    EXPECT_TRUE(has(said, "in use by instances that share it")) << said;
    EXPECT_TRUE(has(said, "millrace test/a ")) << said;
    write_and_wait(a, "m", "1");
  }
  auto alone = open("");
  EXPECT_EQ(alone->group(), nullptr);
  const auto said = refusal("a");
  EXPECT_TRUE(has(said, "in use by another daemon")) << said;
  EXPECT_TRUE(has(said, "millrace test ")) << said;
  write_and_wait(alone, "m", "2");
}

// The locks go with a connection, the sessions they exclude must not come back.
TEST_F(PostgresGroupTest, WhoWasCutOffDoesNotComeBackAfterTheOtherKind) {
  for (const bool alone_first : {true, false}) {
    CuttingProxy proxy(server_.port());
    auto first = open(through(proxy, alone_first ? "" : "a"));
    proxy.refuse(true);
    server_.sql(
        {fmt::format("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                     "usename='member' AND client_port>0")});
    auto second_options = options(alone_first ? "b" : "");
    second_options.lock_wait = 20s;
    auto second = open(second_options);
    ASSERT_NE(second.store, nullptr);
    second->close();
    auto late = write(first, "late", "1");
    proxy.refuse(false);
    EXPECT_TRUE(has(first.death(), "another daemon took"));
    first->close();
  }
  EXPECT_EQ(server_.sql({fmt::format("SELECT count(*)::text FROM \"{}\".marks", schema_)}), "0");
}

TEST_F(PostgresGroupTest, LeavesAfterItsLastCommit) {
  auto a = open("a");
  auto b = open("b");
  auto last = write(a, "m", "last");
  const auto left = a.group().leave();
  ASSERT_TRUE(left) << left.error().message;
  EXPECT_TRUE(answer_of(last));
  EXPECT_EQ(value(b, "m"), "last");
  EXPECT_EQ(names(b.group()), "b");
  auto late = write(a, "m", "late");
  EXPECT_EQ(code_of(answer_of(late)), Errc::stopping);
  EXPECT_EQ(value(a, "m"), "last") << "it may still read";
  a->close();
  EXPECT_TRUE(a.lives());
}

TEST_F(PostgresGroupTest, IsConfirmedByWhatItCommits) {
  auto a = open("a");
  EXPECT_EQ(a.group().confirmed_at(), std::nullopt);
  const BootTime before = BootClock::now();
  write_and_wait(a, "m", "1");
  const BootTime after = BootClock::now();
  const auto confirmed = a.group().confirmed_at();
  ASSERT_TRUE(confirmed);
  EXPECT_GE(*confirmed, before);
  EXPECT_LE(*confirmed, after);
  Batch refused = put(Table::marks, "m", "2");
  refused.require.push_back({Table::marks, "m", "not so"});
  auto ack = submit(*a.store, std::move(refused), Urgency::now, home_);
  EXPECT_EQ(code_of(answer_of(ack)), Errc::precondition_failed);
  EXPECT_EQ(a.group().confirmed_at(), confirmed) << "nothing was committed";
  write_and_wait(a, "m", "3");
  EXPECT_GE(a.group().confirmed_at().value(), after);
}

// From before the transaction, however long its answer takes; also when the answer was lost.
TEST_F(PostgresGroupTest, IsConfirmedAsOfWhenTheTransactionBegan) {
  CuttingProxy proxy(server_.port());
  auto a = open(through(proxy, "a"));
  proxy.cut_next(Cut::hold);
  auto held = write(a, "m", "1");
  ASSERT_TRUE(eventually([&] { return proxy.cuts() == 1; }));
  const BootTime begun = BootClock::now();
  proxy.let_go();
  EXPECT_TRUE(answer_of(held));
  EXPECT_LE(a.group().confirmed_at().value(), begun);
  proxy.cut_next(Cut::after_commit);
  auto unheard = write(a, "m", "2");
  EXPECT_TRUE(answer_of(unheard));
  EXPECT_EQ(proxy.cuts(), 2);
  EXPECT_GE(a.group().confirmed_at().value(), begun);
}

// Semantics 6: a firing is a unique row.
TEST_F(PostgresGroupTest, AFiringIsWrittenByOneOfTwoInstances) {
  auto a = open("a");
  auto b = open("b");
  for (int due = 0; due < 40; ++due) {
    const auto fire = [&](const Instance& by, const std::string& name) {
      const auto key = row_key("schedule", "nightly", fmt::format("2026-11-{}T02:00:00Z", due));
      Batch batch = put(Table::marks, key, name);
      batch.require.push_back({Table::marks, key, std::nullopt});
      batch.put(Table::outbox, row_key("message", std::to_string(due), name), name);
      return submit(*by.store, std::move(batch), Urgency::now, home_);
    };
    auto by_a = fire(a, "a");
    auto by_b = fire(b, "b");
    const auto one = answer_of(by_a);
    const auto other = answer_of(by_b);
    EXPECT_NE(one.has_value(), other.has_value()) << due;
    EXPECT_EQ(code_of(one ? other : one), Errc::precondition_failed);
  }
  EXPECT_EQ(a->count(Table::outbox, row_key("message", "")).value(), 40u);
}

TEST_F(PostgresGroupTest, OfTwoThatChangeARowFromWhatTheySawOneIsRefused) {
  auto a = open("a");
  auto b = open("b");
  write_and_wait(a, "n", "0");
  for (int n = 0; n < 40; ++n) {
    const auto step = [&](const Instance& by) {
      Batch batch = put(Table::marks, "n", std::to_string(n + 1));
      batch.require.push_back({Table::marks, "n", std::to_string(n)});
      return submit(*by.store, std::move(batch), Urgency::now, home_);
    };
    auto by_a = step(a);
    auto by_b = step(b);
    EXPECT_NE(answer_of(by_a).has_value(), answer_of(by_b).has_value()) << n;
  }
  EXPECT_EQ(value(b, "n"), "40");
}

// What a batch required is so until it is committed: who changes that row waits.
TEST_F(PostgresGroupTest, WhatWasRequiredStillHoldsAtTheCommit) {
  CuttingProxy proxy(server_.port());
  auto a = open(through(proxy, "a"));
  auto b = open("b");
  write_and_wait(b, "lease", "a");
  Batch batch = put(Table::marks, "by a", "1");
  batch.require.push_back({Table::marks, "lease", "a"});
  proxy.cut_next(Cut::hold);
  auto under_way = submit(*a.store, std::move(batch), Urgency::now, home_);
  ASSERT_TRUE(eventually([&] { return proxy.cuts() == 1; }));
  auto taken = write(b, "lease", "b");
  ASSERT_TRUE(eventually([&] {
    return server_.sql({"SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type='Lock' "
                        "AND application_name LIKE 'millrace test/b %'"}) == "1";
  }));
  proxy.let_go();
  EXPECT_TRUE(answer_of(under_way));
  EXPECT_TRUE(answer_of(taken));
}

TEST_F(PostgresGroupTest, TwoThatStartAtOnceOnAnEmptyStoreMakeOneInstallation) {
  const auto start = [&](const std::string& name) {
    auto with = options(name);
    with.lock_wait = 20s;
    auto made = open(std::move(with));
    MemoryLog own("log");
    auto installation = open_installation(*made.store, own, "production");
    return installation ? installation->uuid : installation.error().message;
  };
  for (int i = 0; i < 5; ++i) {
    auto other = std::async(std::launch::async, start, "b");
    const auto one = start("a");
    EXPECT_EQ(one, other.get());
    EXPECT_EQ(one.size(), 36u) << one;
    server_.sql({fmt::format("DROP SCHEMA \"{}\" CASCADE", schema_),
                 fmt::format("CREATE SCHEMA \"{}\" AUTHORIZATION member", schema_)});
  }
}

TEST_F(PostgresGroupTest, AnExpelDoesNotWaitForAServerThatIsAway) {
  PostgresServer server;
  auto with = server.state_options("millrace");
  with.instance = "a";
  with.answer_max = 1s;
  with.heartbeat = 200ms;
  auto a = open(with);
  server.freeze();
  const auto during = a.group().expel({"b", "session", 1});
  ASSERT_FALSE(during);
  EXPECT_EQ(during.error().code, Errc::state_away);
  ASSERT_TRUE(eventually([&] { return a->condition().away_at.has_value(); }));
  EXPECT_EQ(a.group().expel({"b", "session", 1}).error().code, Errc::state_away);
  EXPECT_EQ(a.group().members().error().code, Errc::state_away);
  EXPECT_EQ(a.group().leave().error().code, Errc::state_away);
  server.thaw();
}

}  // namespace

}  // namespace millrace
