#include "log/kafka_ids.hpp"

#include <algorithm>

namespace millrace::log {
namespace {

constexpr Offset kIdsPerPartition = 16'384;
constexpr std::size_t kRecordsPerRead = 4096;
constexpr std::size_t kBytesPerRead = std::size_t{4} << 20;

}  // namespace

void KafkaIds::remember(const LogStream& stream, const RecordBatch& batch) const {
  IdMemory* const memory = this->memory(stream.journal);
  if (memory == nullptr) return;
  std::vector<RecordId> ids;
  for (const LogRecord& record : batch.records) {
    ids.clear();
    memory->ids_of(record, ids);
    for (const RecordId& id : ids) memory->remember(id, record.appended_at);
  }
}

Result<void> KafkaIds::read(EventLog& log, const LogStream& stream, PartitionOffsets from) const {
  if (!keeps(stream.journal)) return {};
  const PartitionOffsets ends = log.ends(stream);
  const PartitionOffsets begins = log.begins(stream);
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (from[p] == kSkipPartition) continue;
    const Offset newest = ends[p] - std::min(ends[p], kIdsPerPartition);
    from[p] = std::max({from[p], newest, begins[p]});
    if (from[p] >= ends[p]) from[p] = kSkipPartition;
  }
  MILLRACE_TRY(reader, log.open_reader(stream, from));
  for (;;) {
    MILLRACE_TRY(batch, reader->next(kRecordsPerRead, kBytesPerRead));
    remember(stream, *batch);
    const bool is_read = std::ranges::equal(reader->position(), ends, [](Offset at, Offset end) {
      return at == kSkipPartition || at >= end;
    });
    if (is_read || batch->records.empty()) return {};
  }
}

}  // namespace millrace::log
