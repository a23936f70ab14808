// API keys of those who post events: "mk_<id>_<secret>". Only a salted hash is stored; the key
// itself is shown once, when it is made. Reads come from memory and never wait.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/clock.hpp"
#include "millrace/http.hpp"
#include "millrace/json.hpp"
#include "millrace/result.hpp"
#include "millrace/state_store.hpp"
#include "net/shard.hpp"

namespace millrace::ingress {

struct ApiKey {
  std::string id;
  std::string salt;
  std::string hash;                  ///< sha256 of salt and secret, hex
  std::vector<std::string> sources;  ///< patterns with `*`; any of them fits
  std::vector<std::string> types;
  std::string created_at;  ///< RFC 3339
  std::string note;
  std::string revoked_at;  ///< empty: valid

  bool allows(std::string_view source, std::string_view type) const;
};
using ApiKeyPtr = std::shared_ptr<const ApiKey>;

/// `*` stands for any text, also none; everything else for itself.
bool matches_pattern(std::string_view pattern, std::string_view text);
bool any_matches(const std::vector<std::string>& patterns, std::string_view text);

class KeyStore {
 public:
  /// Keys in one installation, revoked ones among them.
  static constexpr std::size_t kKeysMax = 10'000;

  KeyStore(StateStore& store, Clock& clock) : store_(store), clock_(clock) {}

  /// Reads all keys. Blocking: during start, before requests.
  Result<void> load();

  /// The valid key of an Authorization header ("Bearer mk_..."), or nullptr. Constant time in the
  /// secret.
  ApiKeyPtr authenticate(std::string_view authorization) const;

  struct Created {
    std::string id;
    std::string key;  ///< shown once
  };
  /// Durable when it returns. Empty lists are Errc::invalid_argument: a key allows what it names.
  Awaitable<Result<Created>> create_key(std::vector<std::string> sources,
                                        std::vector<std::string> types, std::string note,
                                        Shard& shard);
  /// Refused from the moment this returns. Errc::not_found; revoking twice is no error.
  Awaitable<Result<void>> revoke_key(std::string id, Shard& shard);
  /// [{id, sources, types, created_at, note, revoked_at}], no hashes.
  Json list_keys() const;

 private:
  using Keys = std::map<std::string, ApiKeyPtr, std::less<>>;
  std::shared_ptr<const Keys> keys() const;
  void put(ApiKeyPtr key);
  Awaitable<Result<void>> save(ApiKeyPtr key, Shard& shard);

  StateStore& store_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Keys> keys_ = std::make_shared<const Keys>();
};

}  // namespace millrace::ingress
