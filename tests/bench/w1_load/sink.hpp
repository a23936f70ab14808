// The target system: records every order that arrives and answers 200, or 503 while refusing.
// One thread; runs until destroyed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>

#include "ledger.hpp"

namespace w1 {

inline constexpr std::uint32_t kPoisonedRun = 50;
inline bool is_poisoned(std::uint32_t sequence) {
  return sequence / kPoisonedRun % 2 == 1;
}

class Sink {
 public:
  /// Listens before it returns. The ledger outlives the sink.
  Sink(std::uint16_t port, Ledger& ledger);
  ~Sink();
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  /// While true every request is answered 503 and not recorded.
  void refuse(bool on) { refusing_ = on; }
  /// Orders in runs of kPoisonedRun, every other run, are answered with this status and not
  /// recorded; 0: none.
  void poison(int status) { poison_ = status; }
  std::uint64_t accepted() const { return accepted_; }
  std::uint64_t refused() const { return refused_; }
  /// Requests without a body.
  std::uint64_t checks() const { return checks_; }
  /// Bodies without a known order, or, of every 16th order, not exactly its canonical event.
  std::uint64_t malformed() const { return malformed_; }

 private:
  struct Connections;
  void run(Connections& connections);
  void record(std::string_view body);
  std::string_view answer_to(std::string_view body) const;

  Ledger& ledger_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> refusing_{false};
  std::atomic<int> poison_{0};
  std::atomic<std::uint64_t> accepted_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> checks_{0};
  std::atomic<std::uint64_t> malformed_{0};
  std::unique_ptr<Connections> connections_;
  std::thread thread_;
};

}  // namespace w1
