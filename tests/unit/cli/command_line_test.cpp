#include "cli/command_line.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "admin/admin_api.hpp"
#include "admin/admin_token.hpp"
#include "millrace/ids.hpp"

namespace millrace::cli {
namespace {

struct Ran {
  int code;
  std::string out;
  std::string err;
};

Ran run(std::vector<std::string> arguments, const std::string& input = "") {
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  const int code = run_command_line(std::move(arguments), in, out, err, WallTime());
  return {code, out.str(), err.str()};
}

class Directory {
 public:
  Directory() { std::filesystem::create_directory(path); }
  ~Directory() { std::filesystem::remove_all(path); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("millrace-cli-" + random_hex(8));
};

Awaitable<Result<Json>> echo(Json args) {
  co_return args;
}
Awaitable<Result<Json>> unknown(Json) {
  co_return fail(Errc::not_found, "there is no dead letter x\x1b[2J");
}
Awaitable<Result<Json>> wrong(Json) {
  co_return Json{{"problems", {{{"what", "the disk is full"}}}}};
}

/// A real admin plane on port 0.
class DaemonTest : public ::testing::Test {
 protected:
  DaemonTest() {
    auto token = admin::ensure_admin_token(directory.path);
    EXPECT_TRUE(token.has_value());
    admin::AdminApi::Options options;
    options.token = *token;
    api = std::make_unique<admin::AdminApi>(std::move(options));
    for (const char* name : {"where", "dead.list", "dead.resubmit", "parked.release", "fetch",
                             "keys.create", "keys.revoke", "routes.pause"}) {
      api->add(admin::operation(name, echo));
    }
    api->add(admin::operation("dead.show", unknown));
    api->add(admin::operation("status", wrong));
    shard.start();
    auto made = make_http_server({&shard}, {}, api->handler());
    EXPECT_TRUE(made.has_value());
    server = *std::move(made);
    server->start();
  }
  ~DaemonTest() override {
    server->stop(seconds(10));
    server.reset();
    shard.stop(seconds(10));
  }

  Ran call(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(),
                     {"--admin", "127.0.0.1:" + std::to_string(server->port()), "--token-file",
                      (directory.path / admin::kAdminTokenFile).string(), "--json"});
    return run(std::move(arguments));
  }

  Directory directory;
  Shard shard{"test"};
  std::unique_ptr<admin::AdminApi> api;
  std::unique_ptr<HttpServer> server;
};

TEST_F(DaemonTest, SendsArgumentsWhereTheOperationTakesThem) {
  EXPECT_EQ(call({"where", "a/b c&d"}).out, "{\"key\":\"a/b c&d\"}\n");
  EXPECT_EQ(call({"dead", "list", "--route", "r"}).out, "{\"limit\":\"100\",\"route\":\"r\"}\n");
  EXPECT_EQ(call({"dead", "resubmit", "r/7", "--again", "--reason", "ü"}).out,
            "{\"id\":\"r/7\",\"again\":true,\"reason\":\"ü\"}\n");
  EXPECT_EQ(call({"parked", "release", "7", "--not-applied", "--reason", "looked"}).out,
            "{\"id\":\"7\",\"applied\":false,\"reason\":\"looked\"}\n");
  EXPECT_EQ(call({"fetch", "odoo", "sale.order", "55"}).out,
            "{\"connection\":\"odoo\",\"model\":\"sale.order\",\"id\":\"55\"}\n");
  EXPECT_EQ(call({"key", "create", "--source", "mes-*", "--type", "a.*", "--type", "b.*"}).out,
            "{\"sources\":[\"mes-*\"],\"types\":[\"a.*\",\"b.*\"],\"note\":\"\"}\n");
  EXPECT_EQ(call({"key", "revoke", "abc"}).out, "{\"id\":\"abc\"}\n");
}

TEST_F(DaemonTest, ExitsWithTheSameCodeWithAndWithoutJson) {
  EXPECT_EQ(call({"status"}).code, 1);
  const auto missing = call({"dead", "show", "x"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_EQ(missing.err, "millrace: there is no dead letter x\\x1b[2J\n");
  EXPECT_EQ(call({"routes", "list"}).code, 1) << "404: this daemon lacks the operation";
}

TEST_F(DaemonTest, SaysWhenTheTokenIsWrong) {
  const auto other = directory.path / "other";
  std::ofstream(other) << std::string(64, 'b') << '\n';
  const auto refused = run({"--admin", "127.0.0.1:" + std::to_string(server->port()),
                            "--token-file", other.string(), "where", "x"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("admin.token"), std::string::npos) << refused.err;
}

TEST_F(DaemonTest, SaysWhenNobodyListens) {
  const auto port = std::to_string(server->port());
  server->stop(seconds(10));
  const auto refused = call({"status"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("cannot reach millraced at 127.0.0.1:" + port + ": is it running?"),
            std::string::npos)
      << refused.err;
}

TEST_F(DaemonTest, NeverSendsTheTokenToAnotherMachine) {
  const auto refused = run({"--admin", "192.0.2.1:8481", "--token-file",
                            (directory.path / admin::kAdminTokenFile).string(), "status"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("not on this machine"), std::string::npos) << refused.err;
}

TEST(CommandLine, ExitsWithTwoOnWrongUse) {
  EXPECT_EQ(run({}).code, 2);
  EXPECT_EQ(run({"nothing"}).code, 2);
  EXPECT_EQ(run({"dead"}).code, 2);
  EXPECT_EQ(run({"dead", "discard", "7"}).code, 2) << "a reason is required";
  EXPECT_EQ(run({"parked", "release", "7", "--applied", "--absent"}).code, 2);
  EXPECT_EQ(run({"parked", "release", "7", "--not-applied"}).code, 2);
  EXPECT_EQ(run({"--help"}).code, 0);
  EXPECT_EQ(run({"--version"}).out, "millrace " MILLRACE_VERSION "\n");
}

TEST(CommandLine, EvaluatesAnExpression) {
  const auto ran = run({"eval", ".a + 1"}, "{\"a\":1}");
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, "2\n");
}

TEST(CommandLine, InitMakesAConfigurationWithoutFindings) {
  const Directory directory;
  const std::string made = (directory.path / "plant").string();
  const auto init = run({"init", made});
  ASSERT_EQ(init.code, 0) << init.err;
  EXPECT_NE(init.out.find("millraced --config " + made), std::string::npos);
  const auto lint = run({"lint", made, "--strict"});
  EXPECT_EQ(lint.code, 0) << lint.out;
  struct stat status{};
  ASSERT_EQ(stat((made + "/secrets/shop_hook").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(run({"init", made}).code, 2) << "it never overwrites";
  const auto verify = run({"--config", made, "log", "verify"});
  EXPECT_EQ(verify.code, 2) << "there is no log yet";
}

TEST(CommandLine, FindsTheDaemonAlsoWithABrokenConfiguration) {
  const Directory directory;
  const std::string made = (directory.path / "plant").string();
  ASSERT_EQ(run({"init", made}).code, 0);
  std::ofstream(made + "/broken.yaml") << "route: x\nform: typo\n";
  EXPECT_EQ(run({"lint", "--config", made}).code, 1);
  const auto status = run({"status", "--config", made});
  EXPECT_EQ(status.code, 2);
  EXPECT_NE(status.err.find(made + "/data/admin.token"), std::string::npos) << status.err;
}

}  // namespace
}  // namespace millrace::cli
