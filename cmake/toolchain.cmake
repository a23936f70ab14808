# The compiler of record is clang-19. GCC 12 miscompiles ordinary coroutine code (a capturing lambda or
# a braced aggregate inside a co_await expression is destroyed twice), so it must not build a broker.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(FATAL_ERROR
    "GCC ${CMAKE_CXX_COMPILER_VERSION} silently miscompiles coroutines (GCC bug 95599 and others): "
    "lambdas with captures and aggregates in a co_await expression are destroyed twice. "
    "Build with clang-19 (cmake --preset release) or GCC 13 and later.")
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_link_options(-fuse-ld=lld)
endif()

# -fPIC for programs too, so that they share precompiled headers with libraries.
add_compile_options(-pthread -fPIC -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
  -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough -Wformat=2
  -Wno-missing-field-initializers -Wno-missing-designated-field-initializers -Werror)
