// kill -9 in the middle of commits: what was acknowledged is there afterwards. (A kill does not
// show a missing sync; SqliteState.SyncsTheLogForEveryTransaction and the failing file layer do.)
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "conformance/state_store_support.hpp"
#include "state/sqlite_state.hpp"
#include "temporary_directory.hpp"

namespace millrace {

namespace {

constexpr std::uint32_t kBatchesMax = 200'000;
constexpr int kRowsPerBatch = 3;

std::string key_of(std::uint32_t batch, int row) {
  return fmt::format("{:08}/{}", batch, row);
}

/// Runs in the child until it is killed: commits batches and writes the number of each acknowledged
/// one to `pipe`.
[[noreturn]] void commit_until_killed(const std::string& path, int pipe) {
  SqliteStateOptions options;
  options.path = path;
  options.commit_delay = std::chrono::milliseconds(1);
  options.wal_soft_bytes = 256 << 10;  // checkpoints happen in between
  options.on_fatal = [](const Error&) { ::_exit(3); };
  auto store = open_sqlite_state(std::move(options));
  if (!store) ::_exit(2);
  conformance::ThreadExecutor home;
  std::vector<conformance::Ack> window;
  for (std::uint32_t i = 0; i < kBatchesMax; ++i) {
    Batch batch;
    for (int row = 0; row < kRowsPerBatch; ++row)
      batch.put(Table::projections, key_of(i, row), std::string(300, 'x'));
    (*store)->commit(std::move(batch), i % 5 == 0 ? Urgency::now : Urgency::soon, home,
                     [pipe, i](const Result<void>& result) {
                       if (!result || ::write(pipe, &i, sizeof i) != sizeof i) ::_exit(4);
                     });
    if (i % 64 == 63) {
      auto ack = conformance::submit(**store, {}, Urgency::now, home);
      if (!conformance::answer_of(ack)) ::_exit(5);
    }
  }
  ::_exit(0);
}

/// Starts a child, kills it once it acknowledged `acks` batches, and returns all it acknowledged.
std::vector<std::uint32_t> acknowledged_before_kill(const std::string& path, std::size_t acks) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  EXPECT_GE(child, 0);
  if (child == 0) {
    ::close(ends[0]);
    commit_until_killed(path, ends[1]);
  }
  ::close(ends[1]);
  std::vector<std::uint32_t> numbers;
  std::uint32_t number = 0;
  bool killed = false;
  while (::read(ends[0], &number, sizeof number) == sizeof number) {
    numbers.push_back(number);
    if (numbers.size() < acks || killed) continue;
    EXPECT_EQ(::kill(child, SIGKILL), 0);
    killed = true;
  }
  ::close(ends[0]);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << status;
  return numbers;
}

TEST(SqliteStateCrash, KeepsEveryAcknowledgedBatchWholeAfterKill9) {
  for (const std::size_t acks : {1u, 50u, 333u, 2500u}) {
    TemporaryDirectory directory;
    const auto path = directory.file("state.db");
    const auto numbers = acknowledged_before_kill(path, acks);
    ASSERT_GE(numbers.size(), acks);

    SqliteStateOptions options;
    options.path = path;
    auto store = open_sqlite_state(std::move(options));
    ASSERT_TRUE(store) << store.error().message;
    std::vector<std::string> keys;
    for (const auto number : numbers)
      for (int row = 0; row < kRowsPerBatch; ++row) keys.push_back(key_of(number, row));
    const auto values = (*store)->get_many(Table::projections, keys);
    ASSERT_TRUE(values);
    for (std::size_t i = 0; i < keys.size(); ++i)
      ASSERT_TRUE((*values)[i]) << keys[i] << " was acknowledged and is gone";
    // A batch that was not acknowledged is there whole or not at all.
    EXPECT_EQ((*store)->count(Table::projections, "").value_or(1) % kRowsPerBatch, 0u);
    (*store)->close();
    const auto findings = verify_sqlite_state(path);
    ASSERT_TRUE(findings);
    // The values of this test are no JSON; damage would be named first and alone.
    ASSERT_FALSE(findings->empty());
    EXPECT_NE(findings->front().find("value is not JSON"), std::string::npos) << findings->front();
  }
}

}  // namespace

}  // namespace millrace
