// `millrace init`: the smallest configuration that takes a message in and delivers it.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <ostream>

#include "cli/offline.hpp"
#include "millrace/ids.hpp"

namespace millrace::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kInstallation = R"(name: millrace
environment: dev
listen: 127.0.0.1:8480      # messages come in here
admin: 127.0.0.1:8481       # the command line and /metrics
log: { files: data/log }    # relative to this directory; /var/lib/millrace in production
state: { sqlite: data/state.db }
secrets: { directory: secrets }
)";

constexpr std::string_view kShop =
    R"(# Whoever posts orders: POST /hooks/shop/<token>, the body is the order.
connection: shop
type: hook
hook_tokens: [ "${secret.shop_hook}" ]
record: .number             # whose news it is; messages of one record keep their order
version: .version           # grows with each change; an older message that arrives late is dropped
---
entity: order
version: 1
key: .number
from:
  - connection: shop
    map: |
      { number: .number, state: .state, total: .total }
events:
  confirmed: .state == "confirmed" and $before.state != "confirmed"
  changed: true
schema: schemas/order.v1.json
)";

constexpr std::string_view kMes =
    R"(# Where orders go. Anything that answers HTTP on this address will do for a first try.
connection: mes
type: http
url: http://127.0.0.1:9090
idempotent: true            # honours Idempotency-Key, so an unanswered request may be sent again
---
route: order-to-mes
summary: Confirmed orders become work orders
from: order
to: mes
requests:
  confirmed:
    method: POST
    path: /work-orders
    body: |
      { orderNo: .data.number, total: .data.total }
)";

constexpr std::string_view kTest = R"(test: a confirmed order reaches the MES
given:
  event: order.confirmed
  data: { number: S1, state: confirmed, total: 12 }
expect:
  - route: order-to-mes
    sends: { method: POST, path: /work-orders, body: { orderNo: S1, total: 12 } }
)";

constexpr std::string_view kSchema = R"({
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "required": [ "number", "state" ],
  "properties": {
    "number": { "type": "string" },
    "state": { "enum": [ "draft", "confirmed", "cancelled" ] },
    "total": { "type": [ "number", "null" ] }
  }
}
)";

Result<void> write_new(const fs::path& file, std::string_view text, mode_t mode) {
  const int descriptor = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (descriptor < 0) {
    return fail(Errc::conflict,
                fmt::format("cannot create {}: {}", file.string(), std::strerror(errno)));
  }
  const bool written =
      write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  close(descriptor);
  if (written) return {};
  return fail(Errc::disk_failed,
              fmt::format("cannot write {}: {}", file.string(), std::strerror(error)));
}

Result<void> make_directory(const fs::path& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return fail(Errc::conflict,
              fmt::format("cannot create {}: {}", path.string(), std::strerror(errno)));
}

Result<std::string> write_all(const fs::path& directory) {
  std::error_code ignored;
  fs::create_directories(directory.parent_path(), ignored);
  MILLRACE_CHECK_OK(make_directory(directory, 0755));
  if (!fs::is_empty(directory, ignored)) {
    return fail(Errc::conflict,
                fmt::format("{} is not empty: give a new directory", directory.string()));
  }
  MILLRACE_CHECK_OK(make_directory(directory / "schemas", 0755));
  MILLRACE_CHECK_OK(make_directory(directory / "secrets", 0700));
  MILLRACE_CHECK_OK(make_directory(directory / "data", 0700));
  const std::array<std::pair<const char*, std::string_view>, 5> files{
      std::pair{"millrace.yaml", kInstallation},
      {"shop.yaml", kShop},
      {"mes.yaml", kMes},
      {"tests.yaml", kTest},
      {"schemas/order.v1.json", kSchema}};
  for (const auto& [name, text] : files) {
    MILLRACE_CHECK_OK(write_new(directory / name, text, 0644));
  }
  std::string token = random_hex(16);
  MILLRACE_CHECK_OK(write_new(directory / "secrets/shop_hook", token + "\n", 0600));
  return token;
}

}  // namespace

int run_init(const Session& session, const std::string& directory) {
  std::error_code ignored;
  const fs::path path = fs::absolute(directory, ignored).lexically_normal();
  const auto token = write_all(path.has_filename() ? path : path.parent_path());
  if (!token) return cannot(session, token.error());
  if (session.json) {
    session.out << write_json(Json{{"directory", path.string()}}) << '\n';
    return kOk;
  }
  session.out << fmt::format(
      "{0} is ready.\n"
      "next: millraced --config {0}\n"
      "then: curl -H 'Content-Type: application/json' \\\n"
      "        -d '{{\"number\":\"S1\",\"version\":1,\"state\":\"confirmed\",\"total\":12}}' \\\n"
      "        http://127.0.0.1:8480/hooks/shop/$(cat {0}/secrets/shop_hook)\n"
      "      millrace --config {0} where S1\n",
      path.string());
  return kOk;
}

}  // namespace millrace::cli
