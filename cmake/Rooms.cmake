# One static library a room, each linking only what its arrow in ARCHITECTURE.md
# allows; and the helpers for its tests.

add_library(warmstart_options INTERFACE)
target_include_directories(warmstart_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(warmstart_options INTERFACE
  -Wall -Wextra -Werror -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # Optimizing, it sees overlaps in std::string that are none (GCC's bug 105651).
  target_compile_options(warmstart_options INTERFACE
    $<$<CONFIG:Release>:-Wno-restrict>)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(warmstart_options INTERFACE -Wthread-safety)
endif()
if(WARMSTART_SANITIZE)
  add_compile_options(-fsanitize=${WARMSTART_SANITIZE}
                      -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WARMSTART_SANITIZE})
endif()

# See tsan_mutex.cc; linked into the tests.
add_library(warmstart_tsan INTERFACE)
if(WARMSTART_SANITIZE MATCHES "thread")
  target_sources(warmstart_tsan INTERFACE
    ${CMAKE_SOURCE_DIR}/tests/testing/tsan_mutex.cc)
  target_link_libraries(warmstart_tsan INTERFACE absl::synchronization)
endif()

# warmstart_room(NAME SOURCES a.cc ... [DEPS ...] [PRIVATE_DEPS ...])
function(warmstart_room NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(warmstart_${NAME} STATIC ${ARG_SOURCES})
  target_link_libraries(warmstart_${NAME}
    PUBLIC ${ARG_DEPS}
    PRIVATE warmstart_options ${ARG_PRIVATE_DEPS})
  target_include_directories(warmstart_${NAME} PUBLIC ${CMAKE_SOURCE_DIR})
endfunction()

# What is watched is what the tests test. Watched and optimized themselves, they
# compile four times as long.
add_library(warmstart_test_options INTERFACE)
target_link_libraries(warmstart_test_options INTERFACE warmstart_options)
if(WARMSTART_SANITIZE)
  target_compile_options(warmstart_test_options INTERFACE
    -O0 -fno-sanitize=undefined)
endif()

# warmstart_test(NAME SOURCES a_test.cc ... [DEPS ...] [LABEL ...]): one GoogleTest
# binary a room. ctest knows each of its tests by name, and those of a room by its
# label, the folder's name unless another is given; <label>_tests builds them.
function(warmstart_test NAME)
  cmake_parse_arguments(ARG "" "LABEL" "SOURCES;DEPS" ${ARGN})
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE
    warmstart_test_options warmstart_tsan ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME room)
  if(ARG_LABEL)
    set(room ${ARG_LABEL})
  endif()
  if(NOT TARGET ${room}_tests)
    add_custom_target(${room}_tests)
  endif()
  add_dependencies(${room}_tests ${NAME})
  include(GoogleTest)
  gtest_discover_tests(${NAME} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS ${room})
endfunction()

if(WARMSTART_FUZZERS)
  add_custom_target(fuzzers)
endif()

# warmstart_fuzzer(NAME SOURCES a_fuzzer.cc [DEPS ...]): one libFuzzer binary in
# bin/fuzz/; the target `fuzzers` builds them all.
function(warmstart_fuzzer NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE warmstart_options ${ARG_DEPS})
  target_link_options(${NAME} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${NAME} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/fuzz)
  add_dependencies(fuzzers ${NAME})
endfunction()
