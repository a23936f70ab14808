#include "state/blocking_commit.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace millrace {

namespace {

/// Runs tasks where they are posted: a completion here only stores a result and wakes the waiter.
class InPlaceExecutor final : public Executor {
 public:
  void post(Task task) override { task(); }
};

/// Filled once, by the completion or by its destruction without a call.
class Answer {
 public:
  void set(Result<void> result) {
    const std::lock_guard lock(mutex_);
    if (!result_) result_ = std::move(result);
    answered_.notify_all();
  }
  Result<void> wait(milliseconds limit) {
    std::unique_lock lock(mutex_);
    const auto answered = [this] { return result_.has_value(); };
    if (!answered_.wait_for(lock, limit, answered))
      return fail(Errc::unanswered,
                  "the state store does not answer; it may still do what was asked for");
    return *result_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable answered_;
  std::optional<Result<void>> result_;
};

/// A store that failed for good destroys its completions: whoever waits must hear of it.
class Completion {
 public:
  explicit Completion(std::shared_ptr<Answer> answer) : answer_(std::move(answer)) {}
  Completion(Completion&&) = default;
  Completion& operator=(Completion&&) = delete;
  ~Completion() {
    if (answer_)
      answer_->set(fail(Errc::disk_failed,
                        "the state store stopped before the commit was durable; its log line says "
                        "why"));
  }
  void operator()(Result<void> result) { answer_->set(std::move(result)); }

 private:
  std::shared_ptr<Answer> answer_;
};

}  // namespace

Result<void> commit_blocking(StateStore& store, Batch batch, milliseconds limit) {
  static InPlaceExecutor executor;
  auto answer = std::make_shared<Answer>();
  store.commit(std::move(batch), Urgency::now, executor, Completion(answer));
  return answer->wait(limit);
}

}  // namespace millrace
