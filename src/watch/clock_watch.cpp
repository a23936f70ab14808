#include "watch/clock_watch.hpp"

#include <fmt/format.h>

#include <fstream>

namespace millrace::watch {
namespace {

microseconds difference(WallTime wall, BootTime boot) {
  return wall.time_since_epoch() - boot.time_since_epoch();
}

}  // namespace

ClockWatch::ClockWatch(const Clock& clock, std::string boot_id)
    : clock_(clock),
      boot_id_(std::move(boot_id)),
      difference_(difference(clock.wall_now(), clock.boot_now())),
      agree_since_(clock.boot_now()) {}

void ClockWatch::observe() const {
  const BootTime boot = clock_.boot_now();
  const microseconds now = difference(clock_.wall_now(), boot);
  const bool was_apart = apart_;
  apart_ = std::chrono::abs(now - difference_) > kClocksApartMax;
  if (apart_) {
    if (!frozen_at_) {
      // As the trusted difference has it: the reading that jumped says nothing.
      frozen_at_ = WallTime(boot.time_since_epoch() + difference_);
      ++changes_;
    }
    return;
  }
  if (was_apart) agree_since_ = boot;
  if (boot - agree_since_ < kAgreementNeeded) return;
  // Small steps are followed, so that years of them do not add up to a jump.
  agree_since_ = boot;
  if (!frozen_at_ && now == difference_) return;
  difference_ = now;
  frozen_at_.reset();
  ++changes_;
}

WallTime ClockWatch::wall_now() const {
  const std::lock_guard lock(mutex_);
  observe();
  return frozen_at_.value_or(clock_.wall_now());
}

std::optional<ClockWatch::Jump> ClockWatch::jump() const {
  const std::lock_guard lock(mutex_);
  observe();
  if (!frozen_at_) return std::nullopt;
  const microseconds apart = difference(clock_.wall_now(), clock_.boot_now()) - difference_;
  return Jump{apart_ ? apart : microseconds{0}, *frozen_at_};
}

bool ClockWatch::accept() {
  const std::lock_guard lock(mutex_);
  observe();
  if (!frozen_at_) return false;
  agree_since_ = clock_.boot_now();
  difference_ = difference(clock_.wall_now(), agree_since_);
  apart_ = false;
  frozen_at_.reset();
  ++changes_;
  return true;
}

std::uint64_t ClockWatch::changes() const {
  const std::lock_guard lock(mutex_);
  observe();
  return changes_;
}

std::string ClockWatch::save() const {
  const std::lock_guard lock(mutex_);
  JsonObject saved{{"boot", boot_id_}, {"difference_us", difference_.count()}};
  saved.emplace("frozen_at", frozen_at_ ? Json(to_rfc3339(*frozen_at_)) : Json(nullptr));
  return write_json(Json(std::move(saved)));
}

void ClockWatch::restore(const Json& saved) {
  const std::lock_guard lock(mutex_);
  const auto frozen_at = parse_rfc3339(string_or(saved, "frozen_at", ""));
  if (frozen_at) frozen_at_ = *frozen_at;
  if (!boot_id_.empty() && string_or(saved, "boot", "") == boot_id_) {
    difference_ = microseconds(int_or(saved, "difference_us", difference_.count()));
  }
  observe();
}

std::string describe(const ClockWatch::Jump& jump) {
  constexpr std::string_view kWaits = "nothing is dropped or forgotten for its age";
  if (jump.apart == microseconds{0}) {
    return fmt::format("the wall clock jumped and is back; until an hour has passed {}", kWaits);
  }
  const auto apart = std::chrono::round<std::chrono::minutes>(std::chrono::abs(jump.apart));
  return fmt::format("the wall clock jumped {} by {} h {} min; {}",
                     jump.apart.count() > 0 ? "ahead" : "back", apart.count() / 60,
                     apart.count() % 60, kWaits);
}

std::string machine_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace millrace::watch
