// A source in memory that tests write into: what is put is committed at once.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "canon/source_reader.hpp"

namespace millrace::canon::test {

class FakeSource final : public ReadService {
 public:
  /// Times are "2026-01-01 00:00:00"; an old create_date means history.
  void put(const std::string& model, std::int64_t id, JsonObject value,
           const std::string& write_date, const std::string& create_date = "2020-01-01 00:00:00");
  void remove(const std::string& model, std::int64_t id);
  /// Found records answer as hidden or failed from now on; `found` heals them.
  void set_state(const std::string& model, std::int64_t id, ReadRecord::State state);
  /// Every call fails until `heal`.
  void fail_with(Errc code, std::string message);
  void heal();
  /// The call number `calls` from now on, counted over readings, fails once.
  void fail_read_number(int calls);
  /// Readings see what they see and then wait for `release`.
  void hold();
  void release();
  void set_server_time(std::string time);

  int reads() const;  ///< calls
  int held() const;   ///< readings that wait
  int server_times() const;
  int times_read(const std::string& model, std::int64_t id) const;
  std::vector<std::size_t> batches() const;  ///< ids in each reading

  Awaitable<Result<std::vector<ReadRecord>>> read(Shard& caller, std::string connection,
                                                  ReadRequest request) override;
  Awaitable<Result<std::vector<ListedRecord>>> list(Shard& caller, std::string connection,
                                                    ListRequest request) override;
  Awaitable<Result<std::string>> server_time(Shard& caller, std::string connection) override;
  Awaitable<Result<void>> check_plan(Shard& caller, std::string connection, std::string model,
                                     FieldPlan plan) override;
  Awaitable<Result<std::string>> check(Shard& caller, std::string connection) override;

 private:
  struct Row {
    JsonObject value;
    std::string write_date;
    std::string create_date;
    ReadRecord::State state = ReadRecord::State::found;
  };
  ReadRecord look(const std::string& model, std::int64_t id) const;
  static bool fits(std::int64_t id, const Row& row, const Json& term);
  static std::int64_t listed_id(std::int64_t id, const Row& row, const ListRequest& request);

  mutable std::mutex mutex_;  // guards everything below
  std::map<std::string, std::map<std::int64_t, Row>> tables_;
  std::optional<Error> failure_;
  int fail_at_ = 0;
  bool held_ = false;
  int waiting_ = 0;
  int reads_ = 0;
  int times_ = 0;
  std::string time_ = "2026-01-01 00:00:00";
  std::map<std::pair<std::string, std::int64_t>, int> read_counts_;
  std::vector<std::size_t> batches_;
  std::vector<std::pair<Shard*, std::move_only_function<void(bool)>>> gates_;
};

}  // namespace millrace::canon::test
