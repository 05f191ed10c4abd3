# larder_module(NAME [MODULE...] [LIBS target...]): the library larder_NAME from src/NAME/*.cc.
#
# Beside it, by the ending of the file: NAME_test from *_test.cc (GoogleTest, each case a CTest case), and one
# libFuzzer program from each *_fuzz.cc when LARDER_FUZZ is on. A main.cc is left to the program that it is. A module
# without sources yet is an interface library, so that the picture of the modules is whole from the first day.
set(LARDER_MODULES "" CACHE INTERNAL "modules declared so far, lowest first")

# Compiler settings for all our own code.
add_library(larder_settings INTERFACE)
target_include_directories(larder_settings INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
target_compile_options(larder_settings INTERFACE ${LARDER_WARNINGS})
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  target_compile_options(larder_settings INTERFACE -Wthread-safety -Wno-gnu-statement-expression)
endif()

function(larder_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LIBS")
  file(GLOB sources CONFIGURE_DEPENDS ${name}/*.cc)
  set(tests ${sources})
  set(fuzzers ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz)\\.cc$|/main\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")

  set(uses)
  foreach(module IN LISTS arg_UNPARSED_ARGUMENTS)
    if(NOT module IN_LIST LARDER_MODULES)
      message(FATAL_ERROR "module '${name}' names '${module}', which is not declared above it in src/CMakeLists.txt")
    endif()
    list(APPEND uses larder_${module})
  endforeach()
  if(NOT name STREQUAL base)
    list(APPEND uses larder_base)
  endif()

  if(sources)
    add_library(larder_${name} STATIC ${sources})
    target_link_libraries(larder_${name} PUBLIC larder_settings ${uses} ${arg_LIBS} Threads::Threads)
  else()
    add_library(larder_${name} INTERFACE)
    target_link_libraries(larder_${name} INTERFACE larder_settings ${uses} ${arg_LIBS} Threads::Threads)
  endif()

  if(tests AND NOT LARDER_FUZZ AND NOT LARDER_CACHE_ONLY)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE larder_${name} GTest::gmock GTest::gtest_main)
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300)
  endif()
  if(LARDER_FUZZ)
    foreach(source IN LISTS fuzzers)
      get_filename_component(fuzzer ${source} NAME_WE)
      add_executable(${fuzzer} ${source})
      target_link_libraries(${fuzzer} PRIVATE larder_${name} -fsanitize=fuzzer)
    endforeach()
  endif()

  set(LARDER_MODULES ${LARDER_MODULES} ${name} CACHE INTERNAL "modules declared so far, lowest first")
endfunction()

# Every header compiled alone: one source a header that includes nothing else. And the check that refuses a stray
# #include across the modules' lines.
function(larder_header_checks)
  if(LARDER_FUZZ)
    return()
  endif()
  file(GLOB headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/src */*.h)
  file(GLOB public_headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/include/larder/*.h)
  set(alone)
  foreach(header IN LISTS headers public_headers)
    string(REPLACE "/" "_" stem ${header})
    set(source ${PROJECT_BINARY_DIR}/headers_alone/${stem}.cc)
    file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${header}\"\n" @ONLY)
    list(APPEND alone ${source})
  endforeach()
  add_library(larder_headers_alone OBJECT ${alone})
  target_link_libraries(larder_headers_alone PRIVATE larder_cli)
  add_test(NAME layers COMMAND Python3::Interpreter ${PROJECT_SOURCE_DIR}/tools/layers.py ${PROJECT_SOURCE_DIR})
endfunction()
