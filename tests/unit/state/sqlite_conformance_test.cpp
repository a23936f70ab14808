// The SQLite store keeps the rules of every StateStore.
#include "conformance/state_store_suite.hpp"
#include "state/sqlite_state.hpp"
#include "temporary_directory.hpp"

namespace millrace::conformance {

namespace {

class SqliteHarness final : public StateStoreHarness {
 public:
  std::unique_ptr<StateStore> open(std::chrono::milliseconds commit_delay) override {
    SqliteStateOptions options;
    options.path = directory_.file("state.db");
    options.commit_delay = commit_delay;
    options.on_fatal = [](const Error& error) { abort_with(error.message, error.where); };
    auto store = open_sqlite_state(std::move(options));
    EXPECT_TRUE(store) << (store ? "" : store.error().message);
    return store ? *std::move(store) : nullptr;
  }
  std::chrono::milliseconds usual_delay() const override {
    return SqliteStateOptions().commit_delay;
  }

 private:
  TemporaryDirectory directory_;
};

}  // namespace

INSTANTIATE_TEST_SUITE_P(Sqlite, StateStoreSuite,
                         testing::Values(StateStoreMaker{
                             "file", [] { return std::make_unique<SqliteHarness>(); }}),
                         maker_name);

}  // namespace millrace::conformance
