// Calls to sources from any shard: each hops to the home shard of its connection, where the reader
// lives, waits there for a free place among `in_flight`, and returns to its caller.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "millrace/record_reader.hpp"
#include "millrace/share.hpp"
#include "net/shard.hpp"
#include "net/tasks.hpp"

namespace millrace::canon {

struct SourceStatus {
  std::string state = "unknown";  ///< up, down, unknown
  std::string reason;             ///< why it is down
  std::optional<WallTime> since;
  int in_flight = 0;
  std::size_t waiting = 0;
};

/// What collectors ask of a source. `caller` is the shard of the calling coroutine.
class ReadService {
 public:
  virtual ~ReadService() = default;
  virtual Awaitable<Result<std::vector<ReadRecord>>> read(Shard& caller, std::string connection,
                                                          ReadRequest request) = 0;
  virtual Awaitable<Result<std::vector<ListedRecord>>> list(Shard& caller, std::string connection,
                                                            ListRequest request) = 0;
  virtual Awaitable<Result<std::string>> server_time(Shard& caller, std::string connection) = 0;
  virtual Awaitable<Result<void>> check_plan(Shard& caller, std::string connection,
                                             std::string model, FieldPlan plan) = 0;
  virtual Awaitable<Result<std::string>> check(Shard& caller, std::string connection) = 0;
};

/// One connection's reader on its home shard.
class SourceReader : public std::enable_shared_from_this<SourceReader> {
 public:
  /// `reader` was made on `home`, which outlives this.
  SourceReader(Shard& home, std::string name, std::unique_ptr<RecordReader> reader,
               int in_flight_max, Clock& clock, SharePtr share = std::make_shared<Share>());

  /// Thread-safe.
  SourceStatus status() const;
  /// Thread-safe: calls that wait for a place end with Errc::stopping; the reader goes, on its
  /// shard, with the last call under way.
  void retire();

 private:
  friend class SourceReaders;
  template <typename T>
  class Reply;
  template <typename T>
  using Work = std::function<Awaitable<Result<T>>(RecordReader&)>;
  template <typename T>
  static Awaitable<Result<T>> call(std::shared_ptr<SourceReader> self, Shard& caller, Work<T> work);
  template <typename T>
  static Awaitable<void> run(std::shared_ptr<SourceReader> self, Work<T> work, Reply<T> reply);
  void begin();
  void end();
  void note(const Error* error);
  void count(int in_flight, int waiting);

  Shard& home_;
  const std::string name_;
  std::unique_ptr<RecordReader> reader_;
  const int in_flight_max_;
  Clock& clock_;
  const SharePtr share_;
  int in_flight_ = 0;
  bool retired_ = false;
  Notifier free_;
  mutable std::mutex status_mutex_;  ///< guards status_ alone, never held across an await
  SourceStatus status_;
};

/// The readers of all connections, by name; a reload replaces them.
class SourceReaders final : public ReadService {
 public:
  using Map = std::map<std::string, std::shared_ptr<SourceReader>, std::less<>>;

  /// Thread-safe. Readers that are no longer named retire.
  void set(Map readers);
  /// Thread-safe; `unknown` for a connection that is not read back.
  SourceStatus status(std::string_view connection) const;

  Awaitable<Result<std::vector<ReadRecord>>> read(Shard& caller, std::string connection,
                                                  ReadRequest request) override;
  Awaitable<Result<std::vector<ListedRecord>>> list(Shard& caller, std::string connection,
                                                    ListRequest request) override;
  Awaitable<Result<std::string>> server_time(Shard& caller, std::string connection) override;
  Awaitable<Result<void>> check_plan(Shard& caller, std::string connection, std::string model,
                                     FieldPlan plan) override;
  Awaitable<Result<std::string>> check(Shard& caller, std::string connection) override;

 private:
  std::shared_ptr<SourceReader> find(std::string_view connection) const;
  template <typename T>
  Awaitable<Result<T>> call(Shard& caller, std::string connection, SourceReader::Work<T> work);

  mutable std::mutex mutex_;  ///< guards readers_ alone
  Map readers_;
};

}  // namespace millrace::canon
