// A person's word on a parked row.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "deliver/item.hpp"
#include "deliver/lane.hpp"

namespace millrace::deliver {
namespace {

constexpr milliseconds kRecordedWithin{5000};

}  // namespace

// What a person's word makes of a row: the writes, and the row as it then stands.
Result<Batch> Lane::decided(ParkedRow& row, const Decision& decision) {
  using Kind = Decision::Kind;
  Batch batch;
  const bool was_sent_unanswered =
      row.state == ParkedState::unknown || row.state == ParkedState::needs_decision;
  switch (decision.kind) {
    case Kind::discard:
    case Kind::skip:
      row.state = ParkedState::discarded;
      row.reason = fmt::format("discarded: {}", decision.reason);
      batch.put(Table::parked, row.key(), encode(row));
      return batch;
    case Kind::applied:
      if (!decision.external_id.empty()) {
        const std::string& system = text_.config->connections.find(route().to)->second.system;
        std::string key = row_key(route().entity, system, row.record);
        batch.put(Table::xref, key, decision.external_id);
        batch.put(Table::xref_by_id,
                  row_key(route().entity, system, decision.external_id, row.record), "{}");
      }
      row.state = ParkedState::discarded;
      row.reason = "a person said that it was applied";
      batch.put(Table::parked, row.key(), encode(row));
      return batch;
    case Kind::retry_now:
      if (was_sent_unanswered || row.state == ParkedState::dead) {
        return fail(Errc::conflict, fmt::format("it is {}: say --applied [ID] or --not-applied "
                                                "--reason TEXT, or resubmit it",
                                                to_string(row.state)));
      }
      // Not sent, or known not to be applied: the same key, only sooner.
      row.next_at = context_.clock.wall_now();
      batch.put(Table::parked, row.key(), encode(row));
      return batch;
    case Kind::not_applied:
    case Kind::resubmit:
      break;
  }
  const bool goes_on_by_itself = !was_sent_unanswered && row.state != ParkedState::dead;
  if (decision.kind == Decision::Kind::resubmit && goes_on_by_itself && !decision.again) {
    return fail(Errc::conflict,
                fmt::format("it is {} and goes on by itself, with the key it has: `millrace parked "
                            "release ID --absent` tries it now; a new key may apply it twice, add "
                            "--again --reason TEXT where that is harmless",
                            to_string(row.state)));
  }
  if (decision.kind == Kind::resubmit && was_sent_unanswered && !decision.again) {
    return fail(
        Errc::conflict,
        "its outcome is unknown: say `millrace parked release ID --applied [ID] | --not-applied`, "
        "or resubmit with --again --reason TEXT");
  }
  // The last outcome said "not applied", or a person does: a new key, or the target would answer a
  // repeat with its old refusal. Given up without an answer it keeps its key, by which the target
  // knows what it may have applied.
  const bool unanswered = row.attempts > 0 && row.answer_status == 0 && !decision.again &&
                          decision.kind == Decision::Kind::resubmit;
  ParkedRow fresh = row;
  if (!unanswered) {
    row.state = ParkedState::resubmitted;
    batch.put(Table::parked, row.key(), encode(row));
    ++fresh.send;
  }
  fresh.state = ParkedState::retrying;
  fresh.reason = decision.reason.empty() ? "resubmitted" : "resubmitted: " + decision.reason;
  fresh.unanswered = false;
  fresh.attempts = 0;
  fresh.spent = milliseconds{0};
  fresh.rendered = false;
  fresh.answer_status = 0;
  fresh.answer_body.clear();
  fresh.next_at = context_.clock.wall_now();
  batch.put(Table::parked, fresh.key(), encode(fresh));
  row = std::move(fresh);
  return batch;
}

// A decision on what the store still has would be overwritten by what is being recorded.
Awaitable<Result<void>> Lane::await_recorded(std::string key) {
  const BootTime until = context_.clock.boot_now() + kRecordedWithin;
  while (parked_.is_uncommitted(key)) {
    if (context_.clock.boot_now() > until) {
      co_return fail(Errc::overloaded, "its last attempt is being recorded; say it again");
    }
    commit_soon(true);
    co_await recorded_.wait_for(kRecordedWithin);
  }
  co_return Result<void>{};
}

// What an attempt makes of the row would be overwritten by the decision, or overwrite it: it waits
// until that is recorded.
bool Lane::waits_for_decision(const ItemPtr& item, std::function<void()> go_on) {
  if (deciding_.empty() || !item->row) return false;
  const auto found = deciding_.find(item->row->key());
  if (found == deciding_.end()) return false;
  found->second.push_back(std::move(go_on));
  return true;
}

void Lane::decision_over(const std::string& key) {
  const auto waiting = deciding_.extract(key);
  for (const auto& go_on : waiting.mapped()) go_on();
  start_ready();
  retry_parked();
  pump();
}

Awaitable<Result<Json>> Lane::decide(std::string key, Decision decision) {
  if (!deciding_.try_emplace(key).second) {
    co_return fail(Errc::conflict, "it is being decided right now");
  }
  auto decided = co_await decide_row(key, std::move(decision));
  decision_over(key);
  co_return decided;
}

Awaitable<Result<Json>> Lane::decide_row(std::string key, Decision decision) {
  MILLRACE_CO_CHECK_OK(co_await await_recorded(key));
  auto read = [&state = context_.state, key] { return state.get(Table::parked, key); };
  auto text = co_await offload(context_.readers.next(), context_.shard, std::move(read));
  if (!text) co_return std::unexpected(text.error());
  if (!*text) co_return fail(Errc::not_found, "there is no such parked row");
  if (retired_) co_return fail(Errc::conflict, "the route is being moved or ended: try again");
  auto decoded = decode_parked_row(**text);
  if (!decoded) co_return std::unexpected(decoded.error());
  ParkedRow row = *std::move(decoded);
  if (row.state == ParkedState::resubmitted || row.state == ParkedState::discarded) {
    co_return fail(Errc::conflict, fmt::format("it is already {}", to_string(row.state)));
  }
  const std::uint64_t record = hash64(row.record);
  const auto later = parked_.delivered(record);
  if (decision.kind == Decision::Kind::resubmit && !decision.history && later > row.offset) {
    co_return fail(Errc::conflict,
                   "superseded: this route has delivered a later change of the record; add "
                   "--history to send the old one all the same");
  }
  const bool sends = decision.kind == Decision::Kind::retry_now ||
                     decision.kind == Decision::Kind::resubmit ||
                     decision.kind == Decision::Kind::not_applied;
  if (sends && parked_.is_taken(record, row.key())) {
    co_return fail(Errc::conflict,
                   "it is being tried right now; say it again when that has been answered");
  }
  const std::string old_key = row.key();
  const ParkedState old_state = row.state;
  auto batch = decided(row, decision);
  if (!batch) co_return std::unexpected(batch.error());
  auto start = [this, writes = *std::move(batch)](StateStore::CommitDone done) mutable {
    context_.state.commit(std::move(writes), Urgency::now, context_.shard, std::move(done));
  };
  auto done = co_await await_callback<Result<void>>(context_.shard, std::move(start));
  if (!done) co_return std::unexpected(done.error());
  if (row.key() != old_key) parked_.set_state(record, old_key, ParkedState::resubmitted);
  const BootTime boot_now = context_.clock.boot_now();
  ParkedIndex::Ref now = ParkedIndex::Ref::of(row, appended_at_of(row), boot_now, boot_now);
  now.taken = parked_.is_taken(record, row.key());  // meanwhile: its attempt waits for this
  // Only sooner, and still what may have been applied before the start: it is probed first.
  now.on_wire =
      decision.kind == Decision::Kind::retry_now && parked_.may_be_on_wire(record, row.key());
  parked_.put(record, std::move(now));
  context_.trail.note({row.record, "operator", id_, to_string(row.state),
                       string_or(row.payload, "id", ""), row.reason});
  spdlog::info("parked row decided route={} id={} was={} is={} reason=\"{}\"", id_, row.id(),
               to_string(old_state), to_string(row.state), decision.reason);
  forget_delivered(row.record);
  commit_soon(false);
  co_return Json(JsonObject{{"id", row.id()}, {"state", to_string(row.state)}});
}

}  // namespace millrace::deliver
