// What nearly every source includes and none of us changes, compiled once. Sources still include
// what they use: a build without it (MILLRACE_PRECOMPILED=OFF) must pass too.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <any>
#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <expected>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>
