#include "log/followed_record.hpp"

namespace millrace {

RecordBatchPtr copy_records(std::span<const LogRecord* const> chosen) {
  auto copy = std::make_shared<RecordBatch>();
  std::size_t bytes = 0;
  for (const LogRecord* record : chosen) bytes += text_bytes(*record);
  copy->bytes.reserve(bytes);  // the views below must not move
  copy->records.reserve(chosen.size());
  for (const LogRecord* original : chosen) {
    LogRecord record = *original;
    const char* at = copy->bytes.data() + copy->bytes.size();
    copy->bytes.append(record.topic).append(record.payload);
    record.topic = {at, record.topic.size()};
    record.payload = {at + record.topic.size(), record.payload.size()};
    record.decoded.reset();  // lives in the record's slot, no longer than that is needed
    copy->records.push_back(record);
  }
  return copy;
}

}  // namespace millrace
