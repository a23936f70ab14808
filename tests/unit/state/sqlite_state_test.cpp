// What only the SQLite store promises: its file, its lock, its failures.
#include "state/sqlite_state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "conformance/state_store_support.hpp"
#include "failing_vfs.hpp"
#include "state/blocking_commit.hpp"
#include "temporary_directory.hpp"

namespace millrace {

namespace {

using conformance::answer_of;
using conformance::code_of;
using conformance::put;
using conformance::submit;
using testing::HasSubstr;

class SqliteState : public testing::Test {
 protected:
  SqliteStateOptions options() {
    SqliteStateOptions options;
    options.path = path_;
    options.on_fatal = [this](Error error) { fatal_.set_value(std::move(error)); };
    return options;
  }
  std::unique_ptr<StateStore> open(SqliteStateOptions with) {
    auto store = open_sqlite_state(std::move(with));
    EXPECT_TRUE(store) << (store ? "" : store.error().message);
    return store ? *std::move(store) : nullptr;
  }
  std::unique_ptr<StateStore> open() { return open(options()); }

  /// Runs SQL on the file as an operator would.
  void sql(const std::string& text) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(database, text.c_str(), nullptr, nullptr, &message), SQLITE_OK)
        << message;
    sqlite3_free(message);
    sqlite3_close(database);
  }
  std::vector<std::string> files() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path()))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  Error fatal_error() {
    auto error = fatal_.get_future();
    EXPECT_EQ(error.wait_for(conformance::kAnswerLimit), std::future_status::ready);
    return error.get();
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_.file("state.db");
  std::promise<Error> fatal_;
};

TEST_F(SqliteState, LeavesOneWholeFileThatOnlyItsOwnerMayRead) {
  auto store = open();
  ASSERT_TRUE(commit_blocking(*store, put(Table::meta, "a", "1")));
  store.reset();
  EXPECT_EQ(files(), (std::vector<std::string>{"state.db", "state.db.lock"}));
  const auto mode = std::filesystem::status(path_).permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(SqliteState, ShowsJsonTextToAnOperator) {
  auto store = open();
  ASSERT_TRUE(commit_blocking(
      *store, put(Table::cursors, row_key(std::string("r"), std::string("7")), "{\"offset\":12}")));
  store.reset();
  // Fails on a value that is no text, or a key that is no blob.
  sql("CREATE TEMP TABLE seen(n INTEGER CHECK(n=1));"
      "INSERT INTO seen SELECT count(*) FROM cursors WHERE typeof(value)='text' AND "
      "typeof(key)='blob' AND key=x'720037' AND json_extract(value,'$.offset')=12;");
}

TEST_F(SqliteState, RefusesASecondProcessAndNamesTheFirst) {
  auto store = open();
  const auto second = open_sqlite_state(options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::locked);
  EXPECT_THAT(second.error().message, HasSubstr(path_));
  EXPECT_THAT(second.error().message, HasSubstr(std::to_string(::getpid())));
  ASSERT_TRUE(commit_blocking(*store, put(Table::meta, "a", "1")));
  store.reset();
  EXPECT_NE(open(), nullptr);
}

TEST_F(SqliteState, RefusesANewerFormatWithoutTouchingAnything) {
  open().reset();
  sql("PRAGMA journal_mode=DELETE; PRAGMA user_version=2;");
  std::filesystem::remove(path_ + ".lock");
  const auto read_all = [&] {
    std::ifstream file(path_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const auto before = read_all();
  const auto refused = open_sqlite_state(options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::newer_format);
  EXPECT_THAT(refused.error().message, HasSubstr("format 2"));
  EXPECT_EQ(files(), std::vector<std::string>{"state.db"});
  EXPECT_EQ(read_all(), before);
}

TEST_F(SqliteState, CarriesItsFormatInTheHeaderOfTheFileWhileItRuns) {
  auto store = open();
  ASSERT_TRUE(commit_blocking(*store, put(Table::meta, "a", "1")));
  std::array<char, 72> header{};
  std::ifstream(path_, std::ios::binary).read(header.data(), header.size());
  EXPECT_EQ(std::string(header.data() + 60, 4), std::string("\0\0\0\1", 4));
  EXPECT_EQ(std::string(header.data() + 68, 4), "MLRC");
}

TEST_F(SqliteState, RefusesFilesThatAreNotAStateStore) {
  sql("CREATE TABLE accounts(id INTEGER);");
  auto refused = open_sqlite_state(options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::corrupt);
  EXPECT_EQ(files(), std::vector<std::string>{"state.db"});

  std::ofstream(path_, std::ios::trunc) << std::string(200, 'x');
  refused = open_sqlite_state(options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::corrupt);
}

TEST_F(SqliteState, OpensAFileWhoseCreationWasCutShort) {
  std::ofstream(path_).close();
  auto store = open();
  ASSERT_NE(store, nullptr);
  EXPECT_TRUE(commit_blocking(*store, put(Table::meta, "a", "1")));
}

TEST_F(SqliteState, NamesTheMissingDirectory) {
  auto with = options();
  with.path = directory_.file("no/such/state.db");
  const auto refused = open_sqlite_state(std::move(with));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("no/such/state.db"));
}

TEST_F(SqliteState, SyncsTheLogForEveryTransaction) {
  FailingVfs vfs;
  auto store = open();
  ASSERT_TRUE(commit_blocking(*store, put(Table::meta, "warm", "1")));
  for (int i = 0; i < 20; ++i) {
    const int before = vfs.log_syncs();
    ASSERT_TRUE(commit_blocking(*store, put(Table::meta, "a", std::to_string(i))));
    EXPECT_GE(vfs.log_syncs(), before + 1);
  }
}

TEST_F(SqliteState, TellsAFullDiskAndGoesOnWhenThereIsRoom) {
  auto with = options();
  with.pages_max = 64;
  auto store = open(std::move(with));
  const std::string value(3000, 'x');
  int written = 0;
  Result<void> last;
  for (; written < 1000; ++written) {
    last = commit_blocking(*store, put(Table::parked, std::to_string(written), value));
    if (!last) break;
  }
  ASSERT_EQ(code_of(last), Errc::disk_full);
  EXPECT_GT(written, 0);
  const StateCondition full = store->condition();
  EXPECT_TRUE(full.full_at);
  EXPECT_NE(full.full_reason.find("full"), std::string::npos) << full.full_reason;
  ASSERT_TRUE(commit_blocking(*store, Batch{}));  // needs no space
  EXPECT_EQ(store->condition().full_at, full.full_at);
  // All or nothing, and nothing that was acknowledged is gone.
  EXPECT_EQ(store->count(Table::parked, "").value_or(0), static_cast<std::uint64_t>(written));
  Batch erase;
  for (int i = 0; i < written; ++i) erase.erase(Table::parked, std::to_string(i));
  ASSERT_TRUE(commit_blocking(*store, std::move(erase)));
  EXPECT_TRUE(commit_blocking(*store, put(Table::parked, "again", value)));
  EXPECT_FALSE(store->condition().full_at);
}

TEST_F(SqliteState, TellsEveryBatchOfATransactionThatMetAFullDisk) {
  FailingVfs vfs;
  conformance::ThreadExecutor home;
  auto with = options();
  with.commit_delay = conformance::kForever;
  auto store = open(std::move(with));
  ASSERT_TRUE(commit_blocking(*store, put(Table::meta, "kept", "1")));
  vfs.fill_disk(true);
  auto lazy = submit(*store, put(Table::meta, "a", "1"), Urgency::soon, home);
  auto urgent = submit(*store, put(Table::meta, "b", "1"), Urgency::now, home);
  EXPECT_EQ(code_of(answer_of(lazy)), Errc::disk_full);
  EXPECT_EQ(code_of(answer_of(urgent)), Errc::disk_full);
  vfs.fill_disk(false);
  EXPECT_TRUE(commit_blocking(*store, put(Table::meta, "c", "1")));
  EXPECT_EQ(store->count(Table::meta, "").value_or(0), 2u);
  store.reset();
  store = open();
  EXPECT_EQ(store->count(Table::meta, "").value_or(0), 2u);
}

TEST_F(SqliteState, StopsForGoodWhenASyncFails) {
  FailingVfs vfs;
  auto store = open();
  ASSERT_TRUE(commit_blocking(*store, put(Table::meta, "a", "1")));
  vfs.fail_log_syncs(true);
  const auto refused = commit_blocking(*store, put(Table::meta, "b", "1"));
  EXPECT_EQ(code_of(refused), Errc::disk_failed);
  EXPECT_EQ(fatal_error().code, Errc::disk_failed);
  // The disk says it is well again, but what it lost is unknown: nothing is accepted any more.
  vfs.fail_log_syncs(false);
  conformance::ThreadExecutor home;
  bool completed = false;
  store->commit(put(Table::meta, "c", "1"), Urgency::now, home,
                [&](const Result<void>&) { completed = true; });
  store.reset();
  EXPECT_FALSE(completed);
}

TEST_F(SqliteState, StopsForGoodWhenACheckpointsSyncFails) {
  FailingVfs vfs;
  auto with = options();
  with.wal_soft_bytes = 4096;
  auto store = open(std::move(with));
  vfs.fail_database_syncs(true);
  // Durable in the log, but the checkpoint may stop the store before it can say so.
  (void)commit_blocking(*store, put(Table::meta, "a", std::string(20'000, 'x')));
  EXPECT_EQ(fatal_error().code, Errc::disk_failed);
}

TEST_F(SqliteState, BoundsItsWriteAheadLogUnderSteadyWrites) {
  auto with = options();
  with.wal_soft_bytes = 64 << 10;
  with.wal_hard_bytes = 256 << 10;
  auto store = open(std::move(with));
  conformance::ThreadExecutor home;
  std::vector<conformance::Ack> acks;
  for (int i = 0; i < 2000; ++i) {
    Batch batch;
    for (int row = 0; row < 10; ++row)
      batch.put(Table::projections, std::to_string(row * 2000 + i), std::string(700, 'x'));
    acks.push_back(submit(*store, std::move(batch), Urgency::now, home));
    if (i % 50 == 0) acks.back().wait();
  }
  for (auto& ack : acks) ASSERT_TRUE(answer_of(ack));
  // 14 MB of rows went through. A checkpoint may fall behind by a few transactions of 2,000 rows.
  EXPECT_LT(std::filesystem::file_size(path_ + "-wal"), 8u << 20);
  EXPECT_EQ(store->count(Table::projections, "").value_or(0), 20'000u);
}

TEST_F(SqliteState, VerifiesASoundStoreAlsoWhileItRuns) {
  auto store = open();
  ASSERT_TRUE(commit_blocking(*store, put(Table::cursors, "a", "{\"offset\":1}")));
  store->set_journal_ends([] { return "opaque"; });
  ASSERT_TRUE(commit_blocking(*store, put(Table::cursors, "b", "{}")));
  auto findings = verify_sqlite_state(path_);
  ASSERT_TRUE(findings) << findings.error().message;
  EXPECT_TRUE(findings->empty());
  store.reset();
  findings = verify_sqlite_state(path_);
  ASSERT_TRUE(findings);
  EXPECT_TRUE(findings->empty());
}

TEST_F(SqliteState, FindsAValueThatIsNotJson) {
  auto store = open();
  ASSERT_TRUE(commit_blocking(*store, put(Table::cursors, std::string("a\0b", 3), "{broken")));
  store.reset();
  const auto findings = verify_sqlite_state(path_);
  ASSERT_TRUE(findings);
  ASSERT_EQ(findings->size(), 1u);
  EXPECT_THAT(findings->front(), HasSubstr("cursors a/b"));
}

TEST_F(SqliteState, FindsADamagedPage) {
  auto store = open();
  Batch batch;
  for (int i = 0; i < 500; ++i)
    batch.put(Table::parked, std::to_string(i), "\"" + std::string(500, 'x') + "\"");
  ASSERT_TRUE(commit_blocking(*store, std::move(batch)));
  store.reset();
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(path_) / 2 / 4096 * 4096));
  file << std::string(4096, '\xa5');
  file.close();
  const auto findings = verify_sqlite_state(path_);
  ASSERT_TRUE(findings);
  EXPECT_FALSE(findings->empty());
}

TEST_F(SqliteState, VerifyCreatesNothing) {
  EXPECT_FALSE(verify_sqlite_state(path_));
  EXPECT_TRUE(files().empty());
}

}  // namespace

}  // namespace millrace
