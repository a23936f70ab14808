// What a lane delivered of records that have parked rows, so that an old change of a record is not
// sent after a newer one by mistake; and how much may be parked at all (semantics 5).
#include <fmt/format.h>

#include "deliver/item.hpp"
#include "deliver/lane.hpp"

namespace millrace::deliver {
namespace {

constexpr std::size_t kRowsPerScan = 1000;

}  // namespace

std::string Lane::delivered_key(std::string_view record) const {
  return row_key("delivered", id_, record);
}

Awaitable<Result<void>> Lane::load_delivered() {
  const std::string prefix = delivered_key("");
  std::string after;
  for (;;) {
    auto read = [&state = context_.state, prefix, after] {
      return state.scan(Table::routes, prefix, after, kRowsPerScan);
    };
    auto rows = co_await offload_until_back(context_.readers, context_.shard, std::move(read));
    if (!rows) co_return std::unexpected(rows.error());
    for (const Row& row : *rows) {
      const std::string record = row.key.substr(prefix.size());
      if (!progress_.contains(partition_of(record))) continue;
      const auto json = parse_json(row.value);
      if (!json) co_return std::unexpected(json.error());
      parked_.set_delivered(hash64(record), static_cast<Offset>(int_or(*json, "offset", 0)));
      forget_delivered(record);
    }
    if (rows->size() < kRowsPerScan) co_return Result<void>{};
    after = rows->back().key;
  }
}

// A row per record that has parked ones; none on the happy path.
void Lane::note_delivered(const Item& item) {
  if (parked_.size() == 0 || !parked_.has_before(item.record, item.offset)) return;
  if (!parked_.set_delivered(item.record, item.offset)) return;
  writes_.put(Table::routes, delivered_key(item.event->event.record),
              fmt::format(R"({{"offset":{}}})", item.offset));
}

void Lane::forget_delivered(const std::string& record) {
  if (!parked_.forget_delivered(hash64(record))) return;
  writes_.erase(Table::routes, delivered_key(record));
}

bool Lane::crowded() const {
  return parked_total_->load(std::memory_order_relaxed) >=
         static_cast<std::int64_t>(route().parked_max);
}

}  // namespace millrace::deliver
