# Headers compiled once per build instead of once per source: a quarter of the time of each.
option(MILLRACE_PRECOMPILED "Compile common headers once" ON)

# millrace_precompiled_headers(<owner> HEADERS <header>... LINK <target>...): makes the owner whose
# precompiled headers other targets share.
function(millrace_precompiled_headers owner)
  cmake_parse_arguments(arg "" "" "HEADERS;LINK" ${ARGN})
  add_library(${owner} OBJECT ${PROJECT_SOURCE_DIR}/cmake/precompiled/anchor.cpp)
  target_link_libraries(${owner} PRIVATE ${arg_LINK})
  # Without the header's time in it, equal headers make equal files, and a compiler cache can hit.
  target_compile_options(${owner} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  target_precompile_headers(${owner} PRIVATE ${arg_HEADERS})
endfunction()

function(millrace_use_precompiled target owner)
  if(MILLRACE_PRECOMPILED)
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()

if(MILLRACE_PRECOMPILED)
  millrace_precompiled_headers(precompiled HEADERS ${PROJECT_SOURCE_DIR}/cmake/precompiled/headers.hpp
    LINK Boost::json fmt::fmt spdlog::spdlog Threads::Threads)
  millrace_precompiled_headers(precompiled_tests
    HEADERS ${PROJECT_SOURCE_DIR}/cmake/precompiled/headers.hpp <gmock/gmock.h> <gtest/gtest.h>
    LINK Boost::json fmt::fmt spdlog::spdlog Threads::Threads GTest::gmock)
endif()
