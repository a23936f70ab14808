// What becomes of commits and reads when PostgreSQL goes away: nothing is lost, nothing is applied
// twice, everything goes on by itself.
#include <fmt/format.h>
#include <poll.h>

#include "conformance/state_store_support.hpp"
#include "postgresql_server.hpp"

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

class PostgresOutage : public testing::Test {
 protected:
  /// Short waits, so that an outage of the test is one for the store.
  static PostgresStateOptions hasty(PostgresStateOptions options) {
    options.answer_max = 2s;
    options.heartbeat = 200ms;
    return options;
  }
  std::unique_ptr<StateStore> open(PostgresStateOptions options) {
    auto store = open_postgresql_state(std::move(options));
    EXPECT_TRUE(store) << (store ? "" : store.error().message);
    return store ? *std::move(store) : nullptr;
  }
  /// Adds one to row "n", and is refused unless it is `from`: applied twice it would not fit.
  Ack step(StateStore& store, int from) {
    Batch batch = put(Table::cursors, "n", std::to_string(from + 1));
    batch.require.push_back(
        {Table::cursors, "n", from == 0 ? std::nullopt : std::optional(std::to_string(from))});
    return submit(store, std::move(batch), Urgency::now, home_);
  }
  static bool is_away(StateStore& store) { return store.condition().away_at.has_value(); }

  ThreadExecutor home_;
};

class PostgresCut : public PostgresOutage, public testing::WithParamInterface<Cut> {};

TEST_P(PostgresCut, AppliesABatchOnceWhateverTheConnectionLosesOfItsCommit) {
  auto& server = PostgresServer::shared();
  CuttingProxy proxy(server.port());
  auto options = hasty(server.state_options(PostgresServer::fresh_schema()));
  options.conninfo = fmt::format(
      "host=127.0.0.1 port={} user=postgres password=postgres dbname=postgres", proxy.port());
  auto store = open(options);
  ASSERT_NE(store, nullptr);
  for (int i = 0; i < 6; ++i) {
    proxy.cut_next(GetParam());
    Ack cut = step(*store, 2 * i);
    Ack behind = step(*store, 2 * i + 1);
    EXPECT_TRUE(answer_of(cut)) << i;
    EXPECT_TRUE(answer_of(behind)) << i;
    // A batch without preconditions is sent in one go, COMMIT and all.
    proxy.cut_next(GetParam());
    Ack plain = submit(*store, put(Table::marks, std::to_string(i), "1"), Urgency::now, home_);
    EXPECT_TRUE(answer_of(plain));
  }
  EXPECT_EQ(proxy.cuts(), 12);
  EXPECT_EQ(store->get(Table::cursors, "n").value().value_or(""), "12");
  EXPECT_EQ(store->count(Table::marks, "").value_or(0), 6u);
  EXPECT_GE(store->condition().outages, 12u);
  store->close();
}

// The old session is still committing when the new one asks what became of it.
TEST_P(PostgresCut, WaitsForACommitThatIsStillUnderWay) {
  auto& server = PostgresServer::shared();
  CuttingProxy proxy(server.port());
  const auto schema = PostgresServer::fresh_schema();
  auto options = hasty(server.state_options(schema));
  options.conninfo = fmt::format(
      "host=127.0.0.1 port={} user=postgres password=postgres dbname=postgres", proxy.port());
  options.answer_max = 10s;
  auto store = open(options);
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(server.sql({fmt::format("CREATE FUNCTION \"{}\".slow() RETURNS trigger LANGUAGE "
                                    "plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END'",
                                    schema),
                        fmt::format("CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON "
                                    "\"{0}\".cursors DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
                                    "EXECUTE FUNCTION \"{0}\".slow()",
                                    schema)}),
            "");
  proxy.cut_next(GetParam());
  Ack first = step(*store, 0);
  Ack second = step(*store, 1);
  EXPECT_TRUE(answer_of(first));
  EXPECT_TRUE(answer_of(second));
  EXPECT_EQ(proxy.cuts(), 1);
  EXPECT_EQ(store->get(Table::cursors, "n").value().value_or(""), "2");
  store->close();
}

INSTANTIATE_TEST_SUITE_P(Cuts, PostgresCut,
                         testing::Values(Cut::before_commit, Cut::after_commit,
                                         Cut::during_commit));

TEST_F(PostgresOutage, GoesOnAfterItsSessionsWereTerminated) {
  auto& server = PostgresServer::shared();
  auto store = open(hasty(server.state_options(PostgresServer::fresh_schema())));
  ASSERT_NE(store, nullptr);
  for (int i = 0; i < 10; ++i) {
    Ack ack = step(*store, i);
    server.sql(
        {"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
         "application_name LIKE 'millrace %'"});
    EXPECT_TRUE(answer_of(ack));
    EXPECT_TRUE(eventually([&] {
      return store->get(Table::cursors, "n").value_or("").value_or("") == std::to_string(i + 1);
    }));
  }
  store->close();
}

TEST_F(PostgresOutage, WaitsForAServerThatIsKilledAndStartedAgain) {
  PostgresServer server;
  auto store = open(hasty(server.state_options("millrace")));
  ASSERT_NE(store, nullptr);
  Ack before = step(*store, 0);
  ASSERT_TRUE(answer_of(before));
  std::vector<Ack> acks;
  for (int i = 1; i < 50; ++i) acks.push_back(step(*store, i));
  server.kill9();
  ASSERT_TRUE(eventually([&] { return is_away(*store); }));
  for (int i = 50; i < 60; ++i) acks.push_back(step(*store, i));
  // Reads do not wait, and say since when.
  const auto read = store->get(Table::cursors, "n");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::state_away);
  EXPECT_NE(read.error().message.find("away since 2"), std::string::npos) << read.error().message;
  EXPECT_EQ(acks.back().wait_for(0s), std::future_status::timeout);
  server.start();
  for (auto& ack : acks) EXPECT_TRUE(answer_of(ack));
  EXPECT_EQ(store->get(Table::cursors, "n").value().value_or(""), "60");
  EXPECT_FALSE(is_away(*store));
  EXPECT_EQ(store->condition().reason, "");
  store->close();
}

// TCP stays up and says nothing.
TEST_F(PostgresOutage, NoticesASilentServerWithWorkAndWithout) {
  PostgresServer server;
  auto options = hasty(server.state_options("millrace"));
  options.answer_max = 1s;
  auto store = open(options);
  ASSERT_NE(store, nullptr);
  server.freeze();
  EXPECT_TRUE(eventually([&] { return is_away(*store); })) << "without work";
  server.thaw();
  EXPECT_TRUE(eventually([&] { return !is_away(*store); }));
  server.freeze();
  Ack ack = step(*store, 0);
  EXPECT_TRUE(eventually([&] { return is_away(*store); })) << "with work";
  server.thaw();
  EXPECT_TRUE(answer_of(ack));
  EXPECT_EQ(store->get(Table::cursors, "n").value().value_or(""), "1");
  store->close();
}

TEST_F(PostgresOutage, CallsOffAReadWhenTheServerFallsSilent) {
  PostgresServer server;
  auto store = open(hasty(server.state_options("millrace")));
  ASSERT_NE(store, nullptr);
  ASSERT_TRUE(store->get(Table::cursors, "n"));
  server.freeze();
  const auto read = store->get(Table::cursors, "n");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::state_away);
  server.thaw();
  EXPECT_TRUE(eventually([&] { return store->get(Table::cursors, "n").has_value(); }));
  store->close();
}

TEST_F(PostgresOutage, ClosesWithoutWaitingForAServerThatIsAway) {
  PostgresServer server;
  auto store = open(hasty(server.state_options("millrace")));
  ASSERT_NE(store, nullptr);
  // Not killed: a session outlives its server for a moment and may still commit.
  server.freeze();
  Ack ack = step(*store, 0);
  ASSERT_TRUE(eventually([&] { return is_away(*store); }));
  store->close();
  EXPECT_THROW(static_cast<void>(ack.get()), std::future_error)
      << "nobody was told that it is kept";
  const auto read = store->get(Table::cursors, "n");
  server.thaw();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::stopping);
}

TEST_F(PostgresOutage, RepeatsWhatOtherTransactionsHinder) {
  auto& server = PostgresServer::shared();
  for (const std::string state : {"40001", "40P01"}) {
    const auto schema = PostgresServer::fresh_schema();
    auto store = open(hasty(server.state_options(schema)));
    ASSERT_NE(store, nullptr);
    // The first three attempts fail; a sequence is not rolled back.
    EXPECT_EQ(
        server.sql({fmt::format("CREATE SEQUENCE \"{}\".tries", schema),
                    fmt::format("CREATE FUNCTION \"{0}\".hinder() RETURNS trigger LANGUAGE plpgsql "
                                "AS $$BEGIN IF nextval('\"{0}\".tries') < 4 THEN RAISE EXCEPTION "
                                "'in the way' USING ERRCODE='{1}'; END IF; RETURN NEW; END$$",
                                schema, state),
                    fmt::format("CREATE TRIGGER hinder BEFORE INSERT ON \"{0}\".cursors FOR EACH "
                                "ROW EXECUTE FUNCTION \"{0}\".hinder()",
                                schema)}),
        "");
    Ack ack = step(*store, 0);
    EXPECT_TRUE(answer_of(ack));
    EXPECT_EQ(store->condition().repeats, 3u);
    EXPECT_EQ(store->condition().outages, 0u);
    store->close();
  }
}

TEST_F(PostgresOutage, SeesWhatAnotherTransactionChangedUnderItsPrecondition) {
  auto& server = PostgresServer::shared();
  const auto schema = PostgresServer::fresh_schema();
  auto store = open(hasty(server.state_options(schema)));
  ASSERT_NE(store, nullptr);
  Ack first = step(*store, 0);
  ASSERT_TRUE(answer_of(first));
  EXPECT_EQ(server.sql({fmt::format("UPDATE \"{}\".cursors SET value='7'", schema)}), "");
  Ack stale = step(*store, 1);
  EXPECT_EQ(code_of(answer_of(stale)), Errc::precondition_failed);
  Ack fresh = step(*store, 7);
  EXPECT_TRUE(answer_of(fresh));
  store->close();
}

TEST_F(PostgresOutage, TellsAFullDiskAndGoesOnWhenThereIsRoom) {
  auto& server = PostgresServer::shared();
  const auto schema = PostgresServer::fresh_schema();
  auto store = open(hasty(server.state_options(schema)));
  ASSERT_NE(store, nullptr);
  server.sql({fmt::format("CREATE FUNCTION \"{}\".full() RETURNS trigger LANGUAGE plpgsql AS "
                          "$$BEGIN RAISE EXCEPTION 'could not extend file' USING "
                          "ERRCODE='53100'; END$$",
                          schema),
              fmt::format("CREATE TRIGGER fill BEFORE INSERT ON \"{0}\".cursors FOR EACH ROW "
                          "EXECUTE FUNCTION \"{0}\".full()",
                          schema)});
  Ack full = step(*store, 0);
  EXPECT_EQ(code_of(answer_of(full)), Errc::disk_full);
  server.sql({fmt::format("DROP TRIGGER fill ON \"{}\".cursors", schema)});
  Ack again = step(*store, 0);
  EXPECT_TRUE(answer_of(again));
  store->close();
}

TEST_F(PostgresOutage, WaitsForARightThatWasTakenAway) {
  auto& server = PostgresServer::shared();
  const auto schema = PostgresServer::fresh_schema();
  server.sql(
      {"CREATE ROLE taken LOGIN", fmt::format("CREATE SCHEMA \"{}\" AUTHORIZATION taken", schema)});
  auto options = hasty(server.state_options(schema));
  options.conninfo = server.conninfo("taken");
  auto store = open(options);
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(store->condition().warning.find("may do more"), std::string::npos);
  server.sql({fmt::format("ALTER TABLE \"{}\".cursors OWNER TO postgres", schema)});
  Ack ack = step(*store, 0);
  EXPECT_TRUE(eventually([&] { return is_away(*store); }));
  EXPECT_NE(store->condition().reason.find("permission denied"), std::string::npos)
      << store->condition().reason;
  server.sql({fmt::format("ALTER TABLE \"{}\".cursors OWNER TO taken", schema)});
  EXPECT_TRUE(answer_of(ack));
  EXPECT_FALSE(is_away(*store));
  store->close();
}

}  // namespace

}  // namespace millrace
