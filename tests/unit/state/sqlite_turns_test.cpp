// Who writes many rows or pages is asked in between whether others may go first.
#include "state/sqlite_turns.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <thread>

#include "state/sqlite_connection.hpp"
#include "temporary_directory.hpp"

namespace millrace {
namespace {

class SqliteTurns : public testing::Test {
 protected:
  SqliteTurns() : connection_(*Connection::open(empty_file(), DatabaseMode::read_write)) {
    run("PRAGMA journal_mode=WAL");
    run("PRAGMA wal_autocheckpoint=0");
    run("CREATE TABLE pages(content)");
  }

  void run(const std::string& sql) {
    const auto done = connection_.execute(sql);
    ASSERT_TRUE(done) << done.error().message;
  }
  void commit_400_pages() { run("INSERT INTO pages VALUES(randomblob(400*4096))"); }
  void checkpoint() {
    const auto progress = connection_.checkpoint_passive();
    ASSERT_TRUE(progress);
    EXPECT_EQ(progress->copied_pages, progress->log_pages);
  }
  std::function<bool()> counting() {
    return [this] { return ++asked_ > 0; };
  }

  int asked_ = 0;

 private:
  std::string empty_file() const {
    std::string path = directory_.file("state.db");
    std::ofstream(path).close();
    return path;
  }

  TemporaryDirectory directory_;
  Connection connection_;
};

TEST_F(SqliteTurns, ACommitOfManyPagesIsAsked) {
  const WritesInTurn in_turn(counting());
  commit_400_pages();
  EXPECT_GE(asked_, 400 / 16);
}

TEST_F(SqliteTurns, ACheckpointIsAsked) {
  commit_400_pages();
  const WritesInTurn in_turn(counting());
  checkpoint();
  EXPECT_GE(asked_, 400 / 16);
}

TEST_F(SqliteTurns, ASmallCommitIsNot) {
  const WritesInTurn in_turn(counting());
  run("INSERT INTO pages VALUES(1)");
  EXPECT_EQ(asked_, 0);
}

TEST_F(SqliteTurns, NobodyIsAskedAfterItsEndOrOnAnotherThread) {
  {
    const WritesInTurn in_turn(counting());
  }
  commit_400_pages();
  const WritesInTurn in_turn(counting());
  std::thread([this] { checkpoint(); }).join();
  EXPECT_EQ(asked_, 0);
}

}  // namespace
}  // namespace millrace
