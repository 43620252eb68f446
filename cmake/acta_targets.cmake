# How Acta's own targets are made.

add_library(acta_warnings INTERFACE)
target_compile_options(acta_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual
  $<$<BOOL:${ACTA_WARNINGS_AS_ERRORS}>:-Werror>)

# Sanitizers go to everything built here, so that no part of a program is without.
add_library(acta_sanitizers INTERFACE)
if(ACTA_SANITIZE)
  target_compile_options(acta_sanitizers INTERFACE
    -fsanitize=${ACTA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(acta_sanitizers INTERFACE -fsanitize=${ACTA_SANITIZE})
  if(ACTA_SANITIZE MATCHES address AND CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    # So that fuzzers see what they reach in the libraries.
    target_compile_options(acta_sanitizers INTERFACE -fsanitize=fuzzer-no-link)
  endif()
endif()

# ccache, where there is one, makes a second build of the same sources quick. It keeps what uses precompiled
# headers only if told not to mind what they hide: macros, which are the same here, and __TIME__, unused.
find_program(ACTA_CCACHE ccache)
mark_as_advanced(ACTA_CCACHE)
if(PROJECT_IS_TOP_LEVEL AND ACTA_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros "${ACTA_CCACHE}")
endif()

# acta_configure(TARGET [PRECOMPILED]): what holds for all of Acta's targets. PRECOMPILED is the set of
# precompiled headers that TARGET uses: made with the same options.
function(acta_configure target)
  target_compile_features(${target} PUBLIC cxx_std_23)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_link_libraries(${target} PRIVATE
    $<BUILD_INTERFACE:acta_warnings> $<BUILD_INTERFACE:acta_sanitizers>)
  if(ACTA_PRECOMPILE_HEADERS)
    # {fmt}'s definitions are in what is precompiled. The other two are for ccache.
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:fmt::fmt>)
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>
      "$<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>")
    set(precompiled acta_precompiled ${ARGN})
    list(POP_BACK precompiled set)
    if(NOT set STREQUAL target)
      target_precompile_headers(${target} REUSE_FROM ${set})
    endif()
  endif()
endfunction()

# acta_add_precompiled(NAME HEADERS...): a set of precompiled headers, none of them Acta's own. A header that
# a source forgot shows without them: in the presets debug and clang, and in tests/consumer.
function(acta_add_precompiled name)
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp CONTENT "")
  add_library(${name} OBJECT ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
  acta_configure(${name} ${name})
  target_precompile_headers(${name} PRIVATE ${ARGN})
endfunction()

set(acta_precompiled_headers <algorithm> <array> <atomic> <charconv> <chrono> <condition_variable> <cstdint>
  <cstring> <expected> <filesystem> <fstream> <functional> <limits> <map> <memory> <mutex> <optional> <span>
  <string> <string_view> <system_error> <thread> <utility> <variant> <vector> <fmt/format.h>)
if(ACTA_PRECOMPILE_HEADERS)
  acta_add_precompiled(acta_precompiled ${acta_precompiled_headers})
endif()

# acta_configure_program(TARGET): the same for what is linked from Acta's libraries, and what only such use. With
# sanitizers it is not optimised, which takes the compiler half as long: what it spends its time in is.
add_library(acta_program_options INTERFACE)
if(ACTA_SANITIZE)
  target_compile_options(acta_program_options INTERFACE -O0
    $<$<CXX_COMPILER_ID:Clang>:-fno-sanitize=fuzzer-no-link>)
  if(ACTA_PRECOMPILE_HEADERS)
    acta_add_precompiled(acta_precompiled_programs ${acta_precompiled_headers})
    target_link_libraries(acta_precompiled_programs PRIVATE acta_program_options)
  endif()
endif()
function(acta_configure_program target)
  if(TARGET acta_precompiled_programs)
    acta_configure(${target} acta_precompiled_programs)
  else()
    acta_configure(${target})
  endif()
  target_link_libraries(${target} PRIVATE acta_program_options)
endfunction()

# acta_add_library(NAME SOURCES ... HEADERS ...): the library of one folder, acta_NAME, alias acta::NAME.
function(acta_add_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;HEADERS")
  add_library(acta_${name} STATIC)
  add_library(acta::${name} ALIAS acta_${name})
  set_target_properties(acta_${name} PROPERTIES EXPORT_NAME ${name})
  target_sources(acta_${name} PRIVATE ${arg_SOURCES}
    PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${arg_HEADERS})
  set_target_properties(acta_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  acta_configure(acta_${name})
endfunction()

# acta_add_schema(TARGET SCHEMA FOLDER): flatc's C++ header of SCHEMA, to be included as
# <FOLDER/..._generated.h>, with the schema itself in it: an engine stores it with the events of its tables.
# TARGET must link acta::base or what brings it.
set(acta_schema_script ${CMAKE_CURRENT_LIST_DIR}/acta_schema.cmake CACHE INTERNAL "")
function(acta_add_schema target schema folder)
  cmake_path(GET schema STEM name)
  cmake_path(ABSOLUTE_PATH schema NORMALIZE)
  set(root ${CMAKE_CURRENT_BINARY_DIR}/generated)
  cmake_path(SET header NORMALIZE ${root}/${folder}/${name}_generated.h)
  string(MAKE_C_IDENTIFIER "${target}_${folder}_${name}" identifier)
  add_custom_command(OUTPUT ${header}
    COMMAND ${CMAKE_COMMAND} -DFLATC=$<TARGET_FILE:flatbuffers::flatc> -DSCHEMA=${schema}
            -DHEADER=${header} -DNAME=${identifier} -P ${acta_schema_script}
    DEPENDS ${schema} ${acta_schema_script} DEPFILE ${header}.d VERBATIM)
  add_custom_target(${identifier}_schema DEPENDS ${header})
  add_dependencies(${target} ${identifier}_schema)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL INTERFACE_LIBRARY) # of events alone
    target_include_directories(${target} SYSTEM INTERFACE $<BUILD_INTERFACE:${root}>)
    return()
  endif()
  target_sources(${target} PRIVATE ${header})
  target_include_directories(${target} SYSTEM PUBLIC $<BUILD_INTERFACE:${root}>)
endfunction()

# acta::malloc: the allocator of Acta's own programs. Libraries leave that to whoever links them, and
# sanitizers bring their own.
add_library(acta_malloc INTERFACE)
add_library(acta::malloc ALIAS acta_malloc)
if(PROJECT_IS_TOP_LEVEL AND NOT ACTA_SANITIZE)
  find_package(tcmalloc REQUIRED)
  target_link_libraries(acta_malloc INTERFACE tcmalloc::minimal)
endif()
