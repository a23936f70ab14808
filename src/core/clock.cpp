#include "millrace/clock.hpp"

#include <fmt/core.h>

#include <charconv>
#include <ctime>

namespace millrace {
namespace {

class SystemClock : public Clock {
 public:
  WallTime wall_now() const override {
    return std::chrono::time_point_cast<microseconds>(std::chrono::system_clock::now());
  }
  BootTime boot_now() const override { return BootClock::now(); }
};

}  // namespace

BootClock::time_point BootClock::now() noexcept {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return time_point(seconds(now.tv_sec) + microseconds(now.tv_nsec / 1000));
}

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

// Written by hand: every event and every hop carries a time.
std::string to_rfc3339(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  char text[] = "0000-00-00T00:00:00.000000Z";
  const auto put = [&text](std::size_t at, std::size_t digits, std::int64_t value) {
    for (std::size_t i = digits; i > 0; --i, value /= 10) {
      text[at + i - 1] = static_cast<char>('0' + value % 10);
    }
  };
  put(0, 4, static_cast<int>(date.year()));
  put(5, 2, static_cast<unsigned>(date.month()));
  put(8, 2, static_cast<unsigned>(date.day()));
  put(11, 2, clock.hours().count());
  put(14, 2, clock.minutes().count());
  put(17, 2, clock.seconds().count());
  if (clock.subseconds().count() == 0) return std::string(text, 19) + 'Z';
  put(20, 6, clock.subseconds().count());
  return text;
}

Result<WallTime> parse_rfc3339(std::string_view text) {
  const auto bad = [&] {
    return fail(Errc::malformed, fmt::format("'{}' is no RFC 3339 time", text));
  };
  const auto number = [&](std::size_t at, std::size_t size, int& out) {
    if (at + size > text.size()) return false;
    const char* begin = text.data() + at;
    const auto parsed = std::from_chars(begin, begin + size, out);
    return parsed.ec == std::errc{} && parsed.ptr == begin + size;
  };
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' ||
      (text[10] != 'T' && text[10] != 't') || text[13] != ':' || text[16] != ':' ||
      !number(0, 4, year) || !number(5, 2, month) || !number(8, 2, day) || !number(11, 2, hour) ||
      !number(14, 2, minute) || !number(17, 2, second)) {
    return bad();
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return bad();
  WallTime time = std::chrono::sys_days(date) + std::chrono::hours(hour) +
                  std::chrono::minutes(minute) + seconds(second);
  std::size_t at = 19;
  if (text[at] == '.') {
    std::int64_t scale = 100'000;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10) {
      time += microseconds((text[at] - '0') * scale);
    }
  }
  if (at >= text.size()) return bad();
  if ((text[at] == 'Z' || text[at] == 'z') && at + 1 == text.size()) return time;
  int offset_hours = 0, offset_minutes = 0;
  if ((text[at] != '+' && text[at] != '-') || at + 6 != text.size() || text[at + 3] != ':' ||
      !number(at + 1, 2, offset_hours) || !number(at + 4, 2, offset_minutes)) {
    return bad();
  }
  const auto offset = std::chrono::hours(offset_hours) + std::chrono::minutes(offset_minutes);
  return text[at] == '+' ? time - offset : time + offset;
}

}  // namespace millrace
