#include "canon/source_reader.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "net/callback.hpp"

namespace millrace::canon {

SourceReader::SourceReader(Shard& home, std::string name, std::unique_ptr<RecordReader> reader,
                           int in_flight_max, Clock& clock, SharePtr share)
    : home_(home),
      name_(std::move(name)),
      reader_(std::move(reader)),
      in_flight_max_(std::max(1, in_flight_max)),
      clock_(clock),
      share_(std::move(share)),
      free_(home.context()) {}

/// An answer that is always sent: a call that a stop destroys ends with Errc::stopping.
template <typename T>
class SourceReader::Reply {
 public:
  using Done = std::move_only_function<void(Result<T>)>;
  Reply(Shard& caller, Done done) : caller_(&caller), done_(std::move(done)) {}
  Reply(Reply&& other) noexcept
      : caller_(other.caller_), done_(std::exchange(other.done_, nullptr)) {}
  Reply& operator=(Reply&&) = delete;
  ~Reply() {
    if (done_) send(fail(Errc::stopping, "the call ended with its connection"));
  }
  void send(Result<T> value) {
    caller_->post([done = std::exchange(done_, nullptr), value = std::move(value)]() mutable {
      done(std::move(value));
    });
  }

 private:
  Shard* caller_;
  Done done_;
};

template <typename T>
Awaitable<Result<T>> SourceReader::call(std::shared_ptr<SourceReader> self, Shard& caller,
                                        Work<T> work) {
  auto start = [self, &caller, work = std::move(work)](typename Reply<T>::Done done) mutable {
    self->home_.spawn("read", run<T>(self, std::move(work), Reply<T>(caller, std::move(done))));
  };
  self.reset();
  Result<T> result = co_await await_callback<Result<T>>(caller, std::move(start));
  co_return result;
}

template <typename T>
Awaitable<void> SourceReader::run(std::shared_ptr<SourceReader> self, Work<T> work,
                                  Reply<T> reply) {
  self->count(0, 1);
  while (!self->retired_ && self->in_flight_ >= self->share_->of(self->in_flight_max_))
    co_await self->free_.wait();
  self->count(0, -1);
  if (self->retired_) {
    reply.send(fail(Errc::stopping, fmt::format("connection {} was replaced", self->name_)));
    co_return;
  }
  self->begin();
  auto result = co_await work(*self->reader_);
  self->note(result ? nullptr : &result.error());
  self->end();
  reply.send(std::move(result));
}

void SourceReader::begin() {
  ++in_flight_;
  count(1, 0);
}

void SourceReader::end() {
  --in_flight_;
  count(-1, 0);
  free_.notify();
  if (retired_ && in_flight_ == 0) reader_.reset();
}

void SourceReader::retire() {
  home_.post([self = shared_from_this()] {
    self->retired_ = true;
    self->free_.notify();
    if (self->in_flight_ == 0) self->reader_.reset();
  });
}

SourceStatus SourceReader::status() const {
  const std::lock_guard lock(status_mutex_);
  return status_;
}

void SourceReader::count(int in_flight, int waiting) {
  const std::lock_guard lock(status_mutex_);
  status_.in_flight += in_flight;
  status_.waiting += static_cast<std::size_t>(waiting);
}

void SourceReader::note(const Error* error) {
  // A call that a reload or a stop cut off says nothing about the source.
  if (retired_) return;
  const std::lock_guard lock(status_mutex_);
  const std::string state = error == nullptr ? "up" : "down";
  const std::string reason = error == nullptr ? "" : error->message;
  if (status_.state != state) {
    if (error != nullptr) {
      spdlog::warn("source is down connection={} error=\"{}\"", name_, reason);
    } else if (status_.state == "down") {
      spdlog::info("source is up again connection={}", name_);
    }
    status_.state = state;
    status_.since = clock_.wall_now();
  }
  status_.reason = reason;
}

void SourceReaders::set(Map readers) {
  Map old;
  {
    const std::lock_guard lock(mutex_);
    old = std::exchange(readers_, readers);
  }
  for (const auto& [name, reader] : old) {
    const auto kept = readers.find(name);
    if (kept == readers.end() || kept->second != reader) reader->retire();
  }
}

std::shared_ptr<SourceReader> SourceReaders::find(std::string_view connection) const {
  const std::lock_guard lock(mutex_);
  const auto found = readers_.find(connection);
  return found == readers_.end() ? nullptr : found->second;
}

SourceStatus SourceReaders::status(std::string_view connection) const {
  const auto reader = find(connection);
  return reader ? reader->status() : SourceStatus{};
}

template <typename T>
Awaitable<Result<T>> SourceReaders::call(Shard& caller, std::string connection,
                                         SourceReader::Work<T> work) {
  auto reader = find(connection);
  if (!reader) {
    co_return fail(Errc::not_found, fmt::format("connection '{}' is not read back", connection));
  }
  Result<T> result = co_await SourceReader::call<T>(std::move(reader), caller, std::move(work));
  co_return result;
}

Awaitable<Result<std::vector<ReadRecord>>> SourceReaders::read(Shard& caller,
                                                               std::string connection,
                                                               ReadRequest request) {
  SourceReader::Work<std::vector<ReadRecord>> work =
      [request = std::move(request)](RecordReader& reader) { return reader.read(request); };
  return call<std::vector<ReadRecord>>(caller, std::move(connection), std::move(work));
}

Awaitable<Result<std::vector<ListedRecord>>> SourceReaders::list(Shard& caller,
                                                                 std::string connection,
                                                                 ListRequest request) {
  SourceReader::Work<std::vector<ListedRecord>> work =
      [request = std::move(request)](RecordReader& reader) { return reader.list(request); };
  return call<std::vector<ListedRecord>>(caller, std::move(connection), std::move(work));
}

Awaitable<Result<std::string>> SourceReaders::server_time(Shard& caller, std::string connection) {
  SourceReader::Work<std::string> work = [](RecordReader& reader) { return reader.server_time(); };
  return call<std::string>(caller, std::move(connection), std::move(work));
}

Awaitable<Result<void>> SourceReaders::check_plan(Shard& caller, std::string connection,
                                                  std::string model, FieldPlan plan) {
  SourceReader::Work<void> work = [model = std::move(model),
                                   plan = std::move(plan)](RecordReader& reader) {
    return reader.check_plan(model, plan);
  };
  return call<void>(caller, std::move(connection), std::move(work));
}

Awaitable<Result<std::string>> SourceReaders::check(Shard& caller, std::string connection) {
  SourceReader::Work<std::string> work = [](RecordReader& reader) { return reader.check(); };
  return call<std::string>(caller, std::move(connection), std::move(work));
}

}  // namespace millrace::canon
