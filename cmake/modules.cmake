# millrace_module(<name> [LINK <targets>...]) makes the library millrace_<name> from every .cpp in the
# folder that calls it (tests excepted). LINK names the modules and packages it may include.
function(millrace_module name)
  cmake_parse_arguments(arg "" "" "LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  add_library(millrace_${name} STATIC ${sources})
  target_include_directories(millrace_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include
    ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(millrace_${name} PUBLIC ${arg_LINK} Boost::json fmt::fmt Threads::Threads)
  millrace_use_precompiled(millrace_${name} precompiled)
  millrace_use_profile(millrace_${name})
endfunction()

# millrace_unit_tests(<name> [LINK <targets>...]) makes the test program <name>_test from every .cpp in
# the folder that calls it and registers it with ctest under the label `unit`.
function(millrace_unit_tests name)
  cmake_parse_arguments(arg "" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  add_executable(${name}_test ${sources})
  target_link_libraries(${name}_test PRIVATE ${arg_LINK} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name}_test PRIVATE
    MILLRACE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  millrace_use_precompiled(${name}_test precompiled_tests)
  add_test(NAME unit_${name} COMMAND ${name}_test)
  set_tests_properties(unit_${name} PROPERTIES LABELS unit TIMEOUT 300)
endfunction()
