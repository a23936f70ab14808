# The release build is optimized for the work that a profile shows (decision 32): which branches are
# taken and which calls are hot. scripts/profile makes it; code that it does not know, or that has
# changed since, is compiled as without one.
set(MILLRACE_PROFILE "" CACHE STRING "`generate`, or the profile to optimize for")

if(MILLRACE_PROFILE STREQUAL "generate")
  add_link_options(-fprofile-generate)
endif()

function(millrace_use_profile target)
  if(NOT MILLRACE_PROFILE OR NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    return()
  endif()
  # Functions of one source are named by its file alone, so that a profile holds in every folder.
  target_compile_options(${target} PRIVATE "SHELL:-mllvm -static-func-full-module-prefix=false")
  if(MILLRACE_PROFILE STREQUAL "generate")
    target_compile_options(${target} PRIVATE -fprofile-generate -fprofile-update=atomic)
  else()
    target_compile_options(${target} PRIVATE -fprofile-use=${MILLRACE_PROFILE}
      -Wno-profile-instr-out-of-date -Wno-backend-plugin)
    get_target_property(sources ${target} SOURCES)
    set_property(SOURCE ${sources} APPEND PROPERTY OBJECT_DEPENDS ${MILLRACE_PROFILE})
  endif()
endfunction()
