#include "ingress/key_store.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "millrace/ids.hpp"
#include "net/ascii.hpp"
#include "net/callback.hpp"

namespace millrace::ingress {
namespace {

constexpr std::size_t kPatternsMax = 64;
constexpr std::size_t kPatternBytesMax = 256;
constexpr std::size_t kNoteBytesMax = 1024;
constexpr std::size_t kIdBytes = 6;
constexpr std::size_t kSecretBytes = 32;

std::string hash_of(std::string_view salt, std::string_view secret) {
  return sha256_hex(std::string(salt).append(secret));
}

JsonArray to_array(const std::vector<std::string>& texts) {
  JsonArray array;
  for (const std::string& text : texts) array.emplace_back(text);
  return array;
}

std::vector<std::string> to_texts(const Json& object, std::string_view member) {
  std::vector<std::string> texts;
  const Json* list = find(object, member);
  if (list == nullptr || !list->is_array()) return texts;
  for (const Json& item : list->get_array()) {
    if (item.is_string()) texts.emplace_back(item.get_string());
  }
  return texts;
}

JsonObject describe(const ApiKey& key) {
  JsonObject object;
  object.emplace("sources", to_array(key.sources));
  object.emplace("types", to_array(key.types));
  object.emplace("created_at", key.created_at);
  object.emplace("note", key.note);
  object.emplace("revoked_at", key.revoked_at.empty() ? Json() : Json(key.revoked_at));
  return object;
}

std::string to_row(const ApiKey& key) {
  JsonObject object = describe(key);
  object.emplace("salt", key.salt);
  object.emplace("hash", key.hash);
  return write_json(Json(std::move(object)));
}

Result<ApiKeyPtr> from_row(const Row& row) {
  MILLRACE_TRY(json, parse_json(row.value));
  auto key = std::make_shared<ApiKey>();
  key->id = row.key;
  key->salt = string_or(json, "salt", "");
  key->hash = string_or(json, "hash", "");
  key->sources = to_texts(json, "sources");
  key->types = to_texts(json, "types");
  key->created_at = string_or(json, "created_at", "");
  key->note = string_or(json, "note", "");
  key->revoked_at = string_or(json, "revoked_at", "");
  if (key->hash.size() != 64) {
    return fail(Errc::corrupt, fmt::format("the API key {} has no hash in the state", row.key));
  }
  return key;
}

bool are_patterns(const std::vector<std::string>& patterns) {
  return !patterns.empty() && patterns.size() <= kPatternsMax &&
         std::all_of(patterns.begin(), patterns.end(), [](const std::string& pattern) {
           return !pattern.empty() && pattern.size() <= kPatternBytesMax;
         });
}

}  // namespace

bool any_matches(const std::vector<std::string>& patterns, std::string_view text) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return matches_pattern(pattern, text); });
}

bool matches_pattern(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = pattern.npos;
  std::size_t retry = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != pattern.npos) {
      p = star + 1;
      t = ++retry;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool ApiKey::allows(std::string_view source, std::string_view type) const {
  return any_matches(sources, source) && any_matches(types, type);
}

std::shared_ptr<const KeyStore::Keys> KeyStore::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

void KeyStore::put(ApiKeyPtr key) {
  const std::lock_guard lock(mutex_);
  auto changed = std::make_shared<Keys>(*keys_);
  const std::string id = key->id;
  changed->insert_or_assign(id, std::move(key));
  keys_ = std::move(changed);
}

Result<void> KeyStore::load() {
  MILLRACE_TRY(rows, store_.scan(Table::keys, "", "", kKeysMax));
  auto loaded = std::make_shared<Keys>();
  for (const Row& row : rows) {
    MILLRACE_TRY(key, from_row(row));
    loaded->emplace(row.key, std::move(key));
  }
  const std::lock_guard lock(mutex_);
  keys_ = std::move(loaded);
  return {};
}

ApiKeyPtr KeyStore::authenticate(std::string_view authorization) const {
  constexpr std::string_view kScheme = "bearer ";
  constexpr std::string_view kPrefix = "mk_";
  if (!equal_ignoring_case(authorization.substr(0, kScheme.size()), kScheme)) return nullptr;
  std::string_view text = authorization.substr(kScheme.size());
  if (!text.starts_with(kPrefix)) return nullptr;
  text.remove_prefix(kPrefix.size());
  const std::size_t bar = text.find('_');
  if (bar == text.npos) return nullptr;
  const auto all = keys();
  const auto found = all->find(text.substr(0, bar));
  if (found == all->end()) return nullptr;
  const ApiKeyPtr& key = found->second;
  const bool fits = equal_constant_time(hash_of(key->salt, text.substr(bar + 1)), key->hash);
  return fits && key->revoked_at.empty() ? key : nullptr;
}

Awaitable<Result<void>> KeyStore::save(ApiKeyPtr key, Shard& shard) {
  Batch batch;
  batch.put(Table::keys, key->id, to_row(*key));
  auto starter = [this, &shard, &batch](StateStore::CommitDone done) {
    store_.commit(std::move(batch), Urgency::now, shard, std::move(done));
  };
  auto committed = co_await await_callback<Result<void>>(shard, std::move(starter));
  if (committed) put(std::move(key));
  co_return committed;
}

Awaitable<Result<KeyStore::Created>> KeyStore::create_key(std::vector<std::string> sources,
                                                          std::vector<std::string> types,
                                                          std::string note, Shard& shard) {
  if (!are_patterns(sources) || !are_patterns(types)) {
    co_return fail(Errc::invalid_argument,
                   "name the sources and types the key may send, for example --source 'mes-*' "
                   "--type 'production_report.*'");
  }
  if (note.size() > kNoteBytesMax) {
    co_return fail(Errc::invalid_argument,
                   fmt::format("the note is longer than {} bytes", kNoteBytesMax));
  }
  if (keys()->size() >= kKeysMax) {
    co_return fail(Errc::conflict, fmt::format("there are {} API keys already", kKeysMax));
  }
  auto key = std::make_shared<ApiKey>();
  key->id = random_hex(kIdBytes);
  key->salt = random_hex(16);
  const std::string secret = random_hex(kSecretBytes);
  key->hash = hash_of(key->salt, secret);
  key->sources = std::move(sources);
  key->types = std::move(types);
  key->note = std::move(note);
  key->created_at = to_rfc3339(std::chrono::floor<seconds>(clock_.wall_now()));
  Created created{key->id, fmt::format("mk_{}_{}", key->id, secret)};
  MILLRACE_CO_CHECK_OK(co_await save(std::move(key), shard));
  co_return created;
}

Awaitable<Result<void>> KeyStore::revoke_key(std::string id, Shard& shard) {
  const auto all = keys();
  const auto found = all->find(id);
  if (found == all->end()) {
    co_return fail(Errc::not_found, fmt::format("there is no API key {}", id));
  }
  if (!found->second->revoked_at.empty()) co_return Result<void>();
  auto revoked = std::make_shared<ApiKey>(*found->second);
  revoked->revoked_at = to_rfc3339(std::chrono::floor<seconds>(clock_.wall_now()));
  auto saved = co_await save(std::move(revoked), shard);
  co_return saved;
}

Json KeyStore::list_keys() const {
  JsonArray list;
  for (const auto& [id, key] : *keys()) {
    JsonObject object{{"id", id}};
    for (auto& member : describe(*key)) object.emplace(member.key(), member.value());
    list.emplace_back(std::move(object));
  }
  return Json(std::move(list));
}

}  // namespace millrace::ingress
