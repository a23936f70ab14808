#include "stores/kafka_writer.hpp"

#include <fmt/format.h>

#include <chrono>
#include <future>
#include <utility>

namespace millrace::stores {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kGatherRecords = 500;
constexpr std::uint64_t kGatherBytes = std::uint64_t{1} << 20;
// Less than the producer takes, so that it never refuses.
constexpr std::uint64_t kRecordsMax = 20'000;
constexpr std::uint64_t kBytesMax = std::uint64_t{32} << 20;
constexpr std::uint64_t kHeaderBytes = 1024;
constexpr seconds kReportWithin{30};

std::uint64_t size_of(const KafkaMessage& message) {
  return message.key.size() + message.value.size() + kHeaderBytes;
}

}  // namespace

Result<std::unique_ptr<KafkaWriter>> KafkaWriter::open(const KafkaSettings& settings) {
  std::unique_ptr<KafkaWriter> writer(new KafkaWriter());
  writer->shard_.start();
  std::promise<Result<void>> opened;
  writer->shard_.post([&writer, &settings, &opened] {
    auto made = KafkaProducer::open(writer->shard_, settings);
    if (made) writer->producer_ = *std::move(made);
    opened.set_value(made ? Result<void>() : std::unexpected(std::move(made).error()));
  });
  MILLRACE_CHECK_OK(opened.get_future().get());
  return writer;
}

KafkaWriter::~KafkaWriter() {
  shard_.stop(1s);
  producer_.reset();
}

Result<void> KafkaWriter::write(KafkaMessage message) {
  gathered_bytes_ += size_of(message);
  gathered_.push_back(std::move(message));
  if (gathered_.size() < kGatherRecords && gathered_bytes_ < kGatherBytes) return {};
  return hand_over();
}

Result<void> KafkaWriter::flush() {
  MILLRACE_CHECK_OK(hand_over());
  return wait(0, 0);
}

Result<void> KafkaWriter::hand_over() {
  MILLRACE_CHECK_OK(wait(kRecordsMax, kBytesMax));
  if (gathered_.empty()) return {};
  {
    const std::lock_guard lock(mutex_);
    records_ += gathered_.size();
    bytes_ += gathered_bytes_;
  }
  gathered_bytes_ = 0;
  shard_.post([this, messages = std::exchange(gathered_, {})]() mutable {
    for (KafkaMessage& message : messages) {
      const std::uint64_t bytes = size_of(message);
      const auto report = [this, bytes, topic = message.topic](Result<KafkaPlace> place) {
        reported(topic, bytes, place);
      };
      auto sent = producer_->send(std::move(message), report);
      if (!sent) report(std::unexpected(std::move(sent).error()));
    }
  });
  return {};
}

Result<void> KafkaWriter::wait(std::uint64_t records_max, std::uint64_t bytes_max) {
  std::unique_lock lock(mutex_);
  while (!error_ && (records_ > records_max || bytes_ > bytes_max)) {
    const std::uint64_t before = reports_;
    changed_.wait_for(lock, kReportWithin,
                      [&] { return error_ || (records_ <= records_max && bytes_ <= bytes_max); });
    if (records_ > 0 && reports_ == before) {
      return fail(Errc::not_connected,
                  "Kafka acknowledges nothing: see to it, and say the same "
                  "command once more; it goes on where it stopped");
    }
  }
  return error_ ? std::unexpected(*error_) : Result<void>();
}

void KafkaWriter::reported(const std::string& topic, std::uint64_t bytes,
                           const Result<KafkaPlace>& place) {
  const std::lock_guard lock(mutex_);
  --records_;
  bytes_ -= bytes;
  ++reports_;
  if (!place && !error_) {
    const bool large = place.error().code == Errc::too_large;
    error_ =
        Error(place.error().code,
              fmt::format("topic {} takes not every record: {}{}", topic, place.error().message,
                          large ? "; raise its max.message.bytes and say the same command "
                                  "once more"
                                : ""));
  }
  changed_.notify_one();
}

}  // namespace millrace::stores
