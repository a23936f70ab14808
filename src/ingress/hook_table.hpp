// What the configuration says about hooks, prepared for the hot path. Immutable; one per
// generation.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/model.hpp"
#include "ingress/body_picker.hpp"
#include "millrace/event.hpp"
#include "millrace/http.hpp"
#include "millrace/state_keys.hpp"

namespace millrace::ingress {

/// One connection that accepts hooks.
struct HookSource {
  enum class Kind : std::uint8_t {
    doorbell,  ///< read back later: the body names model and id (Odoo)
    payload    ///< the body is the record
  };
  std::string connection;
  Kind kind = Kind::payload;
  std::vector<std::string> tokens;
  std::optional<config::Verify> verify;
  std::size_t body_bytes_max = std::size_t{1} << 20;
  std::set<std::string, std::less<>> models;  ///< doorbells: the models that are read
  std::vector<MemberPath> paths;     ///< what to pick from the bytes: record first, then the id
  std::optional<Expression> record;  ///< only where `paths` cannot say it
  std::optional<Expression> id;
  bool has_id = false;
  /// An expression reads `$headers`: all headers without secrets are kept, not the short list only.
  bool keeps_headers = false;
  /// Messages are CloudEvents, of these sources and types; nothing of the above is said then.
  std::optional<config::EventScope> events;

  /// Constant time over all tokens.
  bool accepts_token(std::string_view token) const;
};

/// From what the configuration says.
HookSource prepare_source(const config::Config& config, const config::Connection& connection);

class HookTable {
 public:
  HookTable() = default;
  explicit HookTable(const config::Config& config);
  const HookSource* find(std::string_view connection) const;
  /// The largest body any connection takes: what the server must let through.
  std::size_t body_bytes_max() const { return body_bytes_max_; }

 private:
  std::map<std::string, HookSource, std::less<>> sources_;
  std::size_t body_bytes_max_ = std::size_t{1} << 20;
};
using HookTablePtr = std::shared_ptr<const HookTable>;

/// A hook as it goes into the inbox, or the news that nobody reads its model.
struct ReadHook {
  RawMessage message;
  bool model_not_read = false;
};

/// The message as it came, of kind payload: without its record and id.
RawMessage raw_message(const HookSource& source, const HttpHeaders& headers, std::string body,
                       WallTime now);

/// Reads record and id and moves `body` in. Never fails: what cannot be read becomes a message of
/// kind unreadable, which its partition (the connection's) carries to a dead letter.
ReadHook read_hook(const HookSource& source, const HttpHeaders& headers, std::string body,
                   WallTime now);

}  // namespace millrace::ingress
