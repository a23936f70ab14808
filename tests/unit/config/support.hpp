// Connectors without a system behind them, and directories that vanish.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "config/load.hpp"
#include "config/problems.hpp"
#include "millrace/ids.hpp"

namespace millrace::config::testing {

class FakeType final : public ConnectorType {
 public:
  FakeType(std::string name, const AnySpec& spec) : name_(std::move(name)), spec_(spec) {}
  std::string_view name() const override { return name_; }
  const AnySpec& spec() const override { return spec_; }
  Result<std::unique_ptr<Sink>> make_sink(const std::any&, ConnectionContext) const override {
    return fail(Errc::not_supported, "a fake");
  }
  Result<std::unique_ptr<RecordReader>> make_reader(const std::any&,
                                                    ConnectionContext) const override {
    return fail(Errc::not_supported, "a fake");
  }

 private:
  std::string name_;
  const AnySpec& spec_;
};

struct FakeOdooOptions {
  std::string database;
  std::string login;
  std::string api_key;
  std::string pace = "on_premise";
  std::string language = "en_US";
};
struct FakeAuth {
  std::string bearer;
};
struct FakeHttpOptions {
  std::optional<FakeAuth> auth;
  milliseconds timeout{30'000};
};
struct FakeHookOptions {};

/// odoo, http and hook with the keys that the real ones have.
const ConnectorRegistry& fake_connectors();

/// A directory under the system's temporary one, removed when it goes out of scope.
class Directory {
 public:
  Directory()
      : path_(std::filesystem::temp_directory_path() / ("millrace-config-" + random_hex(8))) {
    std::filesystem::create_directories(path_);
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  Directory& write(const std::string& file, std::string_view text) {
    std::filesystem::create_directories((path_ / file).parent_path());
    std::ofstream(path_ / file) << text;
    return *this;
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

inline LoadReport load_directory(const std::string& directory, bool without_secrets = true,
                                 std::map<std::string, std::string> environment = {}) {
  return load({directory, without_secrets, fake_connectors(), std::move(environment)});
}

/// A working installation; tests add the object under test.
inline constexpr std::string_view kInstallation =
    "name: plant\nlog: { files: log }\nstate: { sqlite: state.db }\n";
/// A hook, a target and an entity between them.
inline constexpr std::string_view kObjects = R"(
connection: shop
type: hook
hook_tokens: [ "${secret.shop}" ]
record: .id
version: .version
---
connection: mes
type: http
url: http://127.0.0.1:1
---
entity: order
key: .number
from:
  - connection: shop
    map: "{ number, state }"
events:
  confirmed: .state == "confirmed" and $before.state != "confirmed"
  changed: true
)";

inline LoadReport load_text(std::string_view text) {
  Directory directory;
  directory.write("millrace.yaml", kInstallation).write("objects.yaml", kObjects);
  directory.write("more.yaml", text);
  return load_directory(directory.path());
}

}  // namespace millrace::config::testing
