#include "log/batch_budget.hpp"

#include <utility>

namespace millrace {
namespace {

struct Counted {
  RecordBatchPtr batch;
  std::shared_ptr<const void> hold;
};

}  // namespace

std::shared_ptr<const void> BatchBudget::hold(std::size_t bytes) {
  held_ += bytes;
  return {nullptr,
          [budget = shared_from_this(), bytes](std::nullptr_t) { budget->held_ -= bytes; }};
}

RecordBatchPtr BatchBudget::count(RecordBatchPtr batch, std::size_t bytes) {
  const RecordBatch* same = batch.get();
  auto counted = std::make_shared<const Counted>(std::move(batch), hold(bytes));
  return {std::move(counted), same};
}

}  // namespace millrace
