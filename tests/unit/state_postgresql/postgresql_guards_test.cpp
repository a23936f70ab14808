// Who may open a PostgreSQL store, and what is refused before anything is touched.
#include <fmt/format.h>

#include "conformance/state_store_support.hpp"
#include "postgresql_server.hpp"

namespace millrace {

namespace {

using conformance::answer_of;
using conformance::put;
using conformance::submit;
using conformance::ThreadExecutor;
using namespace std::chrono_literals;

class PostgresGuards : public testing::Test {
 protected:
  PostgresStateOptions options(const std::string& user = "postgres") {
    auto made = server_.state_options(schema_);
    made.conninfo = server_.conninfo(user);
    made.start_wait = 500ms;
    made.lock_wait = 20s;
    return made;
  }
  std::string refusal(PostgresStateOptions with, Errc code) {
    with.lock_wait = 500ms;
    const auto store = open_postgresql_state(std::move(with));
    if (store) return "opened";
    EXPECT_EQ(store.error().code, code) << store.error().message;
    return store.error().message;
  }
  /// Every table of the schema with its number of rows, and the format.
  std::string look() {
    return server_.sql(
        {"SELECT coalesce(string_agg(relname || ':' || relnatts, ',' ORDER BY relname),'') FROM "
         "pg_class c JOIN pg_namespace n ON n.oid=relnamespace WHERE relkind='r' AND nspname='" +
         schema_ + "'"});
  }

  PostgresServer& server_ = PostgresServer::shared();
  const std::string schema_ = PostgresServer::fresh_schema();
  ThreadExecutor home_;
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(PostgresGuards, ARoleThatOwnsItsSchemaAndNothingElseIsEnough) {
  server_.sql({"CREATE ROLE \"plain role\" LOGIN",
               fmt::format("CREATE SCHEMA \"{}\" AUTHORIZATION \"plain role\"", schema_)});
  EXPECT_EQ(server_.sql({"SELECT (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR "
                         "rolbypassrls OR has_database_privilege('plain role',current_database(),"
                         "'CREATE'))::text FROM pg_roles WHERE rolname='plain role'"}),
            "false");
  auto store = open_postgresql_state(options("plain role"));
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_FALSE(has((*store)->condition().warning, "may do more"));
  auto ack = submit(**store, put(Table::marks, "m", "1"), Urgency::now, home_);
  EXPECT_TRUE(answer_of(ack));
  (*store)->close();
  // Nor may it read what others own.
  server_.sql({"CREATE TABLE public.others(a int)"});
  SocketLoop loop;
  const auto until = std::chrono::steady_clock::now() + 10s;
  auto connection = PostgresConnection::open(loop, server_.conninfo("plain role"), "test", until);
  ASSERT_TRUE(connection);
  EXPECT_FALSE((*connection)->run({"SELECT * FROM public.others", {}}, until));
}

TEST_F(PostgresGuards, SaysWhichStatementMakesTheMissingSchema) {
  server_.sql({"CREATE ROLE \"a\"\"b\" LOGIN"});
  const auto said = refusal(options("a\"b"), Errc::config);
  const auto advice = fmt::format("CREATE SCHEMA \"{}\" AUTHORIZATION \"a\"\"b\";", schema_);
  EXPECT_TRUE(has(said, advice)) << said;
  EXPECT_EQ(server_.sql({advice.substr(0, advice.size() - 1)}), "");
  auto store = open_postgresql_state(options("a\"b"));
  ASSERT_TRUE(store) << store.error().message;
}

TEST_F(PostgresGuards, SaysWhichStatementGivesARightInASchemaOfOthers) {
  server_.sql({"CREATE ROLE guest LOGIN", fmt::format("CREATE SCHEMA \"{}\"", schema_)});
  const auto said = refusal(options("guest"), Errc::config);
  const auto advice = fmt::format("ALTER SCHEMA \"{}\" OWNER TO \"guest\";", schema_);
  EXPECT_TRUE(has(said, advice)) << said;
  EXPECT_EQ(look(), "");
  server_.sql({advice.substr(0, advice.size() - 1)});
  auto store = open_postgresql_state(options("guest"));
  ASSERT_TRUE(store) << store.error().message;
}

TEST_F(PostgresGuards, NamesAWrongPasswordAndAMissingDatabase) {
  auto with = options();
  with.conninfo = fmt::format("host=127.0.0.1 port={} user=postgres password=wrong dbname=postgres",
                              server_.port());
  with.start_wait = 30s;  // not waited for: a person must act
  const auto password = refusal(with, Errc::config);
  EXPECT_TRUE(has(password, "password authentication failed")) << password;
  EXPECT_FALSE(has(password, "wrong")) << "the password itself is not shown: " << password;
  with.conninfo = server_.conninfo("postgres", "nowhere");
  const auto database = refusal(with, Errc::config);
  EXPECT_TRUE(has(database, "database \"nowhere\" does not exist")) << database;
  with.conninfo = "host=";
  with.conninfo = "no such thing";
  EXPECT_TRUE(has(refusal(with, Errc::config), "no connection string"));
}

TEST_F(PostgresGuards, GivesUpOnAServerThatIsNotThere) {
  auto with = options();
  with.conninfo = "host=127.0.0.1 port=1 user=postgres dbname=postgres";
  const auto said = refusal(with, Errc::state_away);
  EXPECT_TRUE(has(said, "Connection refused")) << said;
}

TEST_F(PostgresGuards, RefusesASecondDaemonAndNamesTheFirst) {
  auto first = open_postgresql_state(options());
  ASSERT_TRUE(first);
  const auto said = refusal(options(), Errc::locked);
  EXPECT_TRUE(has(said, "in use by another daemon")) << said;
  EXPECT_TRUE(has(said, "millrace test ")) << said;
  auto ack = submit(**first, put(Table::marks, "m", "1"), Urgency::now, home_);
  EXPECT_TRUE(answer_of(ack)) << "the first goes on";
  // Another schema of the same database is another store.
  auto with = options();
  with.schema = PostgresServer::fresh_schema();
  EXPECT_TRUE(open_postgresql_state(with));
  (*first)->close();
  EXPECT_TRUE(open_postgresql_state(options()));
}

TEST_F(PostgresGuards, StopsWhenAnotherDaemonTookTheStoreMeanwhile) {
  CuttingProxy proxy(server_.port());
  auto with = options();
  with.conninfo = fmt::format(
      "host=127.0.0.1 port={} user=postgres password=postgres dbname=postgres", proxy.port());
  with.heartbeat = 200ms;
  std::promise<Error> died;
  with.on_fatal = [&](Error error) { died.set_value(std::move(error)); };
  auto first = open_postgresql_state(with);
  ASSERT_TRUE(first);
  proxy.refuse(true);
  server_.sql(
      {"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
       "application_name LIKE 'millrace %'"});
  auto second_options = options();
  second_options.lock_wait = 20s;
  auto second = open_postgresql_state(second_options);
  ASSERT_TRUE(second) << second.error().message;
  auto late = submit(**first, put(Table::marks, "late", "1"), Urgency::now, home_);
  proxy.refuse(false);
  auto told = died.get_future();
  ASSERT_EQ(told.wait_for(60s), std::future_status::ready);
  const Error error = told.get();
  EXPECT_EQ(error.code, Errc::locked);
  EXPECT_TRUE(has(error.message, "another daemon took the state")) << error.message;
  (*first)->close();
  EXPECT_EQ((*second)->get(Table::marks, "late").value(), std::nullopt);
}

TEST_F(PostgresGuards, RefusesANewerFormatAndTouchesNothing) {
  ASSERT_TRUE(open_postgresql_state(options()));
  server_.sql({fmt::format("UPDATE \"{}\".format SET version=3", schema_),
               fmt::format("DROP TABLE \"{}\".audit CASCADE", schema_)});
  const auto before = look();
  const auto since = fmt::format("SELECT session || since FROM \"{}\".writer", schema_);
  const auto claimed = server_.sql({since});
  const auto said = refusal(options(), Errc::newer_format);
  EXPECT_TRUE(has(said, "has format 3, this program knows up to 2")) << said;
  EXPECT_EQ(look(), before);
  EXPECT_EQ(server_.sql({since}), claimed);
  const auto reader = open_postgresql_reader(options());
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code, Errc::newer_format);
}

TEST_F(PostgresGuards, BringsAnOlderFormatToItsOwn) {
  {
    auto store = open_postgresql_state(options());
    ASSERT_TRUE(store);
    auto ack = submit(**store, put(Table::marks, "kept", "1"), Urgency::now, home_);
    ASSERT_TRUE(answer_of(ack));
  }
  EXPECT_EQ(
      server_.sql({fmt::format("DROP TABLE \"{}\".writer", schema_),
                   fmt::format("CREATE TABLE \"{}\".writer(id boolean PRIMARY KEY DEFAULT "
                               "true CHECK(id),session text NOT NULL, serial bigint NOT NULL,"
                               "since timestamptz NOT NULL) WITH (fillfactor=10)",
                               schema_),
                   fmt::format("INSERT INTO \"{}\".writer VALUES(true,'old',7,now())", schema_),
                   fmt::format("UPDATE \"{}\".format SET version=1", schema_)}),
      "");
  // Who reads beside it needs no more than the rows.
  EXPECT_TRUE(open_postgresql_reader(options()));
  auto store = open_postgresql_state(options());
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->get(Table::marks, "kept").value(), "1");
  auto ack = submit(**store, put(Table::marks, "more", "1"), Urgency::now, home_);
  EXPECT_TRUE(answer_of(ack));
  EXPECT_EQ(server_.sql({fmt::format("SELECT version::text FROM \"{}\".format", schema_)}), "2");
  EXPECT_EQ(server_.sql({fmt::format("SELECT (instance='' AND session<>'old')::text || serial FROM "
                                     "\"{}\".writer",
                                     schema_)}),
            "true8");
}

TEST_F(PostgresGuards, ChangesNoFormatUnderInstancesThatWrite) {
  auto with = options();
  with.instance = "a";
  auto first = open_postgresql_state(with);
  ASSERT_TRUE(first) << first.error().message;
  server_.sql({fmt::format("UPDATE \"{}\".format SET version=1", schema_)});
  with.instance = "b";
  const auto said = refusal(with, Errc::locked);
  EXPECT_TRUE(has(said, "its format changes")) << said;
  auto ack = submit(**first, put(Table::marks, "m", "1"), Urgency::now, home_);
  EXPECT_TRUE(answer_of(ack));
}

TEST_F(PostgresGuards, RefusesAServerThatTakesNoWrites) {
  auto with = options();
  with.conninfo += " options='-c default_transaction_read_only=on'";
  const auto said = refusal(with, Errc::config);
  EXPECT_TRUE(has(said, "takes no writes")) << said;
}

TEST_F(PostgresGuards, InsistsOnSynchronousCommit) {
  auto with = options();
  with.conninfo += " options='-c synchronous_commit=off'";
  auto store = open_postgresql_state(with);
  ASSERT_TRUE(store);
  // As the writer's own session sees it: asked in a trigger.
  server_.sql({fmt::format("CREATE TABLE \"{}\".seen(what text)", schema_),
               fmt::format("CREATE FUNCTION \"{0}\".note() RETURNS trigger LANGUAGE plpgsql AS "
                           "$$BEGIN INSERT INTO \"{0}\".seen VALUES("
                           "current_setting('synchronous_commit')); RETURN NEW; END$$",
                           schema_),
               fmt::format("CREATE TRIGGER note BEFORE INSERT ON \"{0}\".marks FOR EACH ROW "
                           "EXECUTE FUNCTION \"{0}\".note()",
                           schema_)});
  auto ack = submit(**store, put(Table::marks, "m", "1"), Urgency::now, home_);
  ASSERT_TRUE(answer_of(ack));
  EXPECT_EQ(server_.sql({fmt::format("SELECT what FROM \"{}\".seen", schema_)}), "on");
  EXPECT_TRUE(has((*store)->condition().warning, "fsync=off")) << (*store)->condition().warning;
}

TEST_F(PostgresGuards, StopsWhenTheStoreWentBackInTime) {
  auto with = options();
  with.heartbeat = 200ms;
  std::promise<Error> died;
  with.on_fatal = [&](Error error) { died.set_value(std::move(error)); };
  auto store = open_postgresql_state(with);
  ASSERT_TRUE(store);
  for (int i = 0; i < 3; ++i) {
    auto ack = submit(**store, put(Table::marks, "m", std::to_string(i)), Urgency::now, home_);
    ASSERT_TRUE(answer_of(ack));
  }
  // As a standby would be that was promoted without the last commits.
  server_.sql({fmt::format("UPDATE \"{}\".writer SET serial=serial-1", schema_),
               "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
               "application_name LIKE 'millrace test%'"});
  auto told = died.get_future();
  ASSERT_EQ(told.wait_for(60s), std::future_status::ready);
  EXPECT_EQ(told.get().code, Errc::corrupt);
  (*store)->close();
}

TEST_F(PostgresGuards, ShowsReadableRowsToAnOperator) {
  auto store = open_postgresql_state(options());
  ASSERT_TRUE(store);
  auto ack = submit(**store, put(Table::xref, row_key("order", "mes", "o/1"), "{\"id\":\"Zoë\"}"),
                    Urgency::now, home_);
  ASSERT_TRUE(answer_of(ack));
  EXPECT_EQ(server_.sql({fmt::format("SELECT key || ' ' || value FROM \"{}\".readable WHERE "
                                     "\"table\"='xref'",
                                     schema_)}),
            "order\\000mes\\000o/1 {\"id\":\"Zoë\"}");
}

TEST_F(PostgresGuards, VerifiesValuesAlsoWhileADaemonRuns) {
  auto store = open_postgresql_state(options());
  ASSERT_TRUE(store);
  auto ack = submit(**store, put(Table::marks, "good", "{}"), Urgency::now, home_);
  ASSERT_TRUE(answer_of(ack));
  auto findings = verify_postgresql_state(options());
  ASSERT_TRUE(findings) << findings.error().message;
  EXPECT_TRUE(findings->empty());
  server_.sql({fmt::format("INSERT INTO \"{}\".marks VALUES('bad','no json')", schema_)});
  findings = verify_postgresql_state(options());
  ASSERT_TRUE(findings);
  ASSERT_EQ(findings->size(), 1u);
  EXPECT_TRUE(has(findings->front(), "marks bad: value is not JSON")) << findings->front();
}

}  // namespace

}  // namespace millrace
