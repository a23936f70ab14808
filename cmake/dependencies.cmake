# Everything comes from Debian 12 packages; scripts/install-packages is the list.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(libpq REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(rdkafka REQUIRED IMPORTED_TARGET rdkafka)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(GTest REQUIRED)
pkg_check_modules(yaml REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(re2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(simdjson REQUIRED IMPORTED_TARGET simdjson)
pkg_check_modules(jemalloc REQUIRED IMPORTED_TARGET jemalloc)
find_package(date REQUIRED)

# Asio without its deprecated and optional parts.
add_compile_definitions(BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_BOOST_ARRAY
  BOOST_ASIO_DISABLE_BOOST_BIND
  # A request is eight coroutines deep: of two kept frames nearly none fits the next call.
  BOOST_ASIO_RECYCLING_ALLOCATOR_CACHE_SIZE=8)

# Values are on the hot path: compiled with ours, the profile holds for them, and calls are direct.
add_library(millrace_boost_json STATIC ${PROJECT_SOURCE_DIR}/cmake/boost_json.cpp)
target_link_libraries(millrace_boost_json PUBLIC Boost::headers)
millrace_use_profile(millrace_boost_json)
add_library(Boost::json ALIAS millrace_boost_json)
# For what is measured beside ours, and has no profile either.
add_library(millrace_boost_json_plain STATIC EXCLUDE_FROM_ALL
  ${PROJECT_SOURCE_DIR}/cmake/boost_json.cpp)
target_link_libraries(millrace_boost_json_plain PUBLIC Boost::headers)

# A broker makes and drops many small values on several threads; jemalloc measured a fifth less CPU
# than the C library's allocator on W1. Sanitizers bring their own.
add_library(millrace_allocator INTERFACE)
if(NOT MILLRACE_SANITIZE)
  target_link_libraries(millrace_allocator INTERFACE
    -Wl,--no-as-needed PkgConfig::jemalloc -Wl,--as-needed)
endif()
