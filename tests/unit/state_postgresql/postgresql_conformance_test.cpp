// The PostgreSQL store keeps the rules of every StateStore.
#include "conformance/state_store_suite.hpp"
#include "postgresql_server.hpp"

namespace millrace::conformance {

namespace {

class PostgresHarness final : public StateStoreHarness {
 public:
  std::unique_ptr<StateStore> open(std::chrono::milliseconds commit_delay) override {
    auto options = PostgresServer::shared().state_options(schema_);
    options.commit_delay = commit_delay;
    auto store = open_postgresql_state(std::move(options));
    EXPECT_TRUE(store) << (store ? "" : store.error().message);
    return store ? *std::move(store) : nullptr;
  }
  std::chrono::milliseconds usual_delay() const override {
    return PostgresStateOptions().commit_delay;
  }

 private:
  const std::string schema_ = PostgresServer::fresh_schema();
};

}  // namespace

INSTANTIATE_TEST_SUITE_P(Postgresql, StateStoreSuite,
                         testing::Values(StateStoreMaker{
                             "server", [] { return std::make_unique<PostgresHarness>(); }}),
                         maker_name);

}  // namespace millrace::conformance
