#include "ingress/dedupe_index.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "ingress/idempotency.hpp"
#include "millrace/event.hpp"

namespace millrace::ingress {
namespace {

/// Ids are kept in generations and forgotten a whole generation at a time: the window holds to an
/// eighth, and forgetting costs nothing per id.
constexpr std::size_t kGenerations = 8;
/// A key, its metadata byte, and the room a power-of-two table leaves, at worst.
constexpr std::size_t kBytesPerId = 40;

struct KeyHash {
  using is_avalanching = void;  // the key is a digest already
  std::size_t operator()(const RecordId& key) const noexcept { return key.low; }
};

RecordId digest(char kind, std::string_view source, std::string_view id) {
  thread_local std::string text;
  text.clear();
  text.push_back(kind);
  const std::uint64_t size = source.size();
  text.append(reinterpret_cast<const char*>(&size), sizeof size);
  text.append(source).append(id);
  unsigned char bytes[EVP_MAX_MD_SIZE];
  MILLRACE_INVARIANT(EVP_Digest(text.data(), text.size(), bytes, nullptr, EVP_sha256(), nullptr) ==
                     1);
  RecordId key;
  std::memcpy(&key.high, bytes, 8);
  std::memcpy(&key.low, bytes + 8, 8);
  return key;
}

struct Waiter {
  Executor* home;
  DedupeIndex::Settled settled;
};

}  // namespace

struct DedupeIndex::Stripe {
  struct Generation {
    boost::unordered_flat_set<RecordId, KeyHash> keys;
    std::uint64_t segment = 0;  ///< they lie in this segment or in one before it
    WallTime first;
    WallTime last;
  };

  std::mutex mutex;
  std::deque<Generation> generations;  // the oldest first
  std::unordered_map<RecordId, std::vector<Waiter>, KeyHash> pending;

  bool contains(RecordId key, WallTime since) const {
    return std::any_of(generations.rbegin(), generations.rend(), [&](const Generation& g) {
      return g.last >= since && g.keys.contains(key);
    });
  }

  // Returns how many ids were forgotten before their time.
  std::uint64_t insert(RecordId key, WallTime at, std::uint64_t segment, const Options& options) {
    const std::uint64_t total_max = options.bytes_max / kBytesPerId / kStripes;
    const std::uint64_t generation_max = std::max<std::uint64_t>(total_max / kGenerations, 1);
    while (!generations.empty() && generations.front().last < at - options.window) {
      generations.pop_front();
    }
    std::uint64_t forgotten = 0;
    if (generations.empty() || generations.back().segment != segment ||
        generations.back().keys.size() >= generation_max ||
        at - generations.back().first > options.window / kGenerations) {
      const std::uint64_t kept_max = std::max(total_max, generation_max) - generation_max;
      while (!generations.empty() && count() > kept_max) {
        forgotten += generations.front().keys.size();
        generations.pop_front();
      }
      generations.push_back({{}, segment, at, at});
    }
    generations.back().keys.insert(key);
    generations.back().last = std::max(generations.back().last, at);
    return forgotten;
  }

  std::uint64_t count() const {
    std::uint64_t sum = 0;
    for (const Generation& generation : generations) sum += generation.keys.size();
    return sum;
  }
};

RecordId hook_key(std::string_view connection, std::string_view id) {
  return digest('h', connection, id);
}

RecordId event_key(std::string_view source, std::string_view id) {
  return digest('e', source, id);
}

DedupeIndex::DedupeIndex(Options options) : options_(options) {
  for (auto& stripe : stripes_) stripe = std::make_unique<Stripe>();
}

DedupeIndex::~DedupeIndex() = default;

Seen DedupeIndex::begin(RecordId key, WallTime now) {
  Stripe& own = stripe(key);
  const std::lock_guard lock(own.mutex);
  if (own.pending.contains(key)) return Seen::duplicate_pending;
  if (own.contains(key, now - options_.window)) return Seen::duplicate_durable;
  own.pending.try_emplace(key);
  return Seen::fresh;
}

void DedupeIndex::end(RecordId key, bool durable, bool insert, WallTime now) {
  std::vector<Waiter> waiters;
  {
    Stripe& own = stripe(key);
    const std::lock_guard lock(own.mutex);
    const auto found = own.pending.find(key);
    if (found == own.pending.end()) return;
    waiters = std::move(found->second);
    own.pending.erase(found);
    if (insert) forgotten_early_ += own.insert(key, now, segment_, options_);
  }
  for (Waiter& waiter : waiters) {
    waiter.home->post(
        [durable, settled = std::move(waiter.settled)]() mutable { settled(durable); });
  }
}

void DedupeIndex::settle(RecordId key, bool durable, WallTime now) {
  end(key, durable, durable, now);
}

void DedupeIndex::settle_known(RecordId key) {
  end(key, true, false, {});
}

void DedupeIndex::when_settled(RecordId key, Executor& home, Settled settled) {
  bool durable = false;
  {
    Stripe& own = stripe(key);
    const std::lock_guard lock(own.mutex);
    const auto found = own.pending.find(key);
    if (found != own.pending.end()) {
      found->second.push_back({&home, std::move(settled)});
      return;
    }
    durable = own.contains(key, WallTime::min());
  }
  home.post([durable, settled = std::move(settled)]() mutable { settled(durable); });
}

bool DedupeIndex::contains(RecordId key, WallTime now) const {
  Stripe& own = stripe(key);
  const std::lock_guard lock(own.mutex);
  return own.contains(key, now - options_.window);
}

void DedupeIndex::remember(RecordId key, WallTime at) {
  Stripe& own = stripe(key);
  const std::lock_guard lock(own.mutex);
  if (!own.contains(key, at - options_.window)) {
    forgotten_early_ += own.insert(key, at, segment_, options_);
  }
}

void DedupeIndex::archived_below(std::uint64_t position) {
  for (const auto& stripe : stripes_) {
    const std::lock_guard lock(stripe->mutex);
    std::erase_if(stripe->generations,
                  [position](const auto& generation) { return generation.segment < position; });
  }
}

void DedupeIndex::ids_of(const LogRecord& record, std::vector<RecordId>& out) const {
  if (options_.journal == Journal::inbox) {
    const auto message = decode_raw_message(record.payload);
    if (message && !message->id.empty()) out.push_back(hook_key(message->connection, message->id));
    return;
  }
  // Only /events makes records of this form; reading the others as well would cost minutes.
  if (record.payload.find(R"("record":"events:)") == record.payload.npos) return;
  const auto event = decode_event(record.payload);
  if (!event || event->rev != 0) return;
  out.push_back(event_key(event->source, event->id));
  if (const auto request = RequestIds::parse(event->request)) {
    out.push_back(request->key);
    out.push_back(request->same);
  }
}

std::uint64_t DedupeIndex::size() const {
  std::uint64_t sum = 0;
  for (const auto& stripe : stripes_) {
    const std::lock_guard lock(stripe->mutex);
    sum += stripe->count();
  }
  return sum;
}

}  // namespace millrace::ingress
